"""People in photos that are larger than a person: looked for window by window, then looked at one by one.

The mask network answers for the person in the middle of what it is shown, and judges its answer. A window that has
somebody in its middle, a third as high as the window or more, finds them; everybody found is looked at again, alone.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.masks.framing import Window, box_around
from mmgen.masks.structures import Guess

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, pixels."""
Look = Callable[[Box], Guess]
"""What the network sees in a part of the photo; the mask is the whole photo's."""

SURE_QUALITY = 0.8
"""Of people who were searched for; more is asked than of the one in the middle, as many windows are looked at."""

_STEP_ACROSS = 0.4
"""From window to window, as a share of their width."""
_WIDTH = 0.5
_WORTH_A_LOOK = 0.7
_MARGINS = (0.35, 0.07)
"""Around somebody who was found, to see what a window cut off; then to see them as large as goes."""
_SAME = 0.4
_SHAPE = (1.2, 7.0)
_HEIGHT = 0.5
_AT_EDGE = 0.1


def people_in(look: Look, photo_size: tuple[int, int], middle: Guess) -> list[Guess]:
    """Everybody who is whole, upright, and at least half as high as the highest; from left to right.

    Args:
        photo_size: (height, width), pixels.
    """
    found: list[Guess] = []
    for start in _candidates([middle, *(look(box) for box in _windows(photo_size))]):
        guess = _looked_at(look, start)
        if guess is not None and not any(_overlap(_person(guess), _person(other)) > _SAME for other in found):
            found.append(guess)
    highest = max((_height(guess) for guess in found), default=0)
    whole = [guess for guess in found if _height(guess) >= _HEIGHT * highest]
    return sorted(whole, key=lambda guess: np.flatnonzero(_person(guess).any(axis=0)).mean())


def _windows(photo_size: tuple[int, int]) -> Iterator[Box]:
    """As high as the photo, from left to right. In smaller ones a rocket is as good as a person."""
    height, width = photo_size
    wide = min(height * _WIDTH, width)
    for left in _starts(width - wide, _STEP_ACROSS * wide):
        yield round(left), 0, round(left + wide), height


def _starts(room: float, step: float) -> list[float]:
    """From 0 to `room` in equal steps, none longer than `step`."""
    return [float(start) for start in np.linspace(0, room, 1 + int(np.ceil(room / step - 1e-9)))]


def _candidates(guesses: list[Guess]) -> list[NDArray[np.bool_]]:
    """What windows saw, best first, each person once."""
    kept: list[NDArray[np.bool_]] = []
    for guess in sorted(guesses, key=lambda guess: -guess.quality):
        person = _person(guess)
        if guess.quality >= _WORTH_A_LOOK and person.any() and not any(_overlap(person, one) > _SAME for one in kept):
            kept.append(person)
    return kept


def _looked_at(look: Look, person: NDArray[np.bool_]) -> Guess | None:
    """Somebody seen alone, as large as goes; None where that is nobody, or not all of them."""
    for margin in _MARGINS:
        guess = look(box_around(person, margin))
        person = _person(guess)
        if not person.any():
            return None
    rows, columns = np.flatnonzero(person.any(axis=1)), np.flatnonzero(person.any(axis=0))
    high, wide = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
    at_edge = max(person[:, 0].sum(), person[:, -1].sum())
    is_whole = _SHAPE[0] <= high / wide <= _SHAPE[1] and at_edge <= _AT_EDGE * high
    return guess if guess.quality >= SURE_QUALITY and is_whole else None


def _person(guess: Guess) -> NDArray[np.bool_]:
    """The largest part of a mask."""
    from scipy.ndimage import label

    person = guess.mask >= 128
    if not person.any():
        return person
    labels, _ = label(person, np.ones((3, 3)))
    return np.asarray(labels == np.bincount(labels[person]).argmax())


def _height(guess: Guess) -> int:
    return int(np.count_nonzero(_person(guess).any(axis=1)))


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Share of the smaller of two people that the other covers too."""
    least = min(np.count_nonzero(one), np.count_nonzero(other))
    return float(np.count_nonzero(one & other)) / least if least else 0.0


_ROWS = 512
_RADIUS = 6
"""Of the boxes in which lines are fitted, pixels of a window `_ROWS` high."""
_EPS = 1e-4
"""Of the guide's variance, 0..1 squared: edges much weaker than its root are not followed."""


def sharpened(rgb: NDArray[np.uint8], values: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    """[H, W]: an answer for a window on a photo, in the photo, its edges along the photo's; 0 outside the window.

    Args:
        rgb: uint8 [H, W, 3].
        values: uint8 of the frame's size, 255 = person.
        window: which part of the photo the frame showed.
    """
    piece = rgb[window.top : window.bottom, window.left : window.right]
    guide = np.asarray(Image.fromarray(np.ascontiguousarray(piece)).convert("L"))
    shown = np.ascontiguousarray(values[slice(*window.rows), slice(*window.columns)])
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[window.top : window.bottom, window.left : window.right] = _filtered(guide, shown)
    return mask


def _filtered(guide: NDArray[np.uint8], values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = guide.shape
    scale = min(1.0, _ROWS / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    fitted = _unit(Image.fromarray(guide).resize(size, Image.Resampling.BOX))
    wanted = _unit(Image.fromarray(values).resize(size, Image.Resampling.BILINEAR))
    radius = max(1, round(_RADIUS * size[1] / _ROWS))
    slope, level = _lines(fitted, wanted, radius)
    if scale < 1:
        slope, level = (np.asarray(Image.fromarray(part).resize((width, height), Image.Resampling.BILINEAR))
                        for part in (slope, level))  # fmt: skip
    soft = slope * (guide.astype(np.float32) / 255) + level
    return (np.clip(soft, 0, 1) * 255 + 0.5).astype(np.uint8)


def _unit(picture: Image.Image) -> NDArray[np.float32]:
    return np.asarray(picture, np.float32) * np.float32(1 / 255)


def _lines(
    guide: NDArray[np.float32], wanted: NDArray[np.float32], radius: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and level of the lines from guide to mask, each the mean over the boxes around."""
    mean, target = _mean(guide, radius), _mean(wanted, radius)
    variance = _mean(guide * guide, radius) - mean * mean
    slope = ((_mean(guide * wanted, radius) - mean * target) / (variance + _EPS)).astype(np.float32)
    return _mean(slope, radius), _mean(target - slope * mean, radius)


def _mean(picture: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Mean over boxes of 2 * radius + 1, cut off at the picture's edges as if it were mirrored there."""
    import torch
    from torch.nn import functional

    padded = functional.pad(torch.from_numpy(picture)[None, None], (radius,) * 4, mode="replicate")
    side = 2 * radius + 1
    across = functional.avg_pool2d(padded, (1, side), stride=1)
    return np.asarray(functional.avg_pool2d(across, (side, 1), stride=1)[0, 0].numpy())
