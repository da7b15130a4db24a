"""Photos: every format and habit reads to the right pixels; everything else is one clear error."""

import hashlib
import os
import struct
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from bad_files import KINDS, encoded, make_bad_files, noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from mmgen.core.errors import ItemError
from mmgen.core.limits import PHOTO_BYTES, PHOTO_FRAMES
from mmgen.photos.frames import count_frames
from mmgen.photos.images import Photo, read_image


def read_bytes(tmp_path: Path, data: bytes, name: str = "photo.bin") -> Photo:
    path = tmp_path / name
    path.write_bytes(data)
    return read_image(path)


def saved(tmp_path: Path, image: Image.Image, format_name: str = "PNG", **options: object) -> Photo:
    return read_bytes(tmp_path, encoded(image, format_name, **options))


@pytest.mark.parametrize("format_name", ["PNG", "BMP", "TIFF", "PPM", "GIF", "JPEG2000"])
def test_lossless_formats_keep_every_pixel_whatever_the_suffix(tmp_path: Path, format_name: str) -> None:
    image = noise(20, 40).quantize(32).convert("RGB")
    photo = saved(tmp_path, image, format_name)
    np.testing.assert_array_equal(photo.rgb, np.asarray(image))
    assert (photo.size, photo.stored_size, photo.alpha, photo.notes) == ((20, 40), (20, 40), None, ())


def test_the_hash_is_of_the_file_and_arrays_own_their_memory(tmp_path: Path) -> None:
    data = encoded(noise(), "JPEG")
    photo = read_bytes(tmp_path, data)
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    photo.rgb[0, 0] = 7


@pytest.mark.parametrize("format_name", ["PNG", "TIFF", "PPM"])
def test_16_bit_keeps_order_and_range(tmp_path: Path, format_name: str) -> None:
    ramp = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    photo = saved(tmp_path, Image.fromarray(ramp), format_name)
    np.testing.assert_array_equal(photo.rgb[..., 0], np.rint(ramp / 257))
    assert "0..65535" in photo.notes[0]


def test_dark_16_bit_png_stays_dark(tmp_path: Path) -> None:
    photo = saved(tmp_path, Image.fromarray(np.full((32, 32), 200, np.uint16)))
    assert photo.rgb.max() == 1


