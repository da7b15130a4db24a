"""The bundled person network at work: loaded once, a photo of any shape in, people and what can be said of them out.

Quality is the IoU with the true outline that the network expects of its own answer (see `recon.segmentation`). The
same photo gives the same mask, whatever is asked before or after it: photos are never batched.
"""

import math
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_file
from mmgen.masks.framing import Window, box_around, framed, unframed, window_on
from mmgen.masks.network_file import PersonModel, read_network
from mmgen.masks.searching import SURE_QUALITY, people_in, sharpened
from mmgen.masks.structures import Guess, Signs

NETWORK_FILE = Path(__file__).with_name("network.safetensors")

MIN_QUALITY = 0.5
"""Answers below this are refused."""

PERSON_CHANCE = 0.5
"""Below this nobody is there, whatever the outline; set on the `val` splits, see the model card."""

BACK_CHANCE = 0.35
"""From this on a person is seen from behind; set on avatars that were held out."""

SMALL_ROWS = 160
"""Of people less high, whose faces are a few pixels, the camera encoder knows the facing better: of 300 photos of
generated people 128 pixels high it is right about all, and about 294 once this network overrules it."""

_SURE_FRONT, _SURE_BACK = 0.05, 0.85
"""Between these chances of a back the camera encoder knows better too; set on avatars that it has learned from."""

WIDEST_CROP = 0.7
"""Width over height of photos that are taken to show one person in the middle."""

SEARCH_ROWS = 1024
"""Height of the copy in which a larger photo is searched."""

_LEAST_SOBER = 0.25
"""Quality times chance of a person, below which nobody is there; from here to what is asked, somebody is seen badly."""

_THRESHOLD = 128
_MARGIN = 0.07
_WORTH_ZOOMING = 1.25


def guess_people(rgb: NDArray[np.uint8], name: str) -> tuple[Guess, ...]:
    """Find the people in a photo, from left to right; the same photo gives the same masks.

    In a photo of a person's shape it is the one in the middle; where they are much smaller than the photo, a second
    look at them alone gives the answer. Wider photos, and those with nobody in the middle, are searched.

    Args:
        rgb: uint8 [H, W, 3].
        name: how messages call the mask.

    Raises:
        ItemError: `no_person`, or `mask_unusable` where no answer is good enough.
        FatalError: `mask_network_unusable` where the bundled file is missing or damaged.
    """
    model = bundled_network()
    middle = best_guess_of(model, rgb)
    height, width = rgb.shape[:2]
    is_crop = width <= WIDEST_CROP * height
    if is_crop and middle.quality >= MIN_QUALITY and is_somebody(middle):
        return (middle,)
    people = _searched(model, rgb, middle)
    if people:
        return tuple(people)
    if _sober(middle).quality < _LEAST_SOBER:
        raise ItemError(
            "no_person",
            f"{name} would be of nobody: the network sees no person in this photo",
            "If there is a person, crop the photo to them, or give a mask with --masks DIR.",
        )
    least = MIN_QUALITY if is_crop else SURE_QUALITY
    if middle.quality < least:
        raise ItemError(
            "mask_unusable",
            f"{name} is not to be trusted: quality {middle.quality:.2f}, at least {least} is needed",
            "Crop the photo to the person, or give a mask with --masks DIR.",
        )
    return (middle,)


