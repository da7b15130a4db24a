"""How good a mask network is: IoU with the truth, case by case, and what it costs."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mmgen.mask_training.scenes import Bank, Scene, Scenes, photographed
from mmgen.mask_training.scenes.backgrounds import Family
from mmgen.mask_training.scenes.compose import SHARES
from mmgen.mask_training.scenes.unseen import unseen_families
from mmgen.masks.network import best_guess_of
from recon.segmentation import MaskNetwork

CASES: dict[str, dict[str, float]] = {
    "alone": {},
    "two or more people": {"others": 1},
    "cut off": {"cut": 1},
    "a third to four fifths as high": {"small": 1},
    "dark on dark": {"dark": 1},
    "own colours behind": {"camouflage": 1},
    "something in front": {"occluded": 1},
}
"""What is certain to happen in each case; backgrounds are of unseen families, the sensor is as half of training's."""

SENSOR = 0.5
SHOWN = 12
TIMED = 20


def measure(network: MaskNetwork, bank: Bank, scenes: int, seed: int, picture: Path | None = None) -> dict[str, Any]:
    """IoU (mean, median, share of at least 0.9) of every case and of every unseen family, quality, milliseconds."""
    families = unseen_families()
    size = (network.config.height, network.config.width)
    drawn = {"as photographed": [photographed(bank, i * len(bank) // scenes) for i in range(min(scenes, len(bank)))]}
    for case, certain in CASES.items():
        drawn[case] = _draw(bank, tuple(families.values()), size, certain, scenes, seed)
    for name, family in families.items():
        drawn[f"alone, {name}"] = _draw(bank, (family,), size, {}, -(-scenes // 4), seed)
    found = {case: [best_guess_of(network, scene.rgb) for scene in row] for case, row in drawn.items()}
    overlaps = {
        case: np.array([iou(guess.mask, scene.mask) for guess, scene in zip(found[case], row, strict=True)])
        for case, row in drawn.items()
    }
    if picture is not None:
        _show(picture, [(scene, guess.mask) for case in drawn for scene, guess in
                        zip(drawn[case][:SHOWN], found[case][:SHOWN], strict=True)])  # fmt: skip
    qualities = np.concatenate([[guess.quality for guess in found[case]] for case in CASES])
    truths = np.concatenate([overlaps[case] for case in CASES])
    return {
        "iou": {case: _figures(values) for case, values in overlaps.items()},
        "quality_error": float(np.abs(qualities - truths).mean()),
        "quality_correlation": float(np.corrcoef(qualities, truths)[0, 1]),
        "milliseconds_per_crop": _milliseconds(network, drawn["alone"][0].rgb),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def iou(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Overlap at half coverage, 0..1; 1 where both are empty."""
    inside, wanted = found >= 128, truth >= 128
    union = np.count_nonzero(inside | wanted)
    return np.count_nonzero(inside & wanted) / union if union else 1.0


def _draw(
    bank: Bank, families: tuple[Family, ...], size: tuple[int, int], certain: dict[str, float], count: int, seed: int
) -> list[Scene]:
    scenes = Scenes(bank, families, size, dict.fromkeys(SHARES, 0.0) | {"shadow": 0.5} | certain, SENSOR)
    generator = np.random.default_rng((seed, 1))
    drawn = [scenes.draw(generator) for _ in range(count)]
    return [scene for scene in drawn if (scene.mask >= 128).any()]


def _figures(values: NDArray[np.float64]) -> dict[str, float]:
    return {
        "mean": round(float(values.mean()), 4),
        "median": round(float(np.median(values)), 4),
        "at_least_0.9": round(float((values >= 0.9).mean()), 3),
    }


def _milliseconds(network: MaskNetwork, crop: NDArray[np.uint8]) -> dict[str, float]:
    """Of one thread, for a whole crop from pixels to mask."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = []
    for _ in range(TIMED):
        started = time.process_time()
        best_guess_of(network, crop)
        seconds.append(time.process_time() - started)
    torch.set_num_threads(threads)
    return {"median": round(1e3 * float(np.median(seconds)), 2), "best": round(1e3 * min(seconds), 2)}


def _show(path: Path, pairs: list[tuple[Scene, NDArray[np.uint8]]]) -> None:
    """Scenes with the truth in green and what was found in red."""
    tiles = []
    for scene, found in pairs:
        tile = np.ascontiguousarray(cv2.resize(scene.rgb, None, fx=1, fy=1))
        for mask, colour in ((scene.mask, (0, 255, 0)), (found, (255, 0, 0))):
            outlines, _ = cv2.findContours((mask >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(tile, outlines, -1, colour, 1)
        tiles.append(tile)
    rows = [np.hstack(tiles[start : start + SHOWN]) for start in range(0, len(tiles) - SHOWN + 1, SHOWN)]
    Image.fromarray(np.vstack(rows)).save(path)
