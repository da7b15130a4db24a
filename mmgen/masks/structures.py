"""Where a mask is looked for, and what is known about one that was found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MaskKind = Literal["auto", "alpha", "folder", "network", "grabcut", "masker", "onnx", "none"]

NAMED_KINDS: tuple[MaskKind, ...] = ("auto", "alpha", "network", "grabcut", "none")
"""Sources that need nothing but their name."""

LOW_CONFIDENCE_QUALITY = 0.75
"""Guesses below this carry a warning."""


@dataclass(frozen=True)
class MaskSource:
    """What `--masks` means.

    Attributes:
        kind: `auto` tries the alpha channel, a file beside the photo, then the bundled mask network; `alpha`, `folder`,
            `network` and `grabcut` are that one source and nothing else; `masker` and `onnx` ask what `name` and `file`
            name; `none` forbids masks.
        folder: root of a tree that mirrors the photos; only with kind `folder`.
        name: name of a masker, see `mmgen.masks.maskers`; only with kind `masker`.
        file: an ONNX file, see `mmgen.masks.onnx_file`; only with kind `onnx`.
    """

    kind: MaskKind = "auto"
    folder: Path | None = None
    name: str | None = None
    file: Path | None = None

    @property
    def may_ask_network(self) -> bool:
        """Whether the mask network may have to answer."""
        return self.kind in ("auto", "network")

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return str(self.folder or self.file or self.name or self.kind)

    @staticmethod
    def parse(text: str) -> "MaskSource":
        """`auto`, `alpha`, `network`, `grabcut`, `none`, an installed masker's name, an `.onnx` file, or a folder.

        Names win over folders; `./auto` is a folder of that name.
        """
        for kind in NAMED_KINDS:
            if text == kind:
                return MaskSource(kind)
        if text.lower().endswith(".onnx"):
            return MaskSource("onnx", file=Path(text))
        from mmgen.masks.maskers import installed_maskers

        if "/" not in text and text in installed_maskers():
            return MaskSource("masker", name=text)
        return MaskSource("folder", Path(text))


@dataclass(frozen=True)
class Signs:
    """What the person network says of somebody beside their outline.

    Attributes:
        person: chance that there is a person, 0..1.
        back: chance that they are seen from behind, 0..1.
        azimuth_deg: azimuth of the camera around them, 0 from the front; a rough guess.
        count: how many people of a size are seen, 4 for more than three.
        cut: where the picture's lower edge cuts them, one of `recon.segmentation.CUTS`.
    """

    person: float
    back: float
    azimuth_deg: float
    count: int
    cut: str


@dataclass(frozen=True)
class Guess:
    """A mask that nobody drew.

    Attributes:
        mask: uint8 [H, W], 255 = person.
        quality: 0..1, how far to trust it; see the module that guessed.
    """

    mask: NDArray[np.uint8]
    quality: float
    signs: Signs | None = None


@dataclass(frozen=True)
class MaskResult:
    """A usable mask.

    Attributes:
        mask: uint8 [H, W] of the upright photo, 255 = person, soft at the edges; 0 outside the parts that were kept.
        source: `alpha`, `sibling`, `folder`, `network`, `grabcut`, `onnx`, or a masker's name.
        sha256: SHA-256 of that file's bytes; for all others of the mask's own bytes.
        area_fraction: share of the photo's pixels at 128 or more, 0..1.
        parts: connected parts before cleaning, specks below 1 % of the largest not counted.
        quality: 0..1 for a guessed mask (see the module that guessed); None for a given one.
        masker: name and version of the masker that guessed it, if one did.
        notes: what a user should know.
        signs: what the person network said beside the outline, where it guessed.
    """

    mask: NDArray[np.uint8]
    source: str
    path: Path | None
    sha256: str
    area_fraction: float
    parts: int
    quality: float | None = None
    masker: str | None = None
    notes: tuple[str, ...] = ()
    signs: Signs | None = None
