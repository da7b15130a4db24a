"""How good a person network is: on photos and clothes of the `val` splits and on avatars that were held out."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mmgen.masks.network as network
from mmgen.core.errors import ItemError
from mmgen.mask_training import bank
from mmgen.mask_training.bank import Item
from mmgen.mask_training.folders import Folders
from mmgen.mask_training.manifest import PersonManifest
from mmgen.mask_training.scenes.compose import BACK_DEG, CUT_FRACTIONS, FRONT_DEG
from mmgen.mask_training.scenes.grounds import street
from mmgen.masks.cleaning import clean_mask
from mmgen.masks.framing import framed, window_on
from mmgen.masks.network_file import PersonModel
from mmgen.masks.structures import Guess, Signs

_WORST = 12
_AVATAR_STEP = 3
_GREYS = {"white": 255, "grey": 128, "black": 0}
_HEIGHT = 512
_WEAK_FRONT = 60.0


def measure(model: PersonModel, folders: Folders, manifest: PersonManifest, sheet: Path | None) -> dict[str, Any]:
    """All figures as JSON values.

    Args:
        folders: `people` and `nobody` with a `val` split; perhaps `avatars`, and `things`, further photos of nobody.
    """
    network.bundled_network = lambda: model  # type: ignore[assignment]
    names = bank.read_split(folders.people, "val")
    photos = [bank.read_rgb(folders.people, name) for name in names]
    labels = [np.asarray(Image.open(folders.people / "labels" / f"{name}.png")) > 0 for name in names]
    figures: dict[str, Any] = {"photos": _photos(photos, labels, names, sheet)}
    masks = [label.astype(np.uint8) * 255 for label in labels]
    figures["signs"] = _signs([network.signs_of(rgb, mask) for rgb, mask in zip(photos, masks, strict=True)])
    figures["cuts"] = _cuts(model, photos, labels)
    clothes = [item.picture[..., :3] for item in bank.people_free(folders.nobody, "val")]
    figures["clothes"] = _nobody(clothes)
    if folders.things is not None:
        figures["things"] = _nobody([item.picture[..., :3] for item in bank.loose_pictures(folders.things)])
    figures["composites"] = {str(number): _composites(photos, number) for number in (2, 4)}
    if folders.avatars is not None:
        figures["avatars"] = _avatars(model, folders.avatar_items(manifest, True)[::_AVATAR_STEP], photos, labels)
    return figures


def iou(found: NDArray[np.uint8], truth: NDArray[np.bool_]) -> float:
    """Overlap at half coverage, 0..1; 1 where both are empty."""
    inside = found >= 128
    union = np.count_nonzero(inside | truth)
    return np.count_nonzero(inside & truth) / union if union else 1.0


def _photos(
    photos: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.bool_]], names: Sequence[str], sheet: Path | None
) -> dict[str, Any]:
    overlaps, seconds, refused, errors = [], [], [], []
    found: list[NDArray[np.uint8]] = []
    for rgb, label, name in zip(photos, labels, names, strict=True):
        started = time.process_time()
        guesses = _guessed(rgb)
        seconds.append(time.process_time() - started)
        best = max(guesses, key=lambda guess: np.count_nonzero(guess.mask >= 128), default=None)
        if best is None:
            refused.append(name)
            found.append(np.zeros(label.shape, np.uint8))
        else:
            found.append(clean_mask(best.mask, name).mask)
        overlaps.append(iou(found[-1], label))
        errors.append(abs(overlaps[-1] - (best.quality if best else 0)))
    order = np.argsort(overlaps)
    if sheet is not None:
        _show(sheet, [(photos[index], labels[index], found[index]) for index in order[:_WORST]])
    return {
        **_spread(overlaps),
        "refused": refused,
        "quality_error": round(float(np.mean(errors)), 4),
        "milliseconds": round(1e3 * float(np.median(seconds)), 1),
        "worst": {names[index]: round(overlaps[index], 3) for index in order[:_WORST]},
    }


def _spread(overlaps: Sequence[float]) -> dict[str, float]:
    values = np.array(overlaps)
    return {
        "n": len(values),
        "iou_mean": round(float(values.mean()), 4),
        "iou_median": round(float(np.median(values)), 4),
        "below_0.8": int((values < 0.8).sum()),
    }


def _signs(signs: Sequence[Signs]) -> dict[str, Any]:
    backs = np.array([one.back for one in signs])
    return {
        "front": round(float((backs < network.BACK_CHANCE).mean()), 4),
        "back_chance_highest": [round(float(value), 3) for value in np.sort(backs)[-6:]],
        "person_lowest": [round(value, 3) for value in sorted(one.person for one in signs)[:6]],
        "one": round(float(np.mean([one.count == 1 for one in signs])), 4),
        "whole": round(float(np.mean([one.cut == "none" for one in signs])), 4),
    }


def _cuts(
    model: PersonModel, photos: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.bool_]]
) -> dict[str, dict[str, float]]:
    """Photos cut off in the middle of each class: shares found cut, given the right class, taken for people."""
    result = {}
    for cut, between in CUT_FRACTIONS.items():
        said = []
        for rgb, label in zip(photos, labels, strict=True):
            rows = np.flatnonzero(label.any(axis=1))
            last = int(rows[0] + np.mean(between) * (rows[-1] - rows[0]))
            piece = np.ascontiguousarray(rgb[:last])
            said.append(network.best_guess_of(model, piece).signs)
        known = [one for one in said if one is not None]
        result[cut] = {
            "cut": round(float(np.mean([one.cut != "none" for one in known])), 3),
            "right": round(float(np.mean([one.cut == cut for one in known])), 3),
            "person": round(float(np.mean([one.person >= network.PERSON_CHANCE for one in known])), 3),
        }
    return result


def _nobody(pictures: Iterable[NDArray[np.uint8]]) -> dict[str, Any]:
    """How many photos of nobody give somebody."""
    taken, number = [], 0
    for number, rgb in enumerate(pictures, 1):
        if _guessed(np.ascontiguousarray(rgb)):
            taken.append(number - 1)
    return {"n": number, "taken": len(taken), "which": taken}


def _composites(photos: Sequence[NDArray[np.uint8]], number: int) -> dict[str, Any]:
    """Photos side by side: how many people are found."""
    rows = min(rgb.shape[0] for rgb in photos)
    counts = []
    for first in range(0, min(len(photos), 40) - number + 1, number):
        side = np.concatenate([rgb[:rows] for rgb in photos[first : first + number]], axis=1)
        counts.append(len(_guessed(np.ascontiguousarray(side))))
    return {"n": len(counts), "right": counts.count(number), "found": counts}


def _avatars(
    model: PersonModel, items: Sequence[Item], photos: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.bool_]]
) -> dict[str, Any]:
    """Facing and outline of held-out avatars, before plain grounds and before sides of photos."""
    streets = [np.dstack([rgb, label.astype(np.uint8) * 255]) for rgb, label in zip(photos, labels, strict=True)]
    generator = np.random.default_rng(0)

    def plain(level: int) -> Callable[[int], NDArray[np.uint8]]:
        return lambda _: np.full((_HEIGHT, _HEIGHT * 2 // 3, 3), level, np.uint8)

    grounds: dict[str, Callable[[int], NDArray[np.uint8]]] = {name: plain(level) for name, level in _GREYS.items()}
    grounds["street"] = lambda index: street(generator, streets[index % len(streets)], (_HEIGHT, _HEIGHT * 2 // 3))
    return {
        name: _facing(model, ((item, *_pasted(item, make(index))) for index, item in enumerate(items)))
        for name, make in grounds.items()
    }


def _facing(model: PersonModel, pasted: Iterable[tuple[Item, NDArray[np.uint8], NDArray[np.uint8]]]) -> dict[str, Any]:
    turns, backs, overlaps = [], [], []
    for item, rgb, mask in pasted:
        guess = network.best_guess_of(model, rgb)
        assert guess.signs is not None
        turns.append(abs(item.azimuth_deg))
        backs.append(guess.signs.back)
        overlaps.append(iou(guess.mask, mask >= 128))
    turn, back = np.array(turns), np.array(backs)
    fronts, others = back[turn <= FRONT_DEG], back[turn >= BACK_DEG]
    clear = back[turn <= _WEAK_FRONT], back[turn >= 180 - _WEAK_FRONT]
    return {
        **_spread(overlaps),
        "front_right": round(float((fronts < network.BACK_CHANCE).mean()), 4),
        "back_right": round(float((others >= network.BACK_CHANCE).mean()), 4),
        "front_right_60": round(float((clear[0] < network.BACK_CHANCE).mean()), 4),
        "back_right_60": round(float((clear[1] >= network.BACK_CHANCE).mean()), 4),
        "best_threshold": _best_threshold(fronts, others),
        "auc": round(float((others[:, None] > fronts[None]).mean()), 4),
    }


def _best_threshold(fronts: NDArray[np.float64], backs: NDArray[np.float64]) -> float:
    """Where as many fronts as backs are right."""
    steps = np.linspace(0.02, 0.98, 97)
    worse = [min((fronts < step).mean(), (backs >= step).mean()) for step in steps]
    best = np.flatnonzero(np.array(worse) == max(worse))
    return round(float(steps[best].mean()), 3)


def _pasted(item: Item, sheet: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An avatar in the middle of a ground, nine tenths high or as wide as goes; and its mask."""
    height, width = sheet.shape[:2]
    high, wide = item.picture.shape[:2]
    scale = min(0.9 * height / high, 0.96 * width / wide)
    person = cv2.resize(item.picture, (round(wide * scale), round(high * scale)), interpolation=cv2.INTER_LINEAR)
    top, left = (height - person.shape[0]) // 2, (width - person.shape[1]) // 2
    mask = np.zeros((height, width), np.uint8)
    part = (slice(top, top + person.shape[0]), slice(left, left + person.shape[1]))
    mask[part] = person[..., 3]
    share = person[..., 3:].astype(np.float32) / 255
    rgb = sheet.copy()
    rgb[part] = (person[..., :3] * share + rgb[part] * (1 - share) + 0.5).astype(np.uint8)
    return rgb, mask


def _guessed(rgb: NDArray[np.uint8]) -> tuple[Guess, ...]:
    try:
        return network.guess_people(rgb, "mask")
    except ItemError:
        return ()


def _show(path: Path, rows: Sequence[tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.uint8]]]) -> None:
    """Photos with the label's outline in green and the found one in red."""
    tiles = []
    for rgb, label, found in rows:
        tile = rgb.copy()
        for mask, colour in ((label.astype(np.uint8), (0, 255, 0)), ((found >= 128).astype(np.uint8), (255, 0, 0))):
            outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(tile, outlines, -1, colour, 1)
        size = (256, 384)
        window = window_on((0, 0, tile.shape[1], tile.shape[0]), size[::-1])
        tiles.append(framed(tile, window))
    columns = 6
    lines = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles) - columns + 1, columns)]
    Image.fromarray(np.vstack(lines)).save(path)
