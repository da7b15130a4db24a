"""A guessed mask: OpenCV's GrabCut, started from a person-shaped prior in the middle of the photo.

It suits what re-id and fashion photos look like: one upright person, in the middle, nearly as high as the photo. The
quality figure says how far to trust the guess: the product of

- stability: IoU of the results from a slim and a broad prior (the mask is their union);
- shape: IoU with the prior silhouette, nothing up to 0.35, full marks from 0.65;
- edges: how much stronger the image gradient is on the outline than elsewhere in the photo, full marks from twice;
- freedom: 1 minus three times the share of the outline that lies on the limit set around the person.
"""

import importlib.util
from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.masks.structures import Guess

MIN_QUALITY = 0.35
"""Guesses below this are refused."""

_WORKING_SIDE = 320
_ITERATIONS = 5
_SEED = 0
_BODY_TOP, _BODY_BOTTOM = 0.04, 0.97
_OUTLINE = (
    (0.0, 0.035),
    (0.06, 0.055),
    (0.13, 0.05),
    (0.17, 0.12),
    (0.45, 0.125),
    (0.55, 0.11),
    (0.95, 0.08),
    (1.0, 0.09),
)
"""(height from the head down, half width), both as shares of the body's height."""

_SLIM, _BROAD = 0.8, 1.3
_REACH = 2.4
"""Beyond this many half widths nothing is person."""
_SHAPE_IOU_RANGE = (0.35, 0.65)
_GOOD_EDGE_RATIO = 2.0


def is_available() -> bool:
    """Whether OpenCV is installed."""
    return importlib.util.find_spec("cv2") is not None


def guess_mask(rgb: NDArray[np.uint8], name: str) -> Guess:
    """Guess the mask of the person in the middle of a photo; the same photo gives the same mask.

    Args:
        rgb: uint8 [H, W, 3].
        name: how messages call the mask.

    Raises:
        ItemError: `grabcut_missing` without OpenCV; `mask_unusable` where the quality is below `MIN_QUALITY`.
    """
    cv2 = _opencv(name)
    height, width = rgb.shape[:2]
    scale = min(4.0, _WORKING_SIDE / max(height, width))
    small_size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = np.array(Image.fromarray(rgb).resize(small_size, Image.Resampling.LANCZOS))
    slim, broad = (_cut(cv2, small, factor) for factor in (_SLIM, _BROAD))
    quality = _quality(small, slim, broad)
    if quality < MIN_QUALITY:
        raise ItemError(
            "mask_unusable",
            f"{name} is not to be trusted: quality {quality:.2f}, at least {MIN_QUALITY} is needed",
            "Crop the photo to the person, or give a mask with --masks DIR.",
        )
    either = Image.fromarray(np.where(slim | broad, np.uint8(255), np.uint8(0)))
    return Guess(np.array(either.resize((width, height), Image.Resampling.BILINEAR)), quality)


def silhouette(height: int, width: int, factor: float = 1.0) -> NDArray[np.bool_]:
    """The prior person [H, W], its widths times `factor`."""
    return _offset_from_axis(height, width) <= factor


@cache
def opencv() -> ModuleType:
    return importlib.import_module("cv2")


def _opencv(name: str) -> ModuleType:
    if not is_available():
        raise ItemError("grabcut_missing", f"{name} needs OpenCV", 'pip install "mmgen[masks]"')
    return opencv()


def _offset_from_axis(height: int, width: int) -> NDArray[np.float32]:
    """[H, W]: distance from the middle column, in half widths of the body at that height; infinite above and below."""
    down = ((np.arange(height) + 0.5) / height - _BODY_TOP) / (_BODY_BOTTOM - _BODY_TOP)
    at, half = np.array(_OUTLINE).T
    half_width = np.interp(down, at, half) * (_BODY_BOTTOM - _BODY_TOP) * height
    across = np.abs(np.arange(width) + 0.5 - width / 2)
    offset = across[None, :] / half_width[:, None]
    offset[(down < 0) | (down > 1)] = np.inf
    return offset.astype(np.float32)


def _cut(cv2: ModuleType, rgb: NDArray[np.uint8], factor: float) -> NDArray[np.bool_]:
    height, width = rgb.shape[:2]
    offset = _offset_from_axis(height, width)
    seeds = np.where(_allowed(height, width), cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    seeds[(offset <= factor) & (seeds == cv2.GC_PR_BGD)] = cv2.GC_PR_FGD
    core = (offset <= 0.3) & _rows(height, 0.2, 0.7)
    seeds[core] = cv2.GC_FGD
    cv2.setRNGSeed(_SEED)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    cv2.grabCut(bgr, seeds, None, np.zeros((1, 65)), np.zeros((1, 65)), _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    person = (seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD)
    return _largest_part(person)


def _allowed(height: int, width: int) -> NDArray[np.bool_]:
    """[H, W]: where the person can be at all."""
    allowed = _offset_from_axis(height, width) <= _REACH
    edge = max(round(0.03 * width), 1)
    allowed[:, :edge] = allowed[:, -edge:] = False
    return allowed


def _rows(height: int, start: float, stop: float) -> NDArray[np.bool_]:
    down = (np.arange(height) + 0.5) / height
    return ((down >= start) & (down <= stop))[:, None]


def _largest_part(person: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import label

    labels, _ = label(person)
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    return labels == counts.argmax() if len(counts) > 1 else person


def _quality(rgb: NDArray[np.uint8], slim: NDArray[np.bool_], broad: NDArray[np.bool_]) -> float:
    stability = _iou(slim, broad)
    shape = float(np.interp(_iou(broad, silhouette(*broad.shape)), _SHAPE_IOU_RANGE, (0, 1)))
    return float(stability * shape * _edge_score(rgb, broad) * _freedom(broad))


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0


def _edge_score(rgb: NDArray[np.uint8], person: NDArray[np.bool_]) -> float:
    down, right = np.gradient(rgb.astype(np.float32), axis=(0, 1))
    strength = np.sqrt((down**2 + right**2).sum(axis=2))
    outline = _steps(person)
    average = float(strength.mean())
    if average == 0 or not outline.any():
        return 0.0
    return min(float(strength[outline].mean()) / average / _GOOD_EDGE_RATIO, 1.0)


def _freedom(person: NDArray[np.bool_]) -> float:
    outline = _steps(person)
    contact = np.count_nonzero(outline & _steps(_allowed(*person.shape))) / max(int(outline.sum()), 1)
    return max(1.0 - 3.0 * contact, 0.0)


def _steps(person: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[H, W]: where the value differs from the one to the left or above."""
    steps = np.zeros_like(person)
    steps[:, 1:] |= person[:, 1:] != person[:, :-1]
    steps[1:] |= person[1:] != person[:-1]
    return steps
