"""Photos to assets, end to end on procedural people."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from people_photos import people_rgba, written
from PIL import Image

from mmgen.assets.glb import asset_from_glb, glb_bytes
from mmgen.assets.rules import check_glb
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_file
from mmgen.photos.crops import CropBox
from mmgen.reconstruction.fit import FIT_SIZE, FitReconstructor
from mmgen.reconstruction.options import ReconstructOptions
from recon.camera import project
from recon.metrics import mask_iou
from recon.render import RenderSettings, render, render_silhouette
from recon.structures import Camera, TexturedMesh

SMALL = ReconstructOptions(texture_size=(128, 64), masks="alpha")
QUICK = replace(SMALL, refine_steps=4)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures():
    return people_rgba(2)


@pytest.fixture(scope="module")
def items(pictures, tmp_path_factory):
    return written(tmp_path_factory.mktemp("people") / "in", {f"p{n}.png": rgba for n, rgba in enumerate(pictures)})


@pytest.fixture(scope="module")
def fitted(items):
    torch.set_num_threads(1)
    reconstructor = FitReconstructor(SMALL)
    return reconstructor.reconstruct([one for item in items for one in reconstructor.prepare(item)])


@pytest.fixture(scope="module")
def quick(items):
    reconstructor = FitReconstructor(QUICK)
    assert reconstructor._template is not None and reconstructor._smoother is not None
    return reconstructor, [one for item in items for one in reconstructor.prepare(item)]


def like(quick, **changes) -> FitReconstructor:
    """Another reconstructor for the same template, without the second that its smoother takes."""
    other = FitReconstructor(replace(QUICK, **changes))
    vars(other).update({name: vars(quick[0])[name] for name in ("_template", "_smoother")})
    return other


def solid(mask, height=120, width=60, colour=(40, 90, 160)):
    """A photo of one colour with a mask, uint8 [H, W, 4]."""
    rgba = np.full((height, width, 4), 200, np.uint8)
    rgba[..., 3] = 0
    rgba[mask, :3], rgba[mask, 3] = colour, 255
    return rgba


def box_mask(rows, columns, height=120, width=60):
    mask = np.zeros((height, width), bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def camera_of(asset) -> Camera:
    record = asset.provenance["camera"]
    values = [torch.tensor([record[name]]) for name in ("azimuth_deg", "elevation_deg", "distance")]
    return Camera(*values, torch.tensor([record["offset"]]), record["focal"])


def template_units(asset) -> torch.Tensor:
    placement = asset.provenance["placement"]
    vertices = asset.vertices * (placement["height"] / asset.height_m) + np.array(placement["pivot"])
    return torch.tensor(vertices, dtype=torch.float32)[None]


# Quality.


def test_people_are_explained(fitted):
    assert min(result.mask_iou for result in fitted) > 0.85
    assert sum(result.mask_iou for result in fitted) / 2 > 0.88
    assert min(result.ssim for result in fitted) > 0.80


def test_quality_is_what_the_asset_really_shows(fitted, pictures):
    """Drawn from nothing but the GLB and its provenance, in the photo's frame."""
    for result, rgba in zip(fitted, pictures, strict=True):
        asset = asset_from_glb(glb_bytes(result.asset))
        crop = CropBox(**asset.provenance["crop_px"])
        camera, vertices, faces = camera_of(asset), template_units(asset), torch.tensor(asset.faces).long()
        ndc, in_camera = project(vertices, camera, 256, 128)
        covered = render_silhouette(ndc, in_camera, faces, (256, 128), RenderSettings())[1][0] >= 0
        rows, columns = np.indices(rgba.shape[:2]) + 0.5
        pixels = np.stack((columns, rows), axis=-1).reshape(-1, 2)
        places = ((pixels - (crop.left, crop.top)) * (128 / crop.width, 256 / crop.height)).astype(int)
        inside = ((places >= 0) & (places < (128, 256))).all(axis=1)
        shown = np.zeros(len(places), np.float32)
        shown[inside] = covered.numpy()[places[inside, 1], places[inside, 0]]
        drawn = torch.tensor(shown.reshape(rgba.shape[:2]))[None]
        assert mask_iou(drawn, torch.tensor(rgba[None, ..., 3] > 127).float()).item() > 0.84


