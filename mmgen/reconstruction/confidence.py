"""One figure for how far to trust an asset, and why not: outline, mask, what the photo cuts off, facing, company.

The limits were set on street photos, the same photos cut at waist, knee and neck, people before people, and photos
lying on their side. An asset is as sure as the least sure of its signs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmgen.masks.structures import LOW_CONFIDENCE_QUALITY, Signs
from mmgen.work.records import LOW_CONFIDENCE

_REFINED_IOU, _ONE_PASS_IOU = (0.80, 0.96), (0.60, 0.88)
_CUT_SHARE = (0.05, 0.25)
"""Of the person's width or height, on the photo's border: 0.2 and more where somebody is cut, 0 where nobody is."""

_TALL = (0.7, 1.1)
"""Height over width of an outline; people who stand with their arms out have 1.3, who lie 0.3 to 0.5."""

_PERSON_CHANCE = (0.1, 0.7)
_FACING_DOUBT = (0.05, 0.35)
_SAID_CUT, _SAID_SEVERAL = 0.55, 0.3


@dataclass(frozen=True)
class Evidence:
    """What is known about an asset.

    Attributes:
        mask: uint8 [H, W] of the whole photo.
        mask_quality: 0..1 of a guessed mask; None for a given one.
        mask_iou: overlap of the body with the mask.
        is_refined: whether the body was fitted to the mask.
        signs: what the person network says; None where it was not asked.
        is_facing_given: whether a user said where the person faces.
    """

    mask: NDArray[np.uint8]
    mask_quality: float | None
    mask_iou: float
    is_refined: bool
    signs: Signs | None
    is_facing_given: bool


@dataclass(frozen=True)
class Confidence:
    """How far to trust an asset.

    Attributes:
        value: 0..1; below `LOW_CONFIDENCE` somebody should look at it.
        doubts: why it is low and what to do, the worst first; empty where it is not.
    """

    value: float
    doubts: tuple[str, ...]


def confidence_of(evidence: Evidence) -> Confidence:
    """Confidence of one asset of one photo."""
    signs = {**_outline_signs(evidence), **_network_signs(evidence)}
    value = min(1.0, *signs.values())
    doubts = sorted((sureness, why) for why, sureness in signs.items() if sureness < LOW_CONFIDENCE)
    return Confidence(round(value, 3), tuple(why for _, why in doubts))


def _outline_signs(evidence: Evidence) -> dict[str, float]:
    """What the outline alone says: sentence to sureness."""
    border, share = _cut(evidence.mask)
    height, width = (np.ptp(np.nonzero(evidence.mask > 127)[axis]) + 1 for axis in (0, 1))
    signs = {
        f"the body does not fit its outline, MaskIoU {evidence.mask_iou:.2f}: check the mask": _between(
            evidence.mask_iou, _REFINED_IOU if evidence.is_refined else _ONE_PASS_IOU
        ),
        f"the photo's {border} edge cuts the person off: use a photo of the whole person": 1
        - _between(share, _CUT_SHARE),
        "the outline is wider than high: turn the photo upright, or use one of somebody who stands": _between(
            float(height / width), _TALL
        ),
    }
    if evidence.mask_quality is not None:
        limits = (LOW_CONFIDENCE_QUALITY - 0.2, LOW_CONFIDENCE_QUALITY + 0.2)
        sureness = _between(evidence.mask_quality, limits)
        signs[f"its outline is a poor guess, quality {evidence.mask_quality:.2f}: give a mask"] = sureness
    return signs


def _network_signs(evidence: Evidence) -> dict[str, float]:
    """What the person network says: sentence to sureness."""
    said = evidence.signs
    if said is None:
        return {}
    signs = {
        "no person is seen where the mask is: check the mask": _between(said.person, _PERSON_CHANCE),
    }
    if said.cut != "none":
        signs[f"somebody or something hides the person below the {said.cut}"] = _SAID_CUT
    if said.count > 1:
        signs[f"{said.count} people under one mask: give each a mask"] = _SAID_SEVERAL
    if not evidence.is_facing_given:
        doubt = min(said.back, 1 - said.back)
        signs["front or back is uncertain: look, and use --facing front or back"] = 1 - _between(doubt, _FACING_DOUBT)
    return signs


def _cut(mask: NDArray[np.uint8]) -> tuple[str, float]:
    """The photo's edge that touches most of the person, and how much: a share of the person's width or height."""
    inside = mask > 127
    height, width = (max(1, np.ptp(places) + 1) for places in np.nonzero(inside))
    shares = {
        "lower": inside[-1].sum() / width,
        "upper": inside[0].sum() / width,
        "left": inside[:, 0].sum() / height,
        "right": inside[:, -1].sum() / height,
    }
    border = max(shares, key=lambda name: shares[name])
    return border, float(shares[border])


def _between(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return float(np.clip((value - low) / (high - low), 0, 1))
