"""The person's crop of a photo.

Positions are continuous pixel coordinates (x right, y down): pixel (row i, column j) covers [j, j + 1] x [i, i + 1], so
its centre is (j + 0.5, i + 0.5) and the photo covers [0, W] x [0, H].
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError

PERSON_ASPECT = 2.0
"""Height over width of a crop."""

PERSON_MARGIN = 0.08
"""Free space around the person on each side, as a share of the person's own box."""

_THRESHOLD = 128


@dataclass(frozen=True)
class CropBox:
    """A rectangle in the photo's continuous pixel coordinates; it may reach beyond the photo."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right limit."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower limit."""
        return self.top + self.height


def person_crop(
    mask: NDArray[np.uint8], aspect: float = PERSON_ASPECT, margin: float = PERSON_MARGIN, name: str = "mask"
) -> CropBox:
    """The smallest box of the given aspect around the person and its margin, centred on the person's own box.

    Args:
        mask: uint8 [H, W], 255 = person; pixels at 128 or more count.
        aspect: height over width.
        margin: added on each side, as a share of the person's width or height.

    Raises:
        ItemError: `mask_empty`.
    """
    rows, columns = (np.flatnonzero((mask >= _THRESHOLD).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise ItemError("mask_empty", f"{name} marks no person", "Draw the person in white on black.")
    top, bottom, left, right = float(rows[0]), float(rows[-1] + 1), float(columns[0]), float(columns[-1] + 1)
    height = max(bottom - top, (right - left) * aspect) * (1 + 2 * margin)
    width = height / aspect
    return CropBox((left + right - width) / 2, (top + bottom - height) / 2, width, height)


def apply_crop(
    image: NDArray[np.uint8], box: CropBox, size: tuple[int, int], beyond: Literal["edge", "zero"] = "edge"
) -> NDArray[np.uint8]:
    """Cut the box out and resample it, free of aliasing and of shifts.

    Args:
        image: uint8 [H, W, 3] or [H, W].
        size: (height, width) of the result.
        beyond: what lies outside the photo: its last pixels repeated (photos), or 0 (masks).

    Returns:
        uint8 [h, w, 3] or [h, w]; Lanczos for colours, a triangle filter for masks (no overshoot).
    """
    # The filter looks beyond the box: by three pixels of the result at most (Lanczos).
    across, down = (ceil(3 * max(span, 1.0)) for span in (box.width / size[1], box.height / size[0]))
    left, right = floor(box.left) - across, ceil(box.right) + across
    top, bottom = floor(box.top) - down, ceil(box.bottom) + down
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if inside.shape[:2] == (bottom - top, right - left):
        cut = inside
    else:
        cut = _reaching_out(image, (top, bottom), (left, right), beyond)
    kernel = Image.Resampling.LANCZOS if image.ndim == 3 else Image.Resampling.BILINEAR
    area = (box.left - left, box.top - top, box.right - left, box.bottom - top)
    return np.array(Image.fromarray(cut).resize((size[1], size[0]), kernel, box=area))


def _reaching_out(
    image: NDArray[np.uint8], vertical: tuple[int, int], horizontal: tuple[int, int], beyond: Literal["edge", "zero"]
) -> NDArray[np.uint8]:
    """Rows and columns from first to before last, of which some lie outside the photo."""
    rows, columns = np.arange(*vertical), np.arange(*horizontal)
    height, width = image.shape[:2]
    # Rows first: `take` copies whole rows, many times faster than picking pixel by pixel.
    cut = image.take(rows, axis=0, mode="clip").take(columns, axis=1, mode="clip")
    if beyond == "zero":
        cut[(rows < 0) | (rows >= height)] = 0
        cut[:, (columns < 0) | (columns >= width)] = 0
    return cut