def test_the_front_of_the_asset_looks_like_the_photo(fitted, pictures):
    """Same colours at the same places: a mirrored, flipped or shifted texture fails."""
    for result, rgba in zip(fitted, pictures, strict=True):
        asset = result.asset
        texture = torch.tensor(asset.texture).permute(2, 0, 1)[None].float() / 255
        mesh = TexturedMesh(
            template_units(asset), torch.tensor(asset.faces).long(), torch.tensor(asset.face_uv).float(), texture
        )
        drawn = render(mesh, camera_of(asset), (128, 64)).image[0]
        box = asset.provenance["crop_px"]
        area = (box["left"], box["top"], box["left"] + box["width"], box["top"] + box["height"])
        photo = Image.fromarray(rgba).transform((64, 128), Image.Transform.EXTENT, area, Image.Resampling.BILINEAR)
        pixels = torch.tensor(np.array(photo)).float() / 255
        inside = (pixels[..., 3] > 0.99) & (drawn < 1).any(dim=0)
        error = (drawn.permute(1, 2, 0) - pixels[..., :3])[inside].abs().mean()
        mirrored = (drawn.flip(2).permute(1, 2, 0) - pixels[..., :3])[inside].abs().mean()
        assert error < 0.06 and error < 0.5 * mirrored


def test_assets_stand_on_the_ground_and_are_valid(fitted):
    for result in fitted:
        assert check_glb(glb_bytes(result.asset), "a.glb") == []
        assert result.asset.height_m == pytest.approx(1.70, abs=1e-5)
        assert result.asset.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
        assert np.ptp(result.asset.vertices[:, 2]) > 0.1, "a body, not a sheet"


# The same bytes.


def test_bytes_depend_on_nothing_but_the_photo(items, quick):
    reconstructor, prepared = quick
    together = [glb_bytes(result.asset) for result in reconstructor.reconstruct(prepared)]
    backwards = [glb_bytes(result.asset) for result in reconstructor.reconstruct(prepared[::-1])][::-1]
    other = FitReconstructor(QUICK)
    alone = [glb_bytes(other.reconstruct(list(other.prepare(item)))[0].asset) for item in items]
    assert together == backwards == alone


def test_no_photos_no_assets(quick):
    assert list(quick[0].reconstruct([])) == []


@pytest.mark.parametrize(
    "change",
    [
        {"texture_size": (256, 128)},
        {"height_m": 1.8},
        {"height_source": "given"},
        {"refine_steps": 5},
        {"seed": 1},
        {"device": "cuda:1"},
        {"template": "ellipsoid"},
        {"weights": Path("any.safetensors")},
    ],
)
def test_every_option_that_changes_the_bytes_is_in_the_key(change):
    before, after = SMALL.result_options(), replace(SMALL, **change).result_options()
    assert before != after
    json.dumps(after)


def test_where_masks_are_looked_for_and_which_gpu_is_not_in_the_key():
    assert SMALL.result_options() == replace(SMALL, masks="auto").result_options()
    assert replace(SMALL, device="cuda:0").result_options() == replace(SMALL, device="cuda:3").result_options()


# The record.


def test_provenance_says_how_it_was_made(fitted, items):
    for result, item in zip(fitted, items, strict=True):
        record = result.asset.provenance
        assert record["input"] == item.name and record["input_sha256"] == sha256_file(item.path)
        assert record["mask_source"] == result.mask_source == "alpha" and record["mask_sha256"] == result.mask_sha256
        assert record["mask_iou"] == pytest.approx(result.mask_iou, abs=1e-6)
        assert record["ssim"] == pytest.approx(result.ssim, abs=1e-6)
        assert 0.2 < record["seen_fraction"] < 0.7
        assert result.asset.seen is not None and abs(result.asset.seen.mean() - record["seen_fraction"]) < 0.15
        assert record["photo_size_px"] == [128, 64]
        assert record["options"] == SMALL.result_options() and len(record["options_sha256"]) == 64
        assert (record["height_m"], record["height_source"]) == (1.70, "assumed")
        assert record["weights_sha256"] == "none" and record["seed"] == 0
        assert "guess" in record["offsets_source"]
        assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_crop_box_is_in_the_photos_own_pixels(tmp_path, quick):
    """A box mask of 80 x 40 at (30, 10): 8 % margin on each side of its height, twice as high as wide, same centre."""
    [item] = written(tmp_path / "in", {"a.png": solid(box_mask((30, 110), (10, 50)))})
    [result] = quick[0].reconstruct(list(quick[0].prepare(item)))
    crop = result.asset.provenance["crop_px"]
    assert crop["height"] == pytest.approx(80 * 1.16, abs=0.01)
    assert crop["width"] == pytest.approx(80 * 1.16 / 2, abs=0.01)
    assert crop["left"] + crop["width"] / 2 == pytest.approx(30, abs=0.01)
    assert crop["top"] + crop["height"] / 2 == pytest.approx(70, abs=0.01)


# Options.


