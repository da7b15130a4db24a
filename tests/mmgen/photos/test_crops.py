"""The crop holds the person at the stated margin and shape, and everything finds its way back to the photo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.photos.crops import CropBox, apply_crop, person_crop


def rectangle(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[rows, columns] = 255
    return mask


def blob(height: int, width: int, x: float, y: float, sigma: float) -> np.ndarray:
    """A spot whose centre of mass is (x, y) in continuous pixel coordinates."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.rint(255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))).astype(np.uint8)


def centroid(image: np.ndarray) -> tuple[float, float]:
    weights = image.astype(float)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return float((weights * columns).sum() / weights.sum()), float((weights * rows).sum() / weights.sum())


def test_tall_person_sets_the_height() -> None:
    box = person_crop(rectangle(400, 300, slice(100, 300), slice(140, 180)), aspect=2.0, margin=0.1)
    assert (box.left, box.top, box.width, box.height) == pytest.approx((100, 80, 120, 240))


def test_wide_person_sets_the_width_and_the_box_may_leave_the_photo() -> None:
    box = person_crop(rectangle(100, 300, slice(0, 100), slice(200, 300)), aspect=2.0, margin=0.0)
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((200, -50, 300, 150))


def test_faint_pixels_do_not_count() -> None:
    mask = rectangle(100, 100, slice(20, 60), slice(40, 50))
    expected = person_crop(mask)
    mask[0, 0] = 127
    assert person_crop(mask) == expected
    mask[0, 0] = 128
    assert person_crop(mask) != expected


def test_no_person_no_crop() -> None:
    with pytest.raises(ItemError, match="this mask marks no person") as caught:
        person_crop(np.full((9, 9), 127, np.uint8), name="this mask")
    assert caught.value.code == "mask_empty"


@settings(max_examples=60, deadline=None)
@given(data=st.data(), aspect=st.floats(0.5, 3), margin=st.floats(0, 0.5))
def test_every_box_has_the_aspect_the_centre_and_the_margin(data: st.DataObject, aspect: float, margin: float) -> None:
    top, left = data.draw(st.integers(0, 60)), data.draw(st.integers(0, 60))
    bottom, right = data.draw(st.integers(top + 1, 70)), data.draw(st.integers(left + 1, 70))
    box = person_crop(rectangle(70, 70, slice(top, bottom), slice(left, right)), aspect, margin)
    assert box.height / box.width == pytest.approx(aspect)
    assert (box.left + box.right, box.top + box.bottom) == pytest.approx((left + right, top + bottom))
    free = (box.width / (right - left), box.height / (bottom - top))
    assert min(free) == pytest.approx(1 + 2 * margin)


def test_an_unscaled_whole_crop_is_the_photo_itself() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(apply_crop(photo, CropBox(0, 0, 20, 30), (30, 20)), photo)
    np.testing.assert_array_equal(apply_crop(photo, CropBox(3, 5, 10, 20), (20, 10)), photo[5:25, 3:13])


def test_beyond_the_photo() -> None:
    photo = np.full((10, 10, 3), 200, np.uint8)
    box = CropBox(-10, -10, 30, 30)
    assert apply_crop(photo, box, (30, 30)).min() == 200
    expected = rectangle(30, 30, slice(10, 20), slice(10, 20))
    np.testing.assert_array_equal(apply_crop(np.full((10, 10), 255, np.uint8), box, (30, 30), beyond="zero"), expected)


def test_far_beyond_the_photo_is_nothing() -> None:
    assert apply_crop(np.full((10, 10), 255, np.uint8), CropBox(50, 50, 10, 10), (8, 8), beyond="zero").max() == 0


def test_shrinking_does_not_alias() -> None:
    """A one-pixel chessboard averages to grey; a sampler without a filter would keep black and white."""
    board = (np.indices((256, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = apply_crop(np.repeat(board[..., None], 3, axis=2), CropBox(0, 0, 128, 256), (32, 16))
    np.testing.assert_allclose(small, 127.5, atol=3)


def test_masks_do_not_overshoot_and_keep_their_area() -> None:
    mask = rectangle(256, 128, slice(40, 200), slice(30, 90))
    box = CropBox(-3.3, 5.7, 100.2, 200.4)
    small = apply_crop(mask, box, (128, 64), beyond="zero")
    scale = 128 / 200.4
    assert small.astype(float).sum() / 255 == pytest.approx(160 * 60 * scale**2, rel=0.01)


@pytest.mark.parametrize("box", [CropBox(20.25, 10.6, 61.3, 122.6), CropBox(-7.9, -11.3, 120.1, 240.2)])
@pytest.mark.parametrize("size", [(128, 64), (256, 128), (64, 32)])
def test_a_spot_lands_where_the_box_says(box: CropBox, size: tuple[int, int]) -> None:
    where = (47.3, 81.6)
    photo = blob(200, 100, *where, sigma=6)
    crop = apply_crop(photo, box, size, beyond="zero")
    expected = (np.array(where) - (box.left, box.top)) * (size[1] / box.width, size[0] / box.height)
    assert centroid(crop) == pytest.approx(tuple(expected), abs=0.05)


def test_colours_and_masks_are_resampled_on_the_same_grid() -> None:
    photo = blob(120, 60, 31.2, 55.4, sigma=4)
    box = CropBox(3.3, 8.1, 50.4, 100.8)
    colours = apply_crop(np.repeat(photo[..., None], 3, axis=2), box, (256, 128))
    assert centroid(colours[..., 1]) == pytest.approx(centroid(apply_crop(photo, box, (256, 128))), abs=0.1)


def test_agrees_with_a_plain_pillow_crop_inside_the_photo() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    box = CropBox(10.5, 12.25, 30, 60)
    plain = Image.fromarray(photo).resize((16, 32), Image.Resampling.LANCZOS, box=(10.5, 12.25, 40.5, 72.25))
    ours = apply_crop(photo, box, (32, 16))
    assert np.abs(ours.astype(int) - np.asarray(plain)).max() <= 1
