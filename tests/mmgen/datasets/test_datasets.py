"""Published layouts are read to the letter; wrong ones are named."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from dataset_trees import MARKET, make_atr, make_cub, make_market, save_image, save_mask
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmgen.core.errors import FatalError
from mmgen.datasets import atr, cub, folder, market
from mmgen.datasets.structures import PROFILES, Foreground
from mmgen.photos.crops import CropBox
from reid.data.layouts import parsed_name

# Market-1501


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("0002_c1s1_000451_03.jpg", ("0002", 1)),
        ("-1_c6s3_000451_03.jpg", ("-1", 6)),
        ("0000_c1s1_000451_00.jpg", ("0000", 1)),
        ("0002_c1s1_000451_03.jpg.png", ("0002", 1)),
        ("0002_c1s1_000451_03.png", ("0002", 1)),
        ("12345_c12s1_000451_03.jpg", ("12345", 12)),
        ("002_c1s1_000451_03.jpg", None),
        ("0002_c0s1_000451_03.jpg", None),
        ("0002_c1s1_000451_03.jpg.txt", None),
        ("x0002_c1s1_000451_03.jpg", None),
        ("0002_c1s1_000451_03.jpg\n", None),
        ("-2_c1s1_000451_03.jpg", None),
        ("0002_c1s1_451_03.jpg", None),
        ("0002_c1_000451_03.jpg", None),
    ],
)
def test_market_names(name: str, expected: tuple[str, int] | None) -> None:
    assert parsed_name(name) == (expected or (None, 0))


def test_market(tmp_path: Path) -> None:
    scan = market.scan(make_market(tmp_path))
    assert [image.relative for image in scan.images] == sorted(name for name in MARKET if "/-1_" not in name)
    assert Counter(image.split for image in scan.images) == {"train": 4, "gallery": 2, "query": 1}
    first = scan.images[0]
    assert (first.identity, first.camera, first.split) == ("0000", 1, "gallery"), "distractors stay"
    (junk,) = scan.skips
    assert (junk.code, junk.status, junk.path) == ("junk", "filtered", "bounding_box_test/-1_c1s1_000401_03.jpg")
    assert scan.notes == ()


def test_market_identity_comes_from_the_file_name_alone(tmp_path: Path) -> None:
    """A folder named like an image must not make every image that person (a trap of other readers)."""
    make_market(tmp_path / "0123_c3s1_000000_00.jpg")
    scan = market.scan(tmp_path / "0123_c3s1_000000_00.jpg")
    assert {image.identity for image in scan.images if image.split == "train"} == {"0002", "0007", "0011"}


def test_market_is_found_one_level_down(tmp_path: Path) -> None:
    make_market(tmp_path / "Market-1501-v15.09.15")
    scan = market.scan(tmp_path)
    assert scan.images[0].path == tmp_path / "Market-1501-v15.09.15" / scan.images[0].relative


@pytest.mark.parametrize("prefix", ["pytorch/", ""])
def test_market_hq(tmp_path: Path, prefix: str) -> None:
    names = ["train_all/0002/0002_c1s1_000451_03.jpg.png", "query/0005/0005_c1s1_000151_00.jpg.png"]
    for name in (*names, "train/0002/0002_c1s1_000451_03.jpg.png", "multi-query/0005/0005_c1s1_000152_00.jpg.png"):
        save_image(tmp_path / prefix / name)
    scan = market.scan(tmp_path)
    assert [(image.relative, image.split) for image in scan.images] == [
        (prefix + names[1], "query"),
        (prefix + names[0], "train"),
    ]
    assert scan.notes == ("there are no gallery images",)


def test_market_missing_splits_are_noted(tmp_path: Path) -> None:
    save_image(tmp_path / "bounding_box_train" / "0002_c1s1_000451_03.jpg")
    assert market.scan(tmp_path).notes == ("there are no gallery images", "there are no query images")


def test_market_wrong_tree(tmp_path: Path) -> None:
    save_image(tmp_path / "photos" / "a.jpg")
    with pytest.raises(FatalError, match="is no such data set; expected bounding_box_train/") as caught:
        market.scan(tmp_path)
    assert caught.value.code == "dataset_layout"
    with pytest.raises(FatalError, match="is no such data set"):
        market.scan(tmp_path / "nowhere")


def test_market_bad_names_fail_alone(tmp_path: Path) -> None:
    make_market(tmp_path)
    save_image(tmp_path / "query" / "IMG_0001.jpg")
    scan = market.scan(tmp_path)
    assert len(scan.images) == 7
    bad = [skip for skip in scan.skips if skip.status == "failed"]
    assert [(skip.path, skip.code) for skip in bad] == [("query/IMG_0001.jpg", "market_name")]


def test_market_leak_is_refused(tmp_path: Path) -> None:
    make_market(tmp_path)
    save_image(tmp_path / "query" / "0002_c5s1_000151_00.jpg")
    with pytest.raises(FatalError, match=r"1 identities are in the training set and in query or .*: 0002") as caught:
        market.scan(tmp_path)
    assert caught.value.code == "identity_leak"


# ATR


def test_atr(tmp_path: Path) -> None:
    scan = atr.scan(make_atr(tmp_path))
    assert [(image.relative, image.split) for image in scan.images] == [
        ("JPEGImages/1_1.jpg", "train"),
        ("JPEGImages/2_1.jpg", "train"),
        ("JPEGImages/3_1.jpg", "test"),
        ("JPEGImages/4_1.jpg", "test"),
    ]
    assert [(skip.path, skip.status, skip.code) for skip in scan.skips] == [
        ("JPEGImages/5_1.jpg", "filtered", "unlisted")
    ]


def test_atr_without_lists_is_all_train_and_says_so(tmp_path: Path) -> None:
    top = make_atr(tmp_path) / "humanparsing"
    (top / "train.txt").unlink()
    (top / "test.txt").unlink()
    scan = atr.scan(top)
    assert {image.split for image in scan.images} == {"train"}
    assert [(skip.path, skip.code) for skip in scan.skips] == [("JPEGImages/5_1.jpg", "mask_missing")]
    assert scan.notes == ("there are no lists train.txt, test.txt: everything is train",)


def test_atr_lists_are_checked(tmp_path: Path) -> None:
    top = make_atr(tmp_path) / "humanparsing"
    (top / "val_id.txt").write_text("9_9\n")
    scan = atr.scan(top)
    assert [(skip.path, skip.code) for skip in scan.skips if skip.status == "failed"] == [
        ("JPEGImages/9_9.jpg", "image_missing")
    ]
    (top / "val_id.txt").write_text("1_1\n")
    with pytest.raises(FatalError, match="1_1 is in the lists of train and val") as caught:
        atr.scan(top)
    assert caught.value.code == "split_overlap"


def test_atr_wrong_tree(tmp_path: Path) -> None:
    save_image(tmp_path / "JPEGImages" / "1.jpg")
    with pytest.raises(FatalError, match="expected JPEGImages/ and SegmentationClassAug/"):
        atr.scan(tmp_path)


def published_outline(labels: np.ndarray) -> np.ndarray:
    """The derivation word for word, in slow loops."""
    values = np.where(labels > 0, 255.0, 0.0)
    height, width = values.shape
    for _ in range(5):
        padded = np.pad(values, 1)
        mean = np.array([[padded[i : i + 3, j : j + 3].sum() / 9 for j in range(width)] for i in range(height)])
        values = (values + mean > 4 / 9 + 1e-9).astype(float)
    return values > 0


@settings(max_examples=60, deadline=None)
@given(
    labels=arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 0, 0, 1, 17]))
)
def test_atr_outline_is_the_published_one(labels: np.ndarray) -> None:
    np.testing.assert_array_equal(atr.outline(labels) > 0, published_outline(labels))


def test_atr_outline_grows_by_one_pixel() -> None:
    labels = np.zeros((7, 7), np.uint8)
    labels[3, 3] = 5
    expected = np.zeros((7, 7), np.uint8)
    expected[2:5, 2:5] = 255
    np.testing.assert_array_equal(atr.outline(labels), expected)


# CUB


def test_cub(tmp_path: Path) -> None:
    for source in (make_cub(tmp_path), tmp_path / "CUB_200_2011"):
        scan = cub.scan(source)
        assert [(image.relative, image.split, image.identity) for image in scan.images] == [
            ("test/001.Albatross/A_02.jpg", "test", "1"),
            ("train/001.Albatross/A_01.jpg", "train", "1"),
            ("train/002.Auklet/B_01.jpg", "train", "2"),
        ]
        assert scan.images[1].box == CropBox(pytest.approx(20), pytest.approx(4), pytest.approx(60), pytest.approx(72))
        assert scan.images[1].mask == tmp_path / "segmentations/001.Albatross/A_01.png"


def test_cub_without_a_segmentation(tmp_path: Path) -> None:
    make_cub(tmp_path)
    (tmp_path / "segmentations/002.Auklet/B_01.png").unlink()
    (skip,) = cub.scan(tmp_path).skips
    assert (skip.path, skip.code) == ("002.Auklet/B_01.jpg", "mask_missing")


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("images.txt", "1 a.jpg\n1 b.jpg\n", "line 2, is no new row"),
        ("images.txt", "1 ../../x.jpg\n", "outside of the data set"),
        ("train_test_split.txt", "1 1\n", "image 2 .* has no valid line in every table"),
        ("train_test_split.txt", "1 1\n2 7\n3 1\n", "image 2 .* has no valid line"),
        ("bounding_boxes.txt", "1 0 0 5 5\n2 0 0 wide 5\n3 0 0 5 5\n", "image 2 .* has no valid line"),
        ("bounding_boxes.txt", "1 0 0 0 5\n2 0 0 5 5\n3 0 0 5 5\n", "image 1 .* has no valid line"),
    ],
)
def test_cub_broken_tables(tmp_path: Path, table: str, text: str, message: str) -> None:
    (make_cub(tmp_path) / "CUB_200_2011" / table).write_text(text)
    with pytest.raises(FatalError, match=message) as caught:
        cub.scan(tmp_path)
    assert caught.value.code == "table_invalid"


def test_cub_wrong_tree(tmp_path: Path) -> None:
    (make_cub(tmp_path) / "CUB_200_2011" / "bounding_boxes.txt").unlink()
    with pytest.raises(FatalError, match="is no such data set; expected images/, segmentations/") as caught:
        cub.scan(tmp_path)
    assert caught.value.code == "dataset_layout"


# Folder and profiles


def test_folder(tmp_path: Path) -> None:
    save_image(tmp_path / "x" / "b.jpg")
    save_image(tmp_path / "a.png")
    save_mask(tmp_path / "masks" / "a.png")
    scan = folder.scan(tmp_path)
    assert [(image.relative, image.split, image.identity) for image in scan.images] == [
        ("a.png", "train", None),
        ("x/b.jpg", "train", None),
    ]
    with pytest.raises(FatalError, match="none is no such data set; expected a folder of photos"):
        folder.scan(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FatalError, match="no photos in"):
        folder.scan(tmp_path / "empty")


@pytest.mark.parametrize(
    ("fraction", "holds"), [(0.0949, False), (0.0951, True), (0.634, True), (0.6351, False), (0.3, True), (0.0, False)]
)
def test_limits_are_strict_after_rounding(fraction: float, holds: bool) -> None:
    assert Foreground(0.09, 0.64).holds(fraction) is holds


def test_published_thresholds() -> None:
    table = {
        name: (profile.clean.above, profile.clean.below, sorted(profile.keep), profile.keep.get("train"))
        for name, profile in PROFILES.items()
    }
    assert table["market"] == (0.36, 0.49, ["train"], Foreground(0.09, 0.64))
    assert table["atr"] == (0.18, 0.26, ["test", "train", "val"], Foreground(0.09, 0.49))
    assert table["cub"] == (0.25, 0.49, ["train"], Foreground(0.16, 0.64))
    assert table["folder"][3] is None
