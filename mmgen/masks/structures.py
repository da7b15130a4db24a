"""Where a mask is looked for, and what is known about one that was found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MaskKind = Literal["auto", "alpha", "folder", "grabcut", "none"]


@dataclass(frozen=True)
class MaskSource:
    """What `--masks` means.

    Attributes:
        kind: `auto` tries the alpha channel, a file beside the photo, then GrabCut; `alpha`, `folder` and `grabcut` are
            that one source and nothing else; `none` forbids masks.
        folder: root of a tree that mirrors the photos; only with kind `folder`.
    """

    kind: MaskKind = "auto"
    folder: Path | None = None

    @staticmethod
    def parse(text: str) -> "MaskSource":
        """`auto`, `alpha`, `grabcut`, `none`, or a folder's path. Write `./auto` for a folder of that name."""
        if text == "auto":
            return MaskSource("auto")
        if text == "alpha":
            return MaskSource("alpha")
        if text == "grabcut":
            return MaskSource("grabcut")
        if text == "none":
            return MaskSource("none")
        return MaskSource("folder", Path(text))


@dataclass(frozen=True)
class MaskResult:
    """A usable mask.

    Attributes:
        mask: uint8 [H, W] of the upright photo, 255 = person, soft at the edges; 0 outside the parts that were kept.
        source: `alpha`, `sibling`, `folder` or `grabcut`.
        path: the file it came from, if any.
        sha256: of that file's bytes; for `alpha` and `grabcut` of the mask's own bytes.
        area_fraction: share of the photo's pixels at 128 or more, 0..1.
        parts: connected parts before cleaning, specks below 1 % of the largest not counted.
        quality: 0..1 for a guessed mask (see `mmgen.masks.grabcut`); None for a given one.
        notes: what a user should know.
    """

    mask: NDArray[np.uint8]
    source: str
    path: Path | None
    sha256: str
    area_fraction: float
    parts: int
    quality: float | None = None
    notes: tuple[str, ...] = ()
