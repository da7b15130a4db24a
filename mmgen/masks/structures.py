"""Where a mask is looked for, and what is known about one that was found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MaskKind = Literal["auto", "alpha", "folder", "network", "grabcut", "none"]


@dataclass(frozen=True)
class MaskSource:
    """What `--masks` means.

    Attributes:
        kind: `auto` tries the alpha channel, a file beside the photo, then the bundled mask network; `alpha`, `folder`,
            `network` and `grabcut` are that one source and nothing else; `none` forbids masks.
        folder: root of a tree that mirrors the photos; only with kind `folder`.
    """

    kind: MaskKind = "auto"
    folder: Path | None = None

    @property
    def may_ask_network(self) -> bool:
        """Whether the mask network may have to answer."""
        return self.kind in ("auto", "network")

    @staticmethod
    def parse(text: str) -> "MaskSource":
        """`auto`, `alpha`, `network`, `grabcut`, `none`, or a folder's path; `./auto` is a folder of that name."""
        if text == "auto":
            return MaskSource("auto")
        if text == "alpha":
            return MaskSource("alpha")
        if text == "network":
            return MaskSource("network")
        if text == "grabcut":
            return MaskSource("grabcut")
        if text == "none":
            return MaskSource("none")
        return MaskSource("folder", Path(text))


@dataclass(frozen=True)
class Guess:
    """A mask that nobody drew.

    Attributes:
        mask: uint8 [H, W], 255 = person.
        quality: 0..1, how far to trust it; see the module that guessed.
    """

    mask: NDArray[np.uint8]
    quality: float


@dataclass(frozen=True)
class MaskResult:
    """A usable mask.

    Attributes:
        mask: uint8 [H, W] of the upright photo, 255 = person, soft at the edges; 0 outside the parts that were kept.
        source: `alpha`, `sibling`, `folder`, `network` or `grabcut`.
        path: the file it came from, if any.
        sha256: of that file's bytes; for all others of the mask's own bytes.
        area_fraction: share of the photo's pixels at 128 or more, 0..1.
        parts: connected parts before cleaning, specks below 1 % of the largest not counted.
        quality: 0..1 for a guessed mask (see `mmgen.masks.network` and `mmgen.masks.grabcut`); None for a given one.
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
