import io
import json

import numpy as np
import pytest
from augment_folders import request_for
from click.testing import CliRunner
from PIL import Image
from scipy import ndimage

from mmgen.augment.capture import added_noise, compression_of, light_of, noise_level, sharpening_for
from mmgen.augment.compositing import developed
from mmgen.cli.main import cli


def smooth(rng, shape, sigma):
    return ndimage.gaussian_filter(rng.standard_normal(shape), (sigma, sigma, 0)[: len(shape)])


@pytest.mark.parametrize("sigma", [1.0, 2.5, 5.0])
def test_noise_is_found_in_photos_that_are_shaded_and_busy(sigma):
    """Half of the picture is full of edges, the rest is a slope; JPEG as cameras write it."""
    rng = np.random.default_rng(0)
    scene = 60 + 90 * np.indices((128, 64)).sum(axis=0)[..., None] / 190 * np.ones(3)
    scene[:64] += 40 * np.sign(smooth(rng, (64, 64, 1), 1.5))
    photo = (scene + sigma * rng.standard_normal(scene.shape)).clip(0, 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=95, subsampling=0)
    assert noise_level(np.asarray(Image.open(buffer))) == pytest.approx(sigma, rel=0.4)


def test_noise_of_the_texture_is_not_added_again():
    assert added_noise(3.0, 0.0) == 3.0 > added_noise(3.0, 3.0) > added_noise(3.0, 5.0) > added_noise(1.0, 5.0) == 0


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_compression_is_read_from_the_file(tmp_path, quality):
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (32, 16, 3), dtype=np.uint8))
    for subsampling in (0, 2):
        path = tmp_path / f"{subsampling}.jpg"
        picture.save(path, quality=quality, subsampling=subsampling)
        found = compression_of(path)
        assert (found.quality, found.subsampling) == (quality, subsampling)
    picture.save(tmp_path / "lossless.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no jpeg")
    assert compression_of(tmp_path / "lossless.png").quality == compression_of(tmp_path / "broken.jpg").quality == 0


def test_a_drawn_person_gets_the_sharpness_of_the_photo():
    """What the mask of the answer gives has the photo's variance of the Laplacian, from a blurred or too sharp one."""
    rng = np.random.default_rng(2)
    detail = smooth(rng, (64, 32, 3), 1.0)
    photo = 128 + 30 * detail / detail.std()
    mask = np.zeros((64, 32), bool)
    mask[6:58, 6:26] = True
    cover = mask.astype(np.float32)
    weights = []
    for drawn in (ndimage.gaussian_filter(photo, (0.6, 0.6, 0)), photo + 0.3 * (photo - smooth_of(photo))):
        person = (cover[..., None] * drawn / 255).astype(np.float32)
        weight = sharpening_for(photo.round().astype(np.uint8), mask, person, cover)
        pictures = (255 * person).clip(0, 255).round().astype(np.uint8)[None]
        found = developed(pictures, person[None], cover[None], weight, None)[0]
        inside = np.s_[9:55, 9:23]
        variance, wanted = (ndimage.laplace(one.mean(axis=2))[inside].var() for one in (found.astype(float), photo))
        assert variance == pytest.approx(wanted, rel=0.15)
        weights.append(weight)
    assert weights[0] > 0.1 > -0.05 > weights[1]


def smooth_of(photo):
    return ndimage.gaussian_filter(photo, (1, 1, 0))


def test_light_is_what_changes_where_people_stay_the_same():
    """Two people in three lights each, one camera tinted; whoever is seen once, or by an unknown camera, tells less."""
    clothes = np.array([[60, 80, 100], [150, 90, 40]], float)
    light, tint = np.array([0.7, 1.0, 1.4]), np.array([[1, 1, 1], [1, 1, 1], [1.1, 1, 0.9]])
    colours = (clothes[:, None] * (light[:, None] * tint)).reshape(6, 3)
    colours = np.vstack([colours, [[200, 200, 200]], [[0, 0, 0]]])
    people, cameras = ["a"] * 3 + ["b"] * 3 + ["c", "a"], [1, 2, 3, 1, 2, 3, -1, 1]
    usable = np.arange(8) < 7
    found = light_of(colours, people, cameras, usable)
    assert np.allclose(found[[0, 1]], found[[3, 4]], atol=1e-5) and np.allclose(found[[6, 7]], 0, atol=1e-6)
    assert np.allclose(np.exp(found[0] - found[1]), 0.7, atol=0.01)
    assert np.allclose(np.exp(found[2] - found[1]), 1.4 * tint[2], atol=0.05)
    swapped = light_of(colours, people, [-1] * 8, usable)
    assert np.ptp(swapped, axis=1).max() < 1e-6


def test_views_are_compressed_like_the_photo_behind_and_people_take_on_only_what_was_asked(tmp_path):
    request_for(tmp_path, tmp_path / "unused")
    market = tmp_path / "market"
    for number, path in enumerate(sorted(market.rglob("*_*.jpg"))):
        with Image.open(path) as photo:
            photo.load()
            photo.save(path, quality=(60, 90)[number % 2], subsampling=0)
    words = ["augment-reid", str(market), "--weights", str(tmp_path / "tiny.safetensors"), "--size", "32x16"]
    for like, wanted in (("compression", {60, 90}), ("none", {95})):
        out = tmp_path / like
        result = CliRunner().invoke(cli, [*words, "--out", str(out), "--like-camera", like])
        assert result.exit_code == 0, result.output
        qualities = set()
        for line in map(json.loads, (out / "index.jsonl").read_text().splitlines()):
            jpg = (out / line["shard"]).read_bytes()[line["jpg"][0] :][: line["jpg"][1]]
            (tmp_path / "view.jpg").write_bytes(jpg)
            found = compression_of(tmp_path / "view.jpg")
            behind = compression_of(market / line["background"]["source"])
            assert like == "none" or found == behind
            qualities.add(found.quality)
        assert qualities == wanted
    result = CliRunner().invoke(cli, [*words, "--out", str(tmp_path / "x"), "--like-camera", "flash"])
    assert result.exit_code == 2 and "noise" in result.output
