"""What a scan of a published data set gives, and how its images are filtered."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mmgen.core.errors import FatalError, ItemError
from mmgen.photos.crops import CropBox

TRUTH_FOLDER = "truth"

Outline = Literal["found", "labels", "votes"]


@dataclass(frozen=True)
class SourceImage:
    """One image of a data set as published.

    Attributes:
        relative: where it goes below the data set folder, with forward slashes.
        split: `train`, `val`, `test`, `query` or `gallery`.
        identity: label as text; None where unknown.
        camera: number; None where unknown.
        mask: the layout's own mask file; None: it is looked for.
        box: part of the image to keep; None: all.
        truth: file of exact geometry and camera; None where unknown.
    """

    path: Path
    relative: str
    split: str
    identity: str | None = None
    camera: int | None = None
    mask: Path | None = None
    box: CropBox | None = None
    truth: Path | None = None


def truth_of(root: Path, relative: str) -> Path | None:
    """The truth file of an image in a data set folder, if there is one."""
    path = (root / TRUTH_FOLDER / relative).with_suffix(".npz")
    return path if path.is_file() else None


@dataclass(frozen=True)
class Skip:
    """An image that was left out.

    Attributes:
        split: where it would have gone; None where unknown.
        status: `filtered` by rule, or `failed`.
        code: error class, or the rule: `junk`, `foreground`.
    """

    path: str
    split: str | None
    status: Literal["filtered", "failed"]
    code: str
    message: str
    hint: str

    @staticmethod
    def failed(path: str, split: str | None, error: ItemError) -> "Skip":
        """From the error that an image gave."""
        return Skip(path, split, "failed", error.code, error.message, error.hint)


@dataclass(frozen=True)
class Scan:
    """A data set as found: images sorted by `relative`, those left out, and remarks on the whole."""

    images: tuple[SourceImage, ...]
    skips: tuple[Skip, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Foreground:
    """An open interval of foreground fractions; fractions are rounded to two decimals before they are compared."""

    above: float = -1.0
    below: float = 2.0

    def holds(self, fraction: float) -> bool:
        """Whether the rounded fraction lies strictly inside."""
        return self.above < round(fraction, 2) < self.below


@dataclass(frozen=True)
class Profile:
    """How one data set is treated.

    Attributes:
        outline: `found` masks are people's outlines in any form; `labels` are class maps of human parsing (ATR);
            `votes` are grey levels of annotators' agreement (CUB).
        keep: filter per split; splits that are not named keep everything.
    """

    outline: Outline
    clean: Foreground
    keep: dict[str, Foreground] = field(default_factory=dict)


PROFILES = {
    "market": Profile("found", Foreground(0.36, 0.49), {"train": Foreground(0.09, 0.64)}),
    "atr": Profile(
        "labels",
        Foreground(0.18, 0.26),
        {"train": Foreground(0.09, 0.49), "val": Foreground(0.09, 0.49), "test": Foreground(0.09, 0.49)},
    ),
    "cub": Profile("votes", Foreground(0.25, 0.49), {"train": Foreground(0.16, 0.64)}),
    "folder": Profile("found", Foreground(0.36, 0.49)),
}
"""The published thresholds (3D Magic Mirror, supplementary code). Photos of your own are not filtered by default."""


def wrong_layout(name: str, expected: str) -> FatalError:
    """No data set of the expected kind is there."""
    return FatalError("dataset_layout", f"{name} is no such data set; expected {expected}", "Give its top folder.")
