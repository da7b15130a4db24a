"""Tiny data sets in exactly the published layouts."""

from pathlib import Path

import numpy as np
from bad_files import noise
from PIL import Image


def save_image(path: Path, size: tuple[int, int] = (32, 64)) -> Path:
    """Noise of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise(*size).save(path)
    return path


def box_mask(fraction: float, size: tuple[int, int] = (32, 64)) -> Image.Image:
    """A box in the middle that covers about `fraction`; its exact share is `share(box_mask(...))`."""
    width, height = size
    inner_height = height - 4
    inner_width = max(round(fraction * width * height / inner_height), 1)
    left = (width - inner_width) // 2
    mask = np.zeros((height, width), np.uint8)
    mask[2 : 2 + inner_height, left : left + inner_width] = 255
    return Image.fromarray(mask)


def share(mask: Image.Image) -> float:
    """Foreground fraction."""
    return float((np.asarray(mask) > 0).mean())


def save_mask(path: Path, fraction: float = 0.4, size: tuple[int, int] = (32, 64)) -> Path:
    """A `box_mask` on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    box_mask(fraction, size).save(path)
    return path


MARKET = {
    "bounding_box_train/0002_c1s1_000451_03.jpg": 0.4,
    "bounding_box_train/0002_c3s2_000452_01.jpg": 0.2,
    "bounding_box_train/0007_c6s4_010452_02.jpg": 0.05,
    "bounding_box_train/0011_c2s1_000001_00.jpg": 0.7,
    "bounding_box_test/0000_c1s1_000351_01.jpg": 0.3,
    "bounding_box_test/-1_c1s1_000401_03.jpg": 0.3,
    "bounding_box_test/0005_c2s1_000301_02.jpg": 0.05,
    "query/0005_c1s1_000151_00.jpg": 0.7,
}
"""Image to the foreground fraction of its mask."""


def make_market(root: Path) -> Path:
    """Market-1501 with masks; a Thumbs.db, a readme and gt_bbox in it, as in the original."""
    for name, fraction in MARKET.items():
        save_image(root / name)
        if "/-1_" not in name:
            save_mask((root / "masks" / name).with_suffix(".png"), fraction)
    (root / "bounding_box_test" / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    save_image(root / "gt_bbox" / "0005_c1s1_000151_00.jpg")
    (root / "readme.txt").write_text("Market")
    return root


def make_atr(root: Path) -> Path:
    """ATR under humanparsing/, with lists, and one image that no list names."""
    top = root / "humanparsing"
    fractions = {"1_1": 0.2, "2_1": 0.6, "3_1": 0.3, "4_1": 0.04}
    for stem, fraction in fractions.items():
        save_image(top / "JPEGImages" / f"{stem}.jpg")
        labels = np.asarray(box_mask(fraction)) // 255 * (1 + np.arange(64)[:, None] % 17).astype(np.uint8)
        path = top / "SegmentationClassAug" / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(path)
    save_image(top / "JPEGImages" / "5_1.jpg")
    (top / "train.txt").write_text("1_1\n2_1\n")
    (top / "test.txt").write_text("3_1.jpg\n4_1\n")
    return root


def make_cub(root: Path) -> Path:
    """CUB-200-2011 with segmentations beside it, in grey levels of agreement."""
    top = root / "CUB_200_2011"
    names = ["001.Albatross/A_01.jpg", "001.Albatross/A_02.jpg", "002.Auklet/B_01.jpg"]
    for name in names:
        save_image(top / "images" / name, (100, 80))
        votes = np.zeros((80, 100), np.uint8)
        votes[20:60, 30:70] = 255
        votes[20:60, 30:34] = 153
        path = (root / "segmentations" / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(votes).save(path)
    numbered = list(enumerate(names, start=1))
    boxes = {1: "25.0 10.0 50.0 60.0", 2: "0.0 0.0 100.0 80.0", 3: "25.0 10.0 50.0 60.0"}
    tables = {
        "images": [f"{n} {name}" for n, name in numbered],
        "train_test_split": ["1 1", "2 0", "3 1"],
        "bounding_boxes": [f"{n} {boxes[n]}" for n, _ in numbered],
        "image_class_labels": ["1 1", "2 1", "3 2"],
    }
    for name, lines in tables.items():
        (top / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root
