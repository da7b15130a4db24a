"""Where a person stands in a scene, and what stands, falls or lies around them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmgen.mask_training.scenes.backgrounds import Picture, Size, blend, noise, shaded

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Placement:
    """A place in the frame.

    Attributes:
        height: height of the person's box, as a share of the frame's.
        x: middle of the box from the frame's, in widths of the frame.
        y: the same, in heights.
        stretch: scale of the person in x.
        turn_deg: turn of the person.
    """

    height: float
    x: float
    y: float
    stretch: float
    turn_deg: float

    def matrix(self, box: NDArray[np.int64], size: Size) -> NDArray[np.float64]:
        """[2, 3] from the pixels of a cut-out, whose person fills `box` (top, bottom, left, right), to the frame's."""
        top, bottom, left, right = (float(side) for side in box)
        scale, turn = self.height * size[0] / (bottom - top), np.deg2rad(self.turn_deg)
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        linear = turned @ np.diag([scale * self.stretch, scale])
        middle = np.array([left + right - 1, top + bottom - 1]) / 2
        target = np.array([size[1] * (0.5 + self.x), size[0] * (0.5 + self.y)]) - 0.5
        return np.column_stack([linear, target - linear @ middle])


def shadowed(generator: np.random.Generator, picture: Picture, mask: Mask) -> Picture:
    """Dark ground under the feet, and at times a cast shadow: the outline, laid down to one side."""
    height, width = mask.shape
    rows = np.flatnonzero((mask >= 128).any(axis=1))
    if len(rows) == 0:
        return picture
    foot_y = int(rows[-1])
    foot_x = int(np.flatnonzero((mask[max(foot_y - height // 10, 0) : foot_y + 1] >= 128).any(axis=0)).mean())
    dark = np.zeros_like(mask)
    axes = (int(generator.uniform(0.1, 0.3) * width), int(generator.uniform(0.01, 0.05) * height))
    cv2.ellipse(dark, (foot_x, foot_y), axes, 0, 0, 360, 255, -1)
    if generator.random() < 0.5:
        lean, flat = generator.uniform(-1.2, 1.2), generator.uniform(-0.5, 0.3)
        matrix = np.array([[1, lean, -lean * foot_y], [0, flat, foot_y * (1 - flat)]])
        dark = np.maximum(dark, cv2.warpAffine(mask, matrix, (width, height)))
    dark = np.asarray(cv2.GaussianBlur(dark, (0, 0), float(generator.uniform(1, 5))), np.uint8)
    depth = generator.uniform(0.2, 0.7)
    return shaded(picture, np.float32(0.5) - dark.astype(np.float32) / np.float32(255), float(depth))


def occluded(generator: np.random.Generator, picture: Picture, mask: Mask, palette: Picture) -> tuple[Picture, Mask]:
    """A pole, a box or a blob in front of the person; what it hides is not in the mask."""
    height, width = mask.shape
    front = np.zeros_like(mask)
    x, y = int(generator.integers(width)), int(generator.integers(height // 4, height))
    kind = generator.integers(3)
    if kind == 0:
        cv2.rectangle(front, (x, 0), (x + int(generator.integers(2, 14)), height), 255, -1)
    elif kind == 1:
        half, high = int(generator.integers(6, width // 3)), int(generator.integers(6, height // 5))
        cv2.rectangle(front, (x - half, y), (x + half, y + high), 255, -1)
    else:
        axes = (int(generator.integers(5, width // 4)), int(generator.integers(5, height // 8)))
        cv2.ellipse(front, (x, y), axes, float(generator.uniform(0, 90)), 0, 360, 255, -1)
    front = np.asarray(cv2.GaussianBlur(front, (0, 0), 0.7), np.uint8)
    plain = np.empty_like(picture)
    plain[:] = palette[generator.integers(len(palette))]
    thing = shaded(plain, noise(generator, (height, width), 3), 0.6)
    return blend(picture, thing, front), np.asarray(cv2.multiply(mask, 255 - front, scale=1 / 255), np.uint8)
