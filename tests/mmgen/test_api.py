"""mmgen in Python: any kind of photo, the bytes of the command line, the tool's own errors, no cost unused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from augment_folders import write_weights
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from training_data import write_people

import mmgen
from mmgen.cli import cli

SIZE = (64, 32)
PEOPLE = {"0001", "0002"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("api") / "tiny.safetensors")


@pytest.fixture(scope="module")
def photo() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photo [96, 64, 3] and its mask."""
    generator = np.random.default_rng(3)
    rows, columns = np.mgrid[-1:1:96j, -1:1:64j]
    mask = (rows / 0.8) ** 2 + (columns / 0.5) ** 2 < 1
    image = generator.integers(0, 255, (96, 64, 3)).astype(np.uint8)
    image[mask] = (180, 60, 40)
    return image, mask.astype(np.uint8) * np.uint8(255)


@pytest.fixture(scope="module")
def model(weights: Path) -> mmgen.Reconstructor:
    return mmgen.Reconstructor(weights, device="cpu", texture_size=SIZE)


@pytest.fixture(scope="module")
def person(model: mmgen.Reconstructor, photo: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> mmgen.Person:
    (one,) = model(*photo)
    return one


def test_importing_costs_nothing() -> None:
    code = "import sys, mmgen; print(sorted({'torch', 'numpy', 'PIL', 'mmgen.api'} & set(sys.modules)), mmgen.__all__)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("[]") and "Reconstructor" in out
    with pytest.raises(AttributeError, match="no attribute 'reconstrukt'"):
        _ = mmgen.reconstrukt  # type: ignore[attr-defined]


def test_all_kinds_of_pixels_are_the_same_photo(model, photo, person, tmp_path) -> None:
    image, mask = photo
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "a_mask.png")
    turned = Image.fromarray(np.rot90(image).copy())
    turned.getexif()[0x0112] = 6
    images = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.fromarray(image),
        image / 255,
        np.dstack((image, mask)),
    ]
    masks = [None, tmp_path / "a_mask.png", Image.fromarray(mask), mask > 0, None]
    others = model([*images, image, turned], [*masks, mask / 255, mask])
    assert [one.photo for one in others] == [0, 1, 2, 3, 4, 5, 6]
    for other in others:
        np.testing.assert_allclose(other.vertices, person.vertices, atol=1e-5)
        assert np.abs(other.texture.astype(int) - person.texture).max() <= 1
        assert (other.mask_iou, other.ssim) == pytest.approx((person.mask_iou, person.ssim), abs=1e-5)
        assert np.array_equal(other.mask, mask)


def test_files_have_the_bytes_of_the_command_line(weights, photo, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photo[0]).save(tmp_path / "in" / "a.png")
    Image.fromarray(photo[1]).save(tmp_path / "in" / "a_mask.png")
    words = ["reconstruct", tmp_path / "in", "--out", tmp_path / "out", "--weights", weights, "--device", "cpu"]
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert result.exit_code == 0, result.stderr
    person = mmgen.reconstruct(tmp_path / "in" / "a.png", weights=weights, device="cpu")
    assert person.save(tmp_path / "a.glb").read_bytes() == (tmp_path / "out" / "a.glb").read_bytes()
    record = json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[0])
    assert record["mask_iou"] == pytest.approx(person.mask_iou, abs=1e-6)


def test_meshes_are_saved_in_every_format(person, tmp_path) -> None:
    for suffix in ("glb", "gltf", "obj", "ply", "stl"):
        path = person.save(tmp_path / "new" / f"anna.{suffix}")
        mesh = trimesh.load_mesh(path)
        up, unit = (2, 1000) if suffix == "stl" else (1, 1)  # printers stand it on z = 0 and count in millimetres
        assert np.ptp(mesh.bounds, axis=0)[up] == pytest.approx(1.70 * unit, rel=1e-3), suffix
    with pytest.raises(mmgen.MmgenError, match=r"names no mesh format .*\.glb, \.gltf, \.obj"):
        person.save(tmp_path / "anna.fbx")


def test_trimesh_shows_the_texture_where_the_asset_has_it(person) -> None:
    """A texture that is bright at its upper edge, where v is 1."""
    rows = np.linspace(255, 0, SIZE[0]).astype(np.uint8)
    asset = replace(person.asset, texture=np.repeat(np.repeat(rows[:, None, None], SIZE[1], axis=1), 3, axis=2))
    mesh = replace(person, asset=asset).to_trimesh()
    np.testing.assert_allclose(mesh.triangles_center, asset.vertices[asset.faces].mean(axis=1), atol=1e-5)
    shown = np.asarray(mesh.visual.to_color().vertex_colors)[:, 0].astype(float)
    v = np.asarray(mesh.visual.uv)[:, 1]
    inside = (v > 0.05) & (v < 0.95)
    np.testing.assert_allclose(shown[inside], 255 * v[inside], atol=12)