def signs_of(rgb: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Signs:
    """What the network says of a person whose outline is known, after one look at them.

    Args:
        rgb: uint8 [H, W, 3].
        mask: uint8 [H, W], 255 = person; somewhere at least 128.

    Raises:
        FatalError: `mask_network_unusable`.
    """
    model = bundled_network()
    window = window_on(box_around(mask >= _THRESHOLD, _MARGIN), (model.config.height, model.config.width))
    return _answer(model, framed(rgb, window))[2]


def facing_said(signs: Signs, rows: float) -> Literal["front", "back"] | None:
    """Where a person faces, if the network sees one and is sure.

    Args:
        rows: how high the person is in the photo, pixels.
    """
    if signs.person < PERSON_CHANCE or rows < SMALL_ROWS or _SURE_FRONT < signs.back < _SURE_BACK:
        return None
    return "back" if signs.back >= BACK_CHANCE else "front"


def is_somebody(guess: Guess) -> bool:
    """Whether there is an outline, and a person in it."""
    return guess.signs is not None and guess.signs.person >= PERSON_CHANCE and bool((guess.mask >= _THRESHOLD).any())


def best_guess_of(model: PersonModel, rgb: NDArray[np.uint8]) -> Guess:
    """A network's answer about the person in the middle of a photo, good or bad."""
    height, width = rgb.shape[:2]
    window = window_on((0, 0, width, height), (model.config.height, model.config.width))
    values, quality, signs = _answer(model, framed(rgb, window))
    closer = _closer(values, window, (height, width))
    if closer is not None:
        near = _answer(model, framed(rgb, closer))
        if (near[0] >= _THRESHOLD).any():
            window, (values, quality, signs) = closer, near
    return Guess(sharpened(rgb, values, window), quality, signs)


@cache
def bundled_network() -> PersonModel:
    """The network that comes with mmgen, one for the process.

    Raises:
        FatalError: `mask_network_unusable`.
    """
    return read_network(NETWORK_FILE)


@cache
def network_sha256() -> str:
    """Hash of the bundled file; `none` where it is missing."""
    return sha256_file(NETWORK_FILE) if NETWORK_FILE.is_file() else "none"


def _answer(model: PersonModel, frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float, Signs]:
    """Mask [h, w], 0..255, quality, and what else is said of one frame [h, w, 3]."""
    import torch

    from recon.segmentation import CUTS

    with torch.inference_mode():
        said = model.network(torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255)
        values = (torch.sigmoid(said.mask[0]) * 255).round().byte().numpy()
        person, back, quality = (float(torch.sigmoid(one[0])) for one in (said.person, said.back, said.quality))
        azimuth = math.degrees(math.atan2(float(said.turn[0, 1]), float(said.turn[0, 0])))
        count, cut = int(said.number[0].argmax()) + 1, CUTS[int(said.cut[0].argmax())]
    return values, quality, Signs(person, back, azimuth, count, cut)


def _searched(model: PersonModel, rgb: NDArray[np.uint8], middle: Guess) -> list[Guess]:
    """Everybody in a photo, from left to right; large photos are searched in a small copy."""
    height, width = rgb.shape[:2]
    scale = min(1.0, SEARCH_ROWS / height)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small, seen = (
        np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX)) for picture in (rgb, middle.mask)
    )
    start = _sober(Guess(seen, middle.quality, middle.signs))
    people = []
    for guess in people_in(partial(_look, model, small), (size[1], size[0]), start):
        left, top, right, bottom = box_around(guess.mask >= _THRESHOLD, _MARGIN)
        box = (left * width // size[0], top * height // size[1], right * width // size[0], bottom * height // size[1])
        people.append(_look(model, rgb, box, is_final=True))
    return people


def _look(model: PersonModel, rgb: NDArray[np.uint8], box: tuple[int, int, int, int], is_final: bool = False) -> Guess:
    """A network's answer about a part of a photo; its edges are drawn along the photo's only where it is final."""
    window = window_on(box, (model.config.height, model.config.width))
    values, quality, signs = _answer(model, framed(rgb, window))
    photo_size = (rgb.shape[0], rgb.shape[1])
    mask = sharpened(rgb, values, window) if is_final else unframed(values, window, photo_size)
    return _sober(Guess(mask, quality, signs))


def _sober(guess: Guess) -> Guess:
    """A guess whose quality counts for as much as it is likely that anybody is there: many looks find many things."""
    chance = guess.signs.person if guess.signs is not None and is_somebody(guess) else 0.0
    return Guess(guess.mask, guess.quality * chance, guess.signs)


def _closer(values: NDArray[np.uint8], window: Window, photo_size: tuple[int, int]) -> Window | None:
    """A window on the person alone; None where nobody was found, or the one at hand shows them well enough."""
    from scipy.ndimage import label

    person = values >= _THRESHOLD
    person[: window.rows[0]] = person[window.rows[1] :] = False
    person[:, : window.columns[0]] = person[:, window.columns[1] :] = False
    if not person.any():
        return None
    labels, _ = label(person, np.ones((3, 3)))
    main = labels == np.bincount(labels[person]).argmax()
    found = unframed(np.where(main, np.uint8(255), np.uint8(0)), window, photo_size) >= _THRESHOLD
    if not found.any():
        return None
    closer = window_on(box_around(found, _MARGIN), window.frame_size)
    return closer if closer.rows_per_pixel > _WORTH_ZOOMING * window.rows_per_pixel else None