@pytest.mark.parametrize("size", [(16, 16), (33, 70), (301, 100)])
def test_textures_of_any_size(items, quick, size):
    reconstructor = like(quick, texture_size=size, refine_steps=1)
    [result] = reconstructor.reconstruct(list(reconstructor.prepare(items[0])))
    assert result.asset.texture.shape == (*size, 3)


def test_crops_are_as_fine_as_the_texture_but_not_much_finer_than_the_photo(items, tmp_path):
    assert FitReconstructor(SMALL).prepare(items[0])[0].crop.shape == (*FIT_SIZE, 3)
    huge = FitReconstructor(replace(SMALL, texture_size=(4096, 2048))).prepare(items[0])[0]
    assert 4 * 128 * 0.8 <= huge.crop.shape[0] <= 4 * 128 * 1.2
    for rows in (301, 512):
        crop = FitReconstructor(replace(SMALL, texture_size=(rows, 99))).prepare(items[0])[0].crop
        assert crop.shape[0] == 2 * crop.shape[1] and -8 <= crop.shape[0] - rows <= 1


def test_no_refinement_stops_after_the_alignment(items, quick):
    reconstructor = like(quick, refine_steps=0)
    [rough] = reconstructor.reconstruct(list(reconstructor.prepare(items[0])))
    [fine] = quick[0].reconstruct(quick[1][:1])
    assert 0.5 < rough.mask_iou < 0.9 and not np.array_equal(rough.asset.vertices, fine.asset.vertices)


def test_a_stated_height(items, quick):
    reconstructor = like(quick, height_m=1.2, height_source="given", refine_steps=1)
    [result] = reconstructor.reconstruct(list(reconstructor.prepare(items[0])))
    assert result.asset.height_m == pytest.approx(1.2, abs=1e-5)
    assert result.asset.provenance["height_source"] == "given"


def test_the_published_template(items):
    reconstructor = FitReconstructor(replace(QUICK, template="ellipsoid"))
    [result] = reconstructor.reconstruct(list(reconstructor.prepare(items[0])))
    assert len(result.asset.vertices) == 642
    assert result.mask_iou > 0.6 and check_glb(glb_bytes(result.asset), "a.glb") == []


def test_a_template_from_a_file(items, tmp_path):
    path = tmp_path / "body.obj"
    body = trimesh.creation.icosphere(subdivisions=2)
    body.vertices *= [40, 90, 25]
    body.export(path)
    options = replace(QUICK, template=str(path))
    reconstructor = FitReconstructor(options)
    [result] = reconstructor.reconstruct(list(reconstructor.prepare(items[0])))
    assert len(result.asset.vertices) == 162 and result.mask_iou > 0.6
    assert result.asset.provenance["options"]["template"] == sha256_file(path)
    body.vertices *= [1, 1, 2]
    body.export(path)
    assert options.result_options() != result.asset.provenance["options"], "another mesh under the same name"


def test_a_template_that_does_not_exist(items):
    with pytest.raises(FatalError, match=r"nosuch\.obj"):
        replace(SMALL, template="nosuch.obj").result_options()


# Strange photos.


@pytest.mark.parametrize(
    "mask, floor",
    [
        (box_mask((0, 120), (5, 55)), 0.8),
        (box_mask((20, 120), (0, 25)), 0.8),
        (box_mask((50, 70), (2, 58)), 0.75),
        (box_mask((10, 115), (29, 31)), 0.4),
    ],
    ids=["cut above and below", "cut on the left", "lying", "a pole"],
)
def test_boxes_in_odd_places_are_still_explained(tmp_path, quick, mask, floor):
    [item] = written(tmp_path / "in", {"a.png": solid(mask)})
    reconstructor = like(quick, refine_steps=12)
    [result] = reconstructor.reconstruct(list(reconstructor.prepare(item)))
    assert result.mask_iou > floor
    assert np.isfinite(result.asset.vertices).all() and check_glb(glb_bytes(result.asset), "a.glb") == []
    assert np.abs(result.asset.texture.reshape(-1, 3).astype(int) - (40, 90, 160)).max() <= 3, "no background"


def test_a_person_who_lies_is_as_long_as_others_are_high(tmp_path, quick):
    [item] = written(tmp_path / "in", {"a.png": solid(box_mask((50, 70), (2, 58)))})
    [result] = quick[0].reconstruct(list(quick[0].prepare(item)))
    assert np.ptp(result.asset.vertices[:, 0]) == pytest.approx(1.7, abs=1e-4)
    assert result.asset.height_m < 0.9


def test_a_bad_mask_is_an_error_of_its_item(tmp_path, quick):
    [item] = written(tmp_path / "in", {"a.png": solid(np.zeros((120, 60), bool))})
    with pytest.raises(ItemError, match=r"a\.png"):
        quick[0].prepare(item)
