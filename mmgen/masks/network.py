"""The bundled mask network at work: loaded once, a photo of any shape in, an outline and its quality out.

Quality is the IoU with the true outline that the network expects of its own answer (see `recon.segmentation`). The
same photo gives the same mask, whatever is asked before or after it: photos are never batched.
"""

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_file
from mmgen.core.listing import display_name
from mmgen.masks.framing import Window, box_around, framed, unframed, window_on
from mmgen.masks.searching import SURE_QUALITY, people_in
from mmgen.masks.structures import Guess

if TYPE_CHECKING:
    from recon.segmentation import MaskNetwork

NETWORK_FILE = Path(__file__).with_name("network.safetensors")
SCHEMA = "mmgen.mask-network/1"
HEADER_KEY = "mmgen"

MIN_QUALITY = 0.5
"""Answers below this are refused."""

WIDEST_CROP = 0.7
"""Width over height of photos that are taken to show one person in the middle."""

SEARCH_ROWS = 1024
"""Height of the copy in which a larger photo is searched."""

_THRESHOLD = 128
_MARGIN = 0.07
_WORTH_ZOOMING = 1.15


def guess_people(rgb: NDArray[np.uint8], name: str) -> tuple[Guess, ...]:
    """Find the people in a photo, from left to right; the same photo gives the same masks.

    In a photo of a person's shape it is the one in the middle; where they are much smaller than the photo, a second
    look at them alone gives the answer. Wider photos, and those with nobody in the middle, are searched.

    Args:
        rgb: uint8 [H, W, 3].
        name: how messages call the mask.

    Raises:
        ItemError: `mask_unusable` where no person is seen, or no answer is good enough.
        FatalError: `mask_network_unusable` where the bundled file is missing or damaged.
    """
    network = bundled_network()
    middle = best_guess_of(network, rgb)
    height, width = rgb.shape[:2]
    is_crop = width <= WIDEST_CROP * height
    if is_crop and middle.quality >= MIN_QUALITY and (middle.mask >= _THRESHOLD).any():
        return (middle,)
    people = _searched(network, rgb, middle)
    if people:
        return tuple(people)
    if not (middle.mask >= _THRESHOLD).any():
        raise _unusable(f"{name} would be empty: the mask network sees no person")
    least = MIN_QUALITY if is_crop else SURE_QUALITY
    if middle.quality < least:
        raise _unusable(f"{name} is not to be trusted: quality {middle.quality:.2f}, at least {least} is needed")
    return (middle,)


def best_guess_of(network: "MaskNetwork", rgb: NDArray[np.uint8]) -> Guess:
    """A network's answer, good or bad."""
    height, width = rgb.shape[:2]
    frame_size = (network.config.height, network.config.width)
    whole = window_on((0, 0, width, height), frame_size)
    values, quality = _answer(network, framed(rgb, whole))
    closer = _closer(values, whole, (height, width))
    if closer is not None:
        near_values, near_quality = _answer(network, framed(rgb, closer))
        if (near_values >= _THRESHOLD).any():
            whole, values, quality = closer, near_values, near_quality
    return Guess(unframed(values, whole, (height, width)), quality)


@cache
def bundled_network() -> "MaskNetwork":
    """The network that comes with mmgen, one for the process.

    Raises:
        FatalError: `mask_network_unusable`.
    """
    return read_network(NETWORK_FILE)


@cache
def network_sha256() -> str:
    """Hash of the bundled file; `none` where it is missing."""
    return sha256_file(NETWORK_FILE) if NETWORK_FILE.is_file() else "none"


def read_network(path: Path) -> "MaskNetwork":
    """Build the network of a file that `write_network` wrote.

    Raises:
        FatalError: `mask_network_unusable`.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    from recon.segmentation import MaskNetwork, MaskNetworkConfig

    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[HEADER_KEY])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
        if header["schema"] != SCHEMA:
            raise ValueError(f"schema {header['schema']!r}, not {SCHEMA!r}")
        network = MaskNetwork(MaskNetworkConfig.from_dict(header["config"]), is_folded=True)
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FatalError(
            "mask_network_unusable",
            f"the mask network {display_name(path)} cannot be used: {first}"[:300],
            "Install mmgen again, or give masks with --masks DIR.",
        ) from error
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def write_network(path: Path, network: "MaskNetwork", about: dict[str, Any]) -> None:
    """Write a folded network in half precision, whole or not at all; the same network gives the same bytes.

    Args:
        path: where to.
        network: as `recon.segmentation.folded` gives it.
        about: more for the header; JSON values.
    """
    from safetensors.torch import save

    from mmgen.core.files import write_bytes_atomic

    header = {"schema": SCHEMA, "config": network.config.to_dict(), **about}
    tensors = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    write_bytes_atomic(path, save(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True, allow_nan=False)}))


def _answer(network: "MaskNetwork", frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Mask [h, w], 0..255, and quality of one frame [h, w, 3]."""
    import torch

    with torch.inference_mode():
        logits, apply_quality_gate = network(torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255)
        values = (torch.sigmoid(logits[0]) * 255).round().byte().numpy()
        return values, float(torch.sigmoid(apply_quality_gate[0]))


def _searched(network: "MaskNetwork", rgb: NDArray[np.uint8], middle: Guess) -> list[Guess]:
    """Everybody in a photo; large photos are searched in a small copy, and looked at themselves where somebody is."""
    height, width = rgb.shape[:2]
    if height <= SEARCH_ROWS:
        return people_in(partial(_look, network, rgb), (height, width), middle)
    size = (max(round(width * SEARCH_ROWS / height), 1), SEARCH_ROWS)
    small, seen = (
        np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX)) for picture in (rgb, middle.mask)
    )
    found = people_in(partial(_look, network, small), (size[1], size[0]), Guess(seen, middle.quality))
    people = []
    for guess in found:
        left, top, right, bottom = box_around(guess.mask >= _THRESHOLD, _MARGIN)
        box = (left * width // size[0], top * height // size[1], right * width // size[0], bottom * height // size[1])
        people.append(_look(network, rgb, box))
    return people


def _look(network: "MaskNetwork", rgb: NDArray[np.uint8], box: tuple[int, int, int, int]) -> Guess:
    """A network's answer about a part of a photo."""
    window = window_on(box, (network.config.height, network.config.width))
    values, quality = _answer(network, framed(rgb, window))
    return Guess(unframed(values, window, (rgb.shape[0], rgb.shape[1])), quality)


def _closer(values: NDArray[np.uint8], window: Window, photo_size: tuple[int, int]) -> Window | None:
    """A window on the person alone; None where nobody was found, or the one at hand shows them well enough."""
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


def _unusable(what: str) -> ItemError:
    return ItemError("mask_unusable", what, "Crop the photo to the person, or give a mask with --masks DIR.")
