"""Photos of any shape in the frame that the mask network looks at, and its answer back in theirs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PAD_GREY = 128
"""What stands beside photos of another shape than the frame."""

LARGEST_STRETCH = 1.3
"""A photo may be made this much wider or narrower to fill the frame; the rest is padded."""


@dataclass(frozen=True)
class Window:
    """A part of a photo, and the part of the frame that shows it.

    Attributes:
        left, top, right, bottom: in the photo, pixels.
        columns, rows: first and beyond the last, in the frame.
        frame_size: height and width of the frame.
    """

    left: int
    top: int
    right: int
    bottom: int
    columns: tuple[int, int]
    rows: tuple[int, int]
    frame_size: tuple[int, int]

    @property
    def rows_per_pixel(self) -> float:
        """How large the photo is shown."""
        return (self.rows[1] - self.rows[0]) / (self.bottom - self.top)


def window_on(box: tuple[int, int, int, int], frame_size: tuple[int, int]) -> Window:
    """The window that shows a part of a photo in the middle of the frame, as large as goes.

    Args:
        box: left, top, right, bottom in the photo, pixels.
        frame_size: height and width.
    """
    left, top, right, bottom = box
    height, width = frame_size
    wide, high = width / (right - left), height / (bottom - top)
    scale_x, scale_y = min(wide, LARGEST_STRETCH * high), min(high, LARGEST_STRETCH * wide)
    columns = max(round((right - left) * scale_x), 1)
    rows = max(round((bottom - top) * scale_y), 1)
    first_column, first_row = (width - columns) // 2, (height - rows) // 2
    return Window(*box, (first_column, first_column + columns), (first_row, first_row + rows), frame_size)


def framed(rgb: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """[*frame_size, 3]: what a window on a photo [H, W, 3] shows, grey around it."""
    frame = np.full((*window.frame_size, 3), PAD_GREY, np.uint8)
    piece = Image.fromarray(np.ascontiguousarray(rgb[window.top : window.bottom, window.left : window.right]))
    size = (window.columns[1] - window.columns[0], window.rows[1] - window.rows[0])
    shown = piece.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    frame[slice(*window.rows), slice(*window.columns)] = np.asarray(shown)
    return frame


def unframed(values: NDArray[np.uint8], window: Window, photo_size: tuple[int, int]) -> NDArray[np.uint8]:
    """[*photo_size]: values [*frame_size] of the frame back in the photo; 0 outside the window."""
    photo = np.zeros(photo_size, np.uint8)
    shown = Image.fromarray(np.ascontiguousarray(values[slice(*window.rows), slice(*window.columns)]))
    size = (window.right - window.left, window.bottom - window.top)
    photo[window.top : window.bottom, window.left : window.right] = np.asarray(
        shown.resize(size, Image.Resampling.BILINEAR)
    )
    return photo


def box_around(person: NDArray[np.bool_], margin: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom around what is True in [H, W], with a margin in heights of it, cut off at the photo.

    Widened to half its height where the photo allows, the shape of the frame.
    """
    rows, columns = np.flatnonzero(person.any(axis=1)), np.flatnonzero(person.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    extra = margin * (bottom - top)
    half = max((right - left) / 2 + extra, (bottom - top + 2 * extra) / 4)
    middle = (left + right) / 2
    height, width = person.shape
    return (
        max(round(middle - half), 0),
        max(round(top - extra), 0),
        min(round(middle + half), width),
        min(round(bottom + extra), height),
    )
