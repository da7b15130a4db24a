"""Textures of assets: no seams when resized, exact samples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from mmgen.assets.textures import decode_texture, encode_texture, resize_texture, sample_texture


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("side", [32, 128])
def test_resizing_knows_no_seam_between_last_and_first_row(side):
    texture = noise(64, 32)
    rolled_first = resize_texture(np.roll(texture, 32, axis=0), side)
    assert_array_equal(rolled_first, np.roll(resize_texture(texture, side), side // 2, axis=0))


def test_resizing_does_not_wrap_columns():
    texture = np.zeros((32, 32, 3), np.uint8)
    texture[:, 16:] = 200
    small = resize_texture(texture, 16)
    assert (small[:, 0] == 0).all() and (small[:, -1] == 200).all()


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [((256, 128), 64, (64, 32)), ((100, 300), 512, (128, 512)), ((64, 64), 64, (64, 64)), ((2, 4096), 16, (1, 16))],
)
def test_resized_sides_are_powers_of_two(shape, side, expected):
    assert resize_texture(noise(*shape), side).shape == (*expected, 3)


def test_the_same_size_keeps_the_texels():
    texture = noise(64, 32)
    assert_array_equal(resize_texture(texture, 64), texture)


def test_png_is_exact_and_both_codecs_repeat_their_bytes():
    texture = noise(16, 16)
    assert_array_equal(decode_texture(encode_texture(texture, "png")), texture)
    for codec in ("png", "jpeg"):
        assert encode_texture(texture, codec) == encode_texture(texture.copy(), codec)


def test_samples_interpolate_wrap_v_and_clamp_u():
    texture = np.array([[[0] * 3, [100] * 3], [[40] * 3, [200] * 3]], np.uint8)  # top row first
    points = np.array(
        [[0.25, 0.75], [0.75, 0.25], [0.5, 0.75], [0.25, 0.5], [0.25, 1.0], [0.25, 1.75], [-3, 0.75], [9, 0.75]]
    )
    assert_allclose(sample_texture(texture, points)[:, 0], [0, 200, 50, 20, 20, 0, 0, 100])