def test_pictures_turn(person) -> None:
    front, side = (np.asarray(person.render(azimuth_deg=turn, size=(48, 32))) for turn in (0, 90))
    assert front.shape == (48, 32, 3) and np.abs(front.astype(int) - side).max() > 30


def test_everyone_in_a_photo_or_the_largest(model, weights, photo) -> None:
    image, mask = photo
    small = np.asarray(Image.fromarray(mask).resize((52, 78)))
    both = np.zeros((96, 140), np.uint8)
    both[:, :64], both[9:87, 80:132] = mask, small
    wide = np.full((96, 140, 3), 128, np.uint8)
    wide[both > 0] = (180, 60, 40)
    people = model([image, wide], [mask, both])
    assert [(one.photo, one.number) for one in people] == [(0, (1, 1)), (1, (1, 2)), (1, (2, 2))]
    main = mmgen.reconstruct(wide, both, weights=weights, device="cpu")
    assert main.number == (1, 2) and "shows 2 people" in main.warnings[-1]


BAD = {
    "image_shape": lambda image, mask: (image.transpose(2, 0, 1), mask),
    "image_type": lambda image, mask: (image.astype(int), mask),
    "image_not_finite": lambda image, mask: (np.where(mask[..., None] > 0, image / 255, np.nan), mask),
    "image_values": lambda image, mask: (image.astype(float), mask),
    "image_missing": lambda image, mask: ("nosuch.jpg", mask),
    "image_too_small": lambda image, mask: (image[:8, :8], mask[:8, :8]),
    "mask_size": lambda image, mask: (image, mask[:-5]),
    "mask_shape": lambda image, mask: (image, image),
    "mask_type": lambda image, mask: (image, 5),
    "mask_empty": lambda image, mask: (image, mask * 0),
    "mask_not_finite": lambda image, mask: (image, np.full(mask.shape, np.nan)),
    "mask_missing": lambda image, mask: (image, "nosuch.png"),
    "mask_count": lambda image, mask: (image, [mask, mask]),
}


@pytest.mark.parametrize("code", BAD)
def test_wrong_input_is_named(model, photo, code: str) -> None:
    with pytest.raises(mmgen.MmgenError) as caught:
        model(*BAD[code](*photo))
    assert caught.value.code == code and caught.value.hint
    assert "mask mask" not in str(caught.value)


def test_steps_are_counted_from_none(weights) -> None:
    with pytest.raises(mmgen.MmgenError, match="refine is -1"):
        mmgen.Reconstructor(weights, refine=-1)


def test_one_image_means_one(weights, photo) -> None:
    with pytest.raises(mmgen.MmgenError, match=r"one image is wanted, not a list .*Reconstructor"):
        mmgen.reconstruct([photo[0]], weights=weights)  # type: ignore[arg-type]
    with pytest.raises(mmgen.FatalError, match="there is no weights file"):
        mmgen.reconstruct(photo[0], weights="nosuch.safetensors")


def test_data_sets_in_and_shards_out(weights, tmp_path) -> None:
    market = write_people(tmp_path / "market", identities=2, views=2)
    options: dict[str, Any] = {"size": (32, 16), "turns_deg": (-30, 30), "weights": weights, "device": "cpu"}
    record = mmgen.augment_reid(market, **options)
    assert record["samples"] == 2 * record["accounting"]["sets"] > 0
    virtual = mmgen.read_reid(tmp_path / "market-3d").train
    assert len(virtual) == record["samples"] and {one.parents for one in virtual} <= {
        ("0001", "0002"),
        ("0002", "0001"),
    }
    real = mmgen.read_reid(market)
    assert {one.identity for one in real.train} == PEOPLE and real.gallery[0].identity == "9000"
    figures = mmgen.evaluate(market, weights=weights, split="train", limit=2, device="cpu")
    assert figures["n"] == 2 and 0 < figures["metrics"]["mask_iou"] < 1
    with pytest.raises(mmgen.MmgenError, match=r"no option 'turns' .*turns_deg"):
        mmgen.augment_reid(market, turns=(1,), **options)
    with pytest.raises(mmgen.FatalError):
        mmgen.read_reid(tmp_path / "nothing")
