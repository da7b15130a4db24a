"""A tiny data set in Market layout with masks, and a manifest that trains on it in a second."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (32, 32)

TINY_MANIFEST = """
about = "tiny"

[data]
batch_photos = 4
augmentation = "shift"
shift_px = 1
pairs = true
validation_share = 0.34
validation_photos = 4

[encoder]
preset = "small"
height = 32
width = 32
offset_rank = 4
shape_dropout = 0.2
back = "independent"

[loss]
preset = "people"

[optimiser]
warmup_steps = 2

[prototype]
every = { steps = 3 }

[averaging]
kind = "equal"
start_share = 0.5
every = { steps = 2 }

[length]
steps = 8

[log]
steps = 1
validation = { steps = 4 }
pictures = { steps = 1000 }
checkpoint = { steps = 3 }
"""


def write_people(root: Path, identities: int = 3, views: int = 4, size: tuple[int, int] = SIZE) -> Path:
    """Coloured ellipses with masks in Market-1501 layout; identity 9000 and up is a test person."""
    generator = np.random.default_rng(0)
    height, width = size
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    for identity in [*range(1, identities + 1), 9000]:
        folder = "bounding_box_test" if identity >= 9000 else "bounding_box_train"
        colour = generator.integers(0, 255, 3)
        for view in range(views):
            half = generator.uniform(0.5, 0.9, 2)
            mask = (rows / half[0]) ** 2 + (columns / half[1]) ** 2 < 1
            image = np.where(mask[..., None], colour, generator.integers(0, 255, (*size, 3))).astype(np.uint8)
            name = f"{folder}/{identity:04d}_c{view + 1}s1_{view:06d}_01"
            for path, pixels in ((f"{name}.jpg", image), (f"masks/{name}.png", (mask * 255).astype(np.uint8))):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / path, quality=100)
    return root


def write_manifest(folder: Path, **replaced: str) -> Path:
    """The tiny manifest, with text replaced: `old="new"`."""
    text = TINY_MANIFEST
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path