@pytest.mark.parametrize(("top", "dtype"), [(1.0, np.float32), (255, np.float32), (255, np.int32), (65535, np.int32)])
def test_deep_tiffs_are_scaled_by_their_range(tmp_path: Path, top: float, dtype: type) -> None:
    values = np.linspace(0, top, 1024).astype(dtype).reshape(32, 32)
    photo = saved(tmp_path, Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(photo.rgb[..., 1], np.rint(values.astype(np.float32) * np.float32(255 / top)))


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_every_format_once(tmp_path: Path, format_name: str, orientation: int) -> None:
    quarters = np.zeros((32, 64, 3), np.uint8)
    quarters[:16, :32], quarters[:16, 32:], quarters[16:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format_name == "WEBP" else {"quality": 100} if format_name == "JPEG" else {}
    photo = saved(tmp_path, Image.fromarray(quarters), format_name, exif=exif, **options)
    is_turned = orientation >= 5
    assert photo.stored_size == (64, 32)
    assert photo.orientation == orientation
    assert photo.size == ((32, 64) if is_turned else (64, 32))
    # Where the stored top-left (red) and top-right (green) quarters belong, from the EXIF standard: (row, column).
    red = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    green = {1: (0, 1), 2: (0, 0), 3: (1, 0), 4: (1, 1), 5: (1, 0), 6: (1, 1), 7: (0, 1), 8: (0, 0)}[orientation]
    height, width = photo.rgb.shape[:2]
    for (row, column), channel in ((red, 0), (green, 1)):
        pixel = photo.rgb[height // 4 + row * height // 2, width // 4 + column * width // 2]
        assert pixel[channel] > 240 and np.delete(pixel, channel).max() < 15


def test_broken_exif_is_ignored(tmp_path: Path) -> None:
    photo = saved(tmp_path, noise(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert photo.orientation == 1


def test_cmyk_without_profile(tmp_path: Path) -> None:
    photo = saved(tmp_path, Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "TIFF")
    np.testing.assert_array_equal(photo.rgb[5, 5], (255, 0, 0))


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    photo = saved(tmp_path, Image.new("CMYK", (32, 32), (0, 0, 0, 0)), "JPEG")
    assert photo.rgb.min() > 250


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(np.tile(np.array([[0, 1]], np.uint8), (32, 16)))
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([10, 20, 30, 200, 100, 50])
    photo = saved(tmp_path, image, "PNG", transparency=0)
    np.testing.assert_array_equal(photo.rgb[0, 1], (200, 100, 50))
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha[0, :2], (0, 255))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept_where_it_varies_and_dropped_where_opaque(tmp_path: Path, mode: str) -> None:
    image = noise(32, 32).convert(mode)
    assert saved(tmp_path, image).alpha is None
    alpha = np.arange(1024, dtype=np.uint16).reshape(32, 32) // 4
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    photo = saved(tmp_path, image)
    np.testing.assert_array_equal(photo.alpha, alpha)
    assert photo.rgb.std() > 20


def test_one_bit(tmp_path: Path) -> None:
    bits = np.indices((32, 32)).sum(axis=0) % 2
    photo = saved(tmp_path, Image.fromarray(bits.astype(bool)))
    np.testing.assert_array_equal(photo.rgb[..., 2], bits * 255)


def test_first_of_several_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    photo = saved(tmp_path, frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(photo.rgb[3, 3], (255, 0, 0))
    assert photo.notes == ("first of 3 frames",)


def _swapped_profile() -> bytes:
    """A profile whose red and blue primaries are exchanged: converting it to sRGB exchanges the channels."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    tags = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    data[tags[b"rXYZ"] : tags[b"rXYZ"] + 4], data[tags[b"bXYZ"] : tags[b"bXYZ"] + 4] = b"bXYZ", b"rXYZ"
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def test_icc_profile_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (32, 32), (250, 100, 10))
    plain = saved(tmp_path, image, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    np.testing.assert_array_equal(plain.rgb[4, 4], (250, 100, 10))
    swapped = saved(tmp_path, image, icc_profile=_swapped_profile())
    assert swapped.notes == ()
    np.testing.assert_allclose(swapped.rgb[4, 4], (10, 100, 250), atol=3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
def test_broken_icc_profile_is_noted(tmp_path: Path, mode: str) -> None:
    format_name = "TIFF" if mode == "CMYK" else "PNG"
    photo = saved(tmp_path, noise().convert(mode), format_name, icc_profile=b"no profile at all")
    assert photo.notes == ("its colour profile is unusable and was ignored",)


def test_profile_of_another_colour_space_does_not_break_grey(tmp_path: Path) -> None:
    image = Image.new("L", (32, 32), 77)
    photo = saved(tmp_path, image, icc_profile=_swapped_profile())
    np.testing.assert_allclose(photo.rgb[4, 4], 77, atol=3)


def test_each_bad_file_has_its_code_its_name_and_a_hint(tmp_path: Path) -> None:
    codes = make_bad_files(tmp_path / "bad")
    assert len(codes) >= 14
    for name, code in codes.items():
        with pytest.raises(ItemError, match=name.replace(".", r"\.")) as caught:
            read_image(tmp_path / "bad" / name)
        assert (name, caught.value.code) == (name, code)
        assert caught.value.hint.endswith(".")
        assert "\n" not in str(caught.value)


def test_messages_say_what_a_wrong_file_really_is(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="a web page"):
        read_bytes(tmp_path, KINDS["page.jpg"][1]())
    with pytest.raises(ItemError, match="HEIC"):
        read_bytes(tmp_path, KINDS["phone.jpg"][1]())
    with pytest.raises(ItemError, match="12000 x 9000 pixels; the limit is 80 megapixels"):
        read_bytes(tmp_path, KINDS["huge.png"][1]())


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ItemError, match="is a folder") as caught:
        read_image(tmp_path)
    assert caught.value.code == "image_not_a_file"

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ItemError, match="cannot be listed: Permission denied") as caught:
        read_image(tmp_path)
    assert caught.value.code == "folder_unreadable"


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")

    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ItemError, match=r"a\.jpg cannot be read: Permission denied") as caught:
        read_image(tmp_path / "a.jpg")
    assert caught.value.code == "image_unreadable"


def test_missing_and_impossible_names(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="does not exist"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(ItemError, match="cannot be read: embedded null byte"):
        read_image(Path("a\0b.jpg"))
    with pytest.raises(ItemError, match="cannot be read: File name too long"):
        read_image(tmp_path / ("a" * 300))


def test_undecodable_name_is_read_and_named(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.png"))
    path.write_bytes(encoded(noise(), "PNG"))
    assert read_image(path).size == (40, 80)
    path.write_bytes(b"")
    with pytest.raises(ItemError, match=r"caf\\xe9\\n\.png has no bytes") as caught:
        read_image(path)
    str(caught.value).encode()


def test_huge_files_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(PHOTO_BYTES + 1)
    with pytest.raises(ItemError, match="256 MiB") as caught:
        read_image(tmp_path / "a.jpg")
    assert caught.value.code == "image_too_large"


def test_jpeg_files_with_too_many_pixels_are_decoded_smaller(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (400, 800), (200, 30, 30)).save(path)
    photo = read_image(path, max_pixels=100_000)
    assert photo.size == photo.stored_size == (200, 400)
    assert photo.notes == ("400 x 800 pixels, decoded at 200 x 400",)
    assert read_image(path, max_pixels=6000).size == (50, 100)
    with pytest.raises(ItemError, match="the limit is 0"):
        read_image(path, max_pixels=4000)


def test_max_pixels_counts_pixels_not_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(noise(40, 80), "PNG"))
    assert read_image(path, max_pixels=3200).size == (40, 80)
    with pytest.raises(ItemError, match="40 x 80"):
        read_image(path, max_pixels=3199)


FILES = [encoded(noise(20, 24), name) for name in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "JPEG2000", "PPM")]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_give_a_photo_or_an_item_error(tmp_path: Path, data: st.DataObject) -> None:
    """Warnings are errors here, so a leaked one fails too."""
    content = bytearray(data.draw(st.one_of(st.binary(max_size=200), st.sampled_from(FILES))))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8)):
        if place < len(content):
            content[place] = value
    content = content[: data.draw(st.integers(0, max(len(content), 1)))]
    try:
        photo = read_bytes(tmp_path, bytes(content))
    except ItemError as error:
        assert error.code.startswith("image_")
    else:
        assert photo.rgb.dtype == np.uint8 and photo.rgb.shape[2] == 3 and min(photo.size) >= 16


def test_truncated_photos_are_never_completed_with_grey(tmp_path: Path) -> None:
    """The whole file reads; without its last tenth it does not."""
    for name in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"):
        data = encoded(noise(), name)
        read_bytes(tmp_path, data)
        with pytest.raises(ItemError) as caught:
            read_bytes(tmp_path, data[: len(data) * 9 // 10])
        assert caught.value.code in ("image_truncated", "image_damaged")


def test_damaged_tiffs_print_nothing_of_their_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded(noise(), "TIFF", compression="tiff_lzw"))
    data[60:200] = bytes(140)
    with pytest.raises(ItemError):
        read_bytes(tmp_path, bytes(data))
    os.write(2, b"stderr is back")
    assert capfd.readouterr().err == "stderr is back"


def test_the_decoder_sees_memory_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = Image.open

    def spy(source: object, *args: object, **options: object) -> Image.Image:
        opened.append(source)
        return original(source, *args, **options)

    monkeypatch.setattr(Image, "open", spy)
    saved(tmp_path, noise())
    assert [type(source) for source in opened] == [BytesIO]


def endless_tiff(directories: int) -> bytes:
    """One pixel, described again and again; the last directory points at the first."""
    tags = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 0), (277, 1), (278, 1), (279, 1))
    rows = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    size = 6 + len(rows)
    starts = [8 + size * number for number in range(directories)]
    follow = [*starts[1:], 8]
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + b"".join(struct.pack("<H", len(tags)) + rows + struct.pack("<I", at) for at in follow)
    )


def many_framed_gif(frames: int) -> bytes:
    one = encoded(Image.new("P", (32, 32)), "GIF")
    start = one.index(b"\x2c", 13)
    return one[:start] + one[start:-1] * frames + b";"


@pytest.mark.parametrize(("data", "count"), [(endless_tiff(3), "10000 or more"), (many_framed_gif(12), "12")])
def test_pictures_behind_the_first_are_counted_without_looking_into_them(data: bytes, count: str) -> None:
    assert str(count_frames(data, PHOTO_FRAMES)) == count.split()[0]
    for cut in range(0, len(data), 7):
        assert count_frames(data[:cut], 50) >= 1


def test_a_file_of_endless_frames_takes_no_time(tmp_path: Path) -> None:
    started = time.monotonic()
    assert read_bytes(tmp_path, many_framed_gif(200_000)).notes == ("first of 10000 or more frames",)
    with pytest.raises(ItemError, match="1 x 1 pixels"):
        read_bytes(tmp_path, endless_tiff(90_000))
    assert time.monotonic() - started < 5  # minutes by Pillow's own counting


def test_a_jpeg_of_endless_scans_is_refused(tmp_path: Path) -> None:
    plain = encoded(Image.new("L", (4000, 4000)), "JPEG", progressive=True)
    scan = plain.rindex(b"\xff\xda")
    with pytest.raises(ItemError, match=r"would take minutes to decode: 1[0-9]+ scans of 4000 x 4000 pixels"):
        read_bytes(tmp_path, plain[:-2] + plain[scan:-2] * 130 + plain[-2:])
