"""Masks of every habit, size and orientation come to the same pixels."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from bad_files import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_files import BODY, find, person, photo_file, save, shades, with_exif
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.masks.values import fit_to_photo, mask_values, turn
from mmgen.photos.images import Photo

# Values


def palette_image(labels: np.ndarray, palette: list[int]) -> Image.Image:
    image = Image.frombytes("P", (labels.shape[1], labels.shape[0]), labels.astype(np.uint8).tobytes())
    image.putpalette(palette)
    return image


def colour_labels() -> Image.Image:
    rgb = np.zeros((80, 40, 3), np.uint8)
    rgb[BODY] = (64, 0, 0)
    rgb[BODY & (np.arange(80)[:, None] > 40)] = (0, 0, 1)
    return Image.fromarray(rgb)


LABELS = np.where(BODY, 1 + np.arange(80)[:, None] % 17, 0).astype(np.uint8)
VOC_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [64, 0, 0] * 20
HABITS = {
    "0 and 255": shades(BODY),
    "0 and 1": shades(BODY, 1),
    "0 and 90": shades(BODY, 90),
    "one bit": Image.fromarray(BODY),
    "16 bits": Image.fromarray(np.where(BODY, 65535, 0).astype(np.uint16)),
    "16 bits, 0 and 1": Image.fromarray(BODY.astype(np.uint16)),
    "16 bits, 0 and 255": Image.fromarray((BODY * 255).astype(np.uint16)),
    "grey labels": Image.fromarray(LABELS),
    "palette labels": palette_image(LABELS, VOC_PALETTE),
    "palette labels without black": palette_image(LABELS, [9, 9, 200] + [5, 90, 90] * 20),
    "palette whose entry 0 is white": palette_image(~BODY, [255, 255, 255, 0, 0, 0]),
    "palette whose black is not entry 0": palette_image(np.where(BODY, 0, 1), [200, 10, 10, 0, 0, 0]),
    "colour": shades(BODY).convert("RGB"),
    "colour labels": colour_labels(),
    "alpha": Image.merge("RGBA", (*noise().split(), shades(BODY))),
    "grey and alpha": Image.merge("LA", (noise().convert("L"), shades(BODY))),
    "opaque alpha, white on black": shades(BODY).convert("RGBA"),
}


@pytest.mark.parametrize("habit", HABITS)
def test_every_habit_means_the_same(tmp_path: Path, habit: str) -> None:
    save(tmp_path / "a_mask.png", HABITS[habit])
    result = find(photo_file(tmp_path))
    np.testing.assert_array_equal(result.mask, np.where(BODY, 255, 0))
    assert (result.source, result.path, result.parts, result.notes) == ("sibling", tmp_path / "a_mask.png", 1, ())
    assert result.area_fraction == pytest.approx(BODY.mean())
    assert result.quality is None
    assert result.sha256 == hashlib.sha256((tmp_path / "a_mask.png").read_bytes()).hexdigest()


def test_float_masks(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.tif", Image.fromarray(BODY.astype(np.float32)))
    np.testing.assert_array_equal(find(photo_file(tmp_path)).mask, np.where(BODY, 255, 0))


def test_16_bit_shades_are_scaled_not_clipped(tmp_path: Path) -> None:
    soft = np.where(BODY, 65535, 0).astype(np.uint16)
    soft[BODY & (np.arange(80)[:, None] == 50)] = 40000
    save(tmp_path / "a_mask.png", Image.fromarray(soft))
    assert sorted(np.unique(find(photo_file(tmp_path)).mask)) == [0, 156, 255]


def test_jpeg_masks_lose_their_noise_outside(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.jpg", shades(BODY).convert("RGB"), quality=60)
    mask = find(photo_file(tmp_path)).mask
    assert np.count_nonzero((mask >= 128) != BODY) < 0.03 * BODY.size
    assert mask[:, 35:][:20].max() == 0


def test_soft_edges_survive(tmp_path: Path) -> None:
    soft = np.where(BODY, 255, 0).astype(np.uint8)
    soft[5:7, 13:18] = 100
    soft[2:8, 36:39] = 100
    save(tmp_path / "a_mask.png", Image.fromarray(soft))
    mask = find(photo_file(tmp_path)).mask
    assert mask[6:7, 13:18].min() == 100, "beside the person"
    assert mask[2:8, 36:39].max() == 0, "far from the person"


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_mask_values_are_bytes_of_the_same_shape(data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "CMYK"]))
    top = data.draw(st.sampled_from([1, 2, 20, 255]))
    values = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, top + 1, (6, 9, 4), dtype=np.uint8)
    image = Image.fromarray(values)
    if mode == "I;16":
        image = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
    elif mode == "I":
        image = Image.fromarray(values[..., 0].astype(np.int32))
    else:
        image = image.convert("RGB").convert(mode) if mode in ("P", "CMYK") else image.convert(mode)
    result = mask_values(image, "mask")
    assert (result.dtype, result.shape) == (np.uint8, (6, 9))


# Sizes and orientation


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_made_before_the_photo_was_turned_is_turned(tmp_path: Path, orientation: int) -> None:
    back = {5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    stored = turn(np.where(BODY, 255, 0).astype(np.uint8), back)
    assert stored.shape == (40, 80)
    path = photo_file(tmp_path, size=(80, 40), exif=with_exif(orientation))
    save(tmp_path / "a_mask.png", Image.fromarray(stored))
    result = find(path)
    np.testing.assert_array_equal(result.mask, np.where(BODY, 255, 0))
    assert result.notes == ("mask turned like its photo",)


def test_a_mask_made_after_the_photo_was_turned_is_taken_as_it_is(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.png", shades(BODY))
    result = find(photo_file(tmp_path, size=(80, 40), exif=with_exif(6)))
    np.testing.assert_array_equal(result.mask, np.where(BODY, 255, 0))
    assert result.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turn_is_what_pillow_does(orientation: int) -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    photo = Image.fromarray(values)
    photo.getexif()[0x0112] = orientation
    from PIL import ImageOps

    np.testing.assert_array_equal(turn(values, orientation), np.asarray(ImageOps.exif_transpose(photo)))


def test_a_mis_rotated_mask_is_caught(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.png", shades(BODY.T))
    with pytest.raises(ItemError, match=r"a_mask\.png has 80 x 40 pixels, its photo 40 x 80") as caught:
        find(photo_file(tmp_path))
    assert caught.value.code == "mask_size"


def test_a_wrong_size_names_both_sizes_of_a_turned_photo(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.png", shades(person(90, 40)))
    with pytest.raises(ItemError, match=r"40 x 90 pixels, its photo 40 x 80 \(80 x 40 before its EXIF tag"):
        find(photo_file(tmp_path, size=(80, 40), exif=with_exif(6)))


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_mask_that_fits_both_frames_is_ambiguous_unless_it_has_the_tag_too(tmp_path: Path, orientation: int) -> None:
    path = photo_file(tmp_path, exif=with_exif(orientation))
    mask = save(tmp_path / "a_mask.png", shades(BODY))
    with pytest.raises(ItemError, match="fits the photo both as stored and as turned") as caught:
        find(path)
    assert caught.value.code == "mask_orientation"
    stored = turn(np.where(BODY, 255, 0).astype(np.uint8), orientation)  # 2, 3 and 4 undo themselves
    save(mask, Image.fromarray(stored), exif=with_exif(orientation))
    np.testing.assert_array_equal(find(path).mask, np.where(BODY, 255, 0))


@pytest.mark.parametrize("is_stored", [True, False])
def test_of_two_frames_that_fit_the_one_with_the_photos_edges_is_taken(tmp_path: Path, is_stored: bool) -> None:
    upright = np.where(BODY, 200, 60).astype(np.uint8)
    photo = Image.fromarray(turn(upright, 3)).convert("RGB")
    path = save(tmp_path / "a.png", photo, exif=with_exif(3))
    mask = np.where(BODY, 255, 0).astype(np.uint8)
    save(tmp_path / "a_mask.png", Image.fromarray(turn(mask, 3) if is_stored else mask))
    result = find(path)
    np.testing.assert_array_equal(result.mask, mask)
    assert result.notes == (("mask turned like its photo",) if is_stored else ())


@pytest.mark.parametrize("size", [(41, 82), (60, 120), (40, 79), (27, 53), (13, 27)])
def test_sizes_off_by_rounding_are_resized_with_a_note(tmp_path: Path, size: tuple[int, int]) -> None:
    save(tmp_path / "a_mask.png", shades(BODY).resize(size, Image.Resampling.BOX))
    result = find(photo_file(tmp_path))
    assert result.mask.shape == (80, 40)
    assert result.notes == (f"mask resized from {size[0]} x {size[1]} pixels",)


@pytest.mark.parametrize(("factor", "size"), [(0.5, (20, 40)), (2, (80, 160)), (4, (160, 320)), (0.25, (10, 20))])
def test_whole_multiples_are_resized_with_a_note(tmp_path: Path, factor: float, size: tuple[int, int]) -> None:
    save(tmp_path / "a_mask.png", shades(BODY).resize(size, Image.Resampling.BOX))
    result = find(photo_file(tmp_path))
    assert result.mask.shape == (80, 40)
    assert result.notes == (f"mask resized from {size[0]} x {size[1]} pixels",)
    assert result.area_fraction == pytest.approx(BODY.mean(), rel=0.12)
    rows, columns = np.nonzero(result.mask >= 128)
    body_rows, body_columns = np.nonzero(BODY)
    assert (rows.mean(), columns.mean()) == pytest.approx((body_rows.mean(), body_columns.mean()), abs=0.7)


@pytest.mark.parametrize("size", [(44, 80), (40, 160), (20, 80), (1, 2)])
def test_any_other_size_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    save(tmp_path / "a_mask.png", shades(BODY).resize(size))
    with pytest.raises(ItemError, match="Make them the same size"):
        find(photo_file(tmp_path))


def test_notes_of_a_turned_and_resized_mask() -> None:
    photo = Photo(Path("a"), np.zeros((80, 40, 3), np.uint8), None, "", stored_size=(80, 40), orientation=6)
    values, notes = fit_to_photo(np.full((20, 40), 255, np.uint8), photo, "mask", is_upright=False)
    assert values.shape == (80, 40)
    assert notes == ("mask turned like its photo", "mask resized from 40 x 20 pixels")
