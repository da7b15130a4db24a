"""Which photos are scored, at which size, with which mask; and what is read as truth."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_scenes import PHOTO, people, truth_arrays, write_data
from PIL import Image

from mmgen.core.errors import FatalError, ItemError
from mmgen.datasets.index import IndexRow, write_index
from mmgen.datasets.reading import DataSetPhoto
from mmgen.datasets.truth_file import read_truth
from mmgen.evaluation.photos import list_items, load, load_person, mirrored, own_size
from mmgen.reconstruction.prepare import Framing
from recon.evaluation.truth import true_drawing
from recon.metrics import mask_iou

WHOLE = (0.0, 0.0, float(PHOTO[1]), float(PHOTO[0]))


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 32), (90, 80, 70)).save(root / name)
    return root


def names(root: Path, split: str | None) -> tuple[list[str], str]:
    items, part = list_items(root, split)
    return [item.name for item in items], part


def test_parts_of_a_market_tree(tmp_path: Path) -> None:
    train = [f"bounding_box_train/{number:04d}_c1s1_000001_01.jpg" for number in range(1, 5)]
    test = ["bounding_box_test/0007_c1s1_000001_01.jpg", "query/0007_c2s1_000001_00.jpg"]
    root = touch(tmp_path, *train, *test, "bounding_box_test/-1_c1s1_000001_01.jpg", "contact_sheet.jpg")
    assert names(root, None) == (test, "test")
    assert names(root, "train") == (train, "train")
    assert names(root, "query") == (test[1:], "query")
    assert names(root, "all") == (test[:1] + train + test[1:], "all")
    with pytest.raises(FatalError, match=r"has no part 'nights'; it has: gallery, query, train"):
        list_items(root, "nights")


def test_validation_is_what_training_holds_out(tmp_path: Path) -> None:
    train = [f"bounding_box_train/{number:04d}_c1s1_000001_01.jpg" for number in range(1, 5)]
    touch(touch(tmp_path, *train) / "masks", *(name.replace(".jpg", ".png") for name in train))
    held, _ = names(tmp_path, "validation")
    assert len(held) == 1 and held == names(tmp_path, "val")[0]


def test_a_plain_folder_is_one_part(tmp_path: Path) -> None:
    root = touch(tmp_path, "a.jpg", "b/c.png", "masks/a.png", "b/c_mask.png")
    assert names(root, None) == (["a.jpg", "b/c.png"], "all")
    masks = [item.mask for item in list_items(root, None)[0]]
    assert masks == [root / "masks" / "a.png", None]
    with pytest.raises(FatalError, match="it has: no parts"):
        list_items(root, "test")


def test_an_index_decides_where_there_is_one(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.jpg", "x/b.jpg", "m/b.png")
    rows = [
        IndexRow(f"x/{name}.jpg", mask, None, None, split, None, 24, 32, "0", False)
        for name, mask, split in (("a", None, "train"), ("b", "m/b.png", "test"))
    ]
    write_index(tmp_path, rows)
    items, part = list_items(tmp_path, None)
    assert part == "test" and [(item.name, item.mask) for item in items] == [("x/b.jpg", tmp_path / "m" / "b.png")]


def test_no_folder_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="there is no folder"):
        list_items(tmp_path / "none", None)


@pytest.mark.parametrize(
    ("photo", "expected"),
    [((96, 56), (96, 56)), ((1024, 512), (256, 128)), ((500, 1000), (128, 256)), ((900, 20), (256, 16))],
)
def test_own_size(photo: tuple[int, int], expected: tuple[int, int]) -> None:
    assert own_size(*photo) == expected


def test_pixels_of_the_right_size_are_not_touched(tmp_path: Path) -> None:
    item = list_items(write_data(tmp_path, count=1), None)[0][0]
    loaded = load(item)
    assert loaded.size == loaded.photo_size == PHOTO
    assert torch.equal(loaded.image, torch.from_numpy(np.array(Image.open(item.image))).permute(2, 0, 1) / 255)
    assert set(loaded.mask.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("size", [(64, 32), (48, 96), (200, 120)])
def test_truth_follows_its_photo_to_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    loaded = load(list_items(write_data(tmp_path, count=1), None)[0][0], size)
    assert loaded.size == size and loaded.truth is not None
    _, silhouette = true_drawing(loaded.truth, loaded.size)
    assert float(mask_iou(silhouette[None], loaded.mask[None])) > 0.9


def test_truth_follows_its_photo_into_the_crop(tmp_path: Path) -> None:
    """The box has fractions of pixels and reaches beyond the photo."""
    loaded = load_person(list_items(write_data(tmp_path, count=1), None)[0][0], Framing((96, 48), None, (96, 48)))
    assert loaded.size == (96, 48) and loaded.truth is not None
    _, silhouette = true_drawing(loaded.truth, loaded.size)
    assert float(mask_iou(silhouette[None], loaded.mask[None])) > 0.96


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    item = list_items(write_data(tmp_path, count=1), None)[0][0]
    assert item.mask is not None
    Image.new("L", PHOTO[::-1]).save(item.mask)
    with pytest.raises(ItemError, match="marks nobody"):
        load(item)


def test_the_alpha_channel_is_a_mask(tmp_path: Path) -> None:
    photo = Image.new("RGBA", (24, 32), (90, 80, 70, 0))
    photo.paste((200, 20, 20, 255), (4, 4, 12, 20))
    photo.save(tmp_path / "a.png")
    loaded = load(DataSetPhoto("a.png", tmp_path / "a.png", None, None, None))
    assert float(loaded.mask.sum()) == 8 * 16


def test_masks_are_found_in_trees_that_mirror_all_or_a_part(tmp_path: Path) -> None:
    touch(tmp_path, "whole/query/a.png", "part/b.png")
    assert mirrored(tmp_path / "whole", "query/a.jpg") == tmp_path / "whole/query/a.png"
    assert mirrored(tmp_path / "part", "query/b.jpg") == tmp_path / "part/b.png"
    assert mirrored(tmp_path / "part", "query/a.jpg") is None


def written(path: Path, **changes: Any) -> Path:
    arrays = {name: value for name, value in (truth_arrays(people()[0]) | changes).items() if value is not None}
    np.savez(path, **arrays)
    return path


def test_colours_of_vertices_and_textures_are_the_same(tmp_path: Path) -> None:
    grey = np.full((8, 8, 3), 51, np.uint8)
    count = len(truth_arrays(people()[0])["vertices"])
    images = [
        true_drawing(read_truth(written(tmp_path / "t.npz", **changes), PHOTO, WHOLE), PHOTO)[0]
        for changes in (
            {"texture": grey},
            {"texture": grey / 255},
            {"colors": np.full((count, 3), 0.2), "uv": None, "texture": None},
            {"colors": np.full((count, 3), 51, np.uint8)},
        )
    ]
    for image in images[1:]:
        torch.testing.assert_close(image, images[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vertices": None}, r"it has no vertices \[N, 3\]"),
        ({"vertices": np.zeros((6, 2))}, r"vertices must be finite numbers \[N, 3\], not float64 \[6, 2\]"),
        ({"vertices": np.full((6, 3), np.nan)}, "vertices must be finite"),
        ({"vertices": np.zeros((4000, 3))}, "no extent along y"),
        ({"faces": np.zeros((0, 3), int)}, "faces must be finite"),
        ({"faces": np.array([[0, 1, 99999]])}, "faces must be whole numbers from 0 to"),
        ({"intrinsics": np.eye(4)}, r"intrinsics must be finite numbers \[3, 3\]"),
        ({"world_to_camera": 2 * np.eye(4)}, "is no rotation with a translation"),
        ({"azimuth_deg": np.array("north")}, r"azimuth_deg must be finite numbers \[\]"),
        ({"texture": None}, r"neither colors \[V, 3\] nor uv"),
        ({"colors": np.zeros((5, 3))}, "colors must be finite numbers"),
        ({"vertices": np.array([None])}, "cannot be read"),
    ],
)
def test_bad_truth_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ItemError, match=message) as caught:
        read_truth(written(tmp_path / "bad.npz", **changes), PHOTO, WHOLE)
    assert "bad.npz" in caught.value.message


def test_scalars_may_come_as_lists_of_one(tmp_path: Path) -> None:
    truth = read_truth(written(tmp_path / "t.npz", azimuth_deg=np.array([12.5])), PHOTO, WHOLE)
    assert truth.azimuth_deg == 12.5


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    for content in (b"", b"nonsense", b"PK\x03\x04 no zip"):
        (tmp_path / "t.npz").write_bytes(content)
        with pytest.raises(ItemError, match="cannot be read"):
            read_truth(tmp_path / "t.npz", PHOTO, WHOLE)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ItemError, match="cannot be read"):
        read_truth(tmp_path / "array.npy", PHOTO, WHOLE)
