"""Procedural people as photo files with their masks as alpha channel, for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

from mmgen.photos.inputs import InputItem, list_inputs
from mmgen.synth.crowd import CrowdOptions, people


def people_rgba(count: int, height: int = 128, width: int = 64) -> list[np.ndarray]:
    """uint8 [H, W, 4] pictures of the first test identities."""
    options = CrowdOptions(views=1, poses=1, height=height, width=width)
    return [np.dstack([person.picture.image, person.picture.mask]) for person in people("test", count, options)]


def written(folder: Path, pictures: dict[str, np.ndarray]) -> list[InputItem]:
    """Write `{file name: pixels}` and list them as inputs, in order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / name)
    return list_inputs([folder], folder.parent / "no-output")
