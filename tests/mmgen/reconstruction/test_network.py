"""Photos to assets through networks: orientation, proportions, texture, record, the same bytes always."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from people_photos import people_rgba, written

from mmgen.assets.glb import glb_bytes
from mmgen.assets.rules import check_glb
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file
from mmgen.evaluation.mesh_predictions import answer_of
from mmgen.masks import network
from mmgen.masks.structures import MaskSource, Signs
from mmgen.models.weights import save_weights
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction import prepare
from mmgen.reconstruction.network import NetworkReconstructor
from mmgen.reconstruction.options import ReconstructOptions, build_reconstructor, default_options
from mmgen.work.records import Choices
from recon.encoders import AttributeEncoder, aligned_config
from recon.evaluation.predictions import draw_prediction
from recon.metrics import mask_iou
from recon.structures import Attributes, Camera
from recon.template import Template, ellipsoid_template
from recon.texturing.blend import textures_in_light

SIZE = (128, 64)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(2, (0.25, 0.9, 0.15))


@pytest.fixture(scope="module")
def weights(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that see everyone as the template with small offsets, from behind on the right (120 degrees)."""
    torch.manual_seed(0)
    encoder = AttributeEncoder(aligned_config(height=SIZE[0], width=SIZE[1], shape_space="free"), template).eval()
    with torch.no_grad():
        encoder.camera.heads.layers[-1].bias[6 + 30] = 9.0
        encoder.shape.offsets[-1].weight.normal_(0, 0.0005)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, encoder, template, {})
    return path


@pytest.fixture(scope="module")
def options(weights: Path) -> ReconstructOptions:
    return ReconstructOptions(texture_size=(128, 64), masks="alpha", weights=weights, facing="back", refine_steps=0)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[InputItem]:
    """Two people, one of them at the edge of a wide photo."""
    first, second = people_rgba(2)
    wide = np.zeros((200, 300, 4), np.uint8)
    wide[60:188, 10:74] = second
    return written(tmp_path_factory.mktemp("people") / "in", {"a.png": first, "b.png": wide})


@pytest.fixture(scope="module")
def results(options: ReconstructOptions, items: list[InputItem]):
    torch.set_num_threads(1)
    reconstructor = NetworkReconstructor(options)
    return reconstructor.reconstruct([one for item in items for one in reconstructor.prepare(item)])


def test_bytes_depend_on_nothing_but_the_photo(options, items, results):
    """Convolutions and products of matrices round differently in batches of other sizes."""
    together = [glb_bytes(result.asset) for result in results]
    other = NetworkReconstructor(options)
    prepared = [one for item in items for one in other.prepare(item)]
    backwards = [glb_bytes(one.asset) for one in other.reconstruct([*prepared, prepared[0]][::-1])][::-1]
    alone = [glb_bytes(other.reconstruct([one])[0].asset) for one in prepared]
    assert together == alone == backwards[:2] and backwards[2] == together[0]
    assert together[0] != together[1]


def test_refined_bytes_depend_on_nothing_but_the_photo_either(options, items, results):
    reconstructor = NetworkReconstructor(replace(options, refine_steps=3))
    prepared = [one for item in items for one in reconstructor.prepare(item)]
    together = reconstructor.reconstruct(prepared)
    alone = [reconstructor.reconstruct([one])[0] for one in prepared]
    assert [glb_bytes(one.asset) for one in together] == [glb_bytes(one.asset) for one in alone]
    for before, after in zip(results, together, strict=True):
        assert after.mask_iou > before.mask_iou
        said = after.asset.provenance
        assert said["offsets_source"] == "predicted by the networks, then refined on the silhouette in 3 steps"
        assert said["options"]["refine_steps"] == 3


def test_the_asset_faces_front_whatever_the_camera(results, template):
    """Turned by the predicted azimuth, the mesh would be wide in z and narrow in x."""
    for result in results:
        asset = result.asset
        assert asset.provenance["camera"]["azimuth_deg"] == pytest.approx(120, abs=8)
        across, high, deep = np.ptp(asset.vertices, axis=0)
        assert high == pytest.approx(1.70, abs=1e-5) and asset.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
        assert across / high == pytest.approx(0.25 / 0.9, rel=0.3) and deep / high == pytest.approx(0.15 / 0.9, rel=0.4)
        assert across > 1.2 * deep
        assert check_glb(glb_bytes(result.asset), "a.glb") == []


def test_who_faces_the_camera_is_turned_round(options, items):
    """These networks see everyone from behind."""
    reconstructor = NetworkReconstructor(replace(options, facing="front"))
    chosen = replace(items[1], choices=Choices(facing="back"))
    (result, other) = reconstructor.reconstruct([*reconstructor.prepare(items[0]), *reconstructor.prepare(chosen)])
    assert result.asset.provenance["camera"]["azimuth_deg"] == pytest.approx(60, abs=8)
    assert result.asset.provenance["facing"] == {"side": "front", "asked": "front", "turned": True}
    assert (result.facing, other.facing) == ("front", "back")
    assert other.asset.provenance["facing"] == {"side": "back", "asked": "back", "turned": False}


@pytest.mark.parametrize(
    ("signs", "facing", "note"),
    [
        (Signs(0.9, 0.05, 10.0, 1, "none"), "front", None),
        (Signs(0.9, 0.95, 170.0, 1, "waist"), "back", "the photo cuts the person off at the waist"),
        (Signs(0.9, 0.5, 90.0, 1, "none"), None, None),
        (Signs(0.1, 0.9, 180.0, 1, "none"), None, "no person is seen in this photo"),
    ],
)
def test_what_the_person_network_says_is_heard(items, monkeypatch, signs, facing, note):
    """A mask that is given overrules it."""
    monkeypatch.setattr(prepare, "signs_of", lambda *_: signs)
    monkeypatch.setattr(network, "SMALL_ROWS", 0)
    (one,) = prepare.prepare_people(items[0], MaskSource("alpha"), prepare.Framing(SIZE, None, (128, 64), "auto"))
    assert (one.facing, one.tensors().facing, one.signs) == (facing, facing, signs)
    assert [said for said in one.notes if note is None or said.startswith(note)] == list(one.notes)
    assert bool(one.notes) == (note is not None)
    (given,) = prepare.prepare_people(items[0], MaskSource("alpha"), prepare.Framing(SIZE, None, (128, 64), "back"))
    assert (given.facing, given.signs) == ("back", None)


def test_the_asset_lies_in_its_photo_where_the_figures_say(results, items):
    """Drawn in the frame of the whole photo, from nothing but the asset and its provenance."""
    for result, size in zip(results, [(128, 64), (200, 300)], strict=True):
        drawn = draw_prediction(answer_of(result.asset, size), size)
        box = result.asset.provenance["crop_px"]
        assert box["height"] == pytest.approx(2 * box["width"], abs=0.01), "square pixels, no stretching"
        rgba = people_rgba(2)[1 if size[1] == 300 else 0]
        true = torch.zeros(size)
        top, left = (60, 10) if size[1] == 300 else (0, 0)
        true[top : top + 128, left : left + 64] = torch.tensor(rgba[..., 3] > 127).float()
        assert float(mask_iou(drawn.mask[None], true[None])) == pytest.approx(result.mask_iou, abs=0.08)


def test_seen_texels_are_the_photo_and_the_rest_is_painted(options, items, weights):
    """A red person seen from behind (120 degrees): red where seen, grey as painted elsewhere."""
    rgba = np.full((128, 64, 4), 255, np.uint8)
    rgba[..., :3] = (220, 30, 30)
    rgba[..., 3] = people_rgba(1)[0][..., 3]
    [item] = written(items[0].path.parent.parent / "red" / "in", {"red.png": rgba})
    reconstructor = NetworkReconstructor(options)
    [result] = reconstructor.reconstruct(list(reconstructor.prepare(item)))
    texture = result.asset.texture.astype(int)
    back = texture[28:36, 58:62]
    assert np.abs(back - (220, 30, 30)).max() <= 2
    assert 0.2 < result.asset.provenance["seen_fraction"] < 0.6


def test_bright_photos_give_the_same_body_as_darker_ones(options, items):
    """Networks see both in the same exposure: a photo twice as bright changes colours only."""
    rgba = people_rgba(1)[0]
    dark, bright = rgba.copy(), rgba.copy()
    dark[..., :3] = 180
    bright[..., :3] = 250
    written_items = written(items[0].path.parent.parent / "bright" / "in", {"a.png": dark, "b.png": bright})
    reconstructor = NetworkReconstructor(options)
    first, second = reconstructor.reconstruct([one for item in written_items for one in reconstructor.prepare(item)])
    np.testing.assert_allclose(first.asset.vertices, second.asset.vertices, atol=2e-3)


def test_the_record(results, items, weights, options):
    for result, item in zip(results, items, strict=True):
        said = result.asset.provenance
        assert said["input_sha256"] == sha256_file(item.path) and said["weights_sha256"] == sha256_file(weights)
        assert said["options"] == options.result_options() and said["options"]["method"] == "network"
        assert "template" not in said["options"] and said["offsets_source"] == "predicted by the networks"
        assert said["light"] == "in the texture" and len(said["light_predicted"]) == 9
        assert (said["mask_iou"], said["ssim"]) == (round(result.mask_iou, 6), round(result.ssim, 6))


def test_light_is_painted_as_seen_from_the_front():
    """Coefficient 2 belongs to z: towards the camera."""
    texture, camera = torch.full((1, 3, 4, 2), 0.5), Camera.frontal(1)
    light = torch.zeros(1, 9)
    light[0, 0], light[0, 2] = 1 / 0.28209479177, 1 / 0.4886025119
    lit = textures_in_light(Attributes(camera, torch.zeros(1, 4, 3), texture * 0.5, light))
    torch.testing.assert_close(lit, texture)
    assert torch.equal(textures_in_light(Attributes(camera, torch.zeros(1, 4, 3), texture)), texture)


def test_weights_that_cannot_be_used_are_told_before_any_photo(options, tmp_path):
    with pytest.raises(FatalError, match=r"no weights file .*nosuch\.safetensors"):
        build_reconstructor(replace(options, weights=tmp_path / "nosuch.safetensors"))
    (tmp_path / "w.safetensors").write_bytes(b"no")
    with pytest.raises(FatalError, match="cannot be read as a weights file"):
        build_reconstructor(replace(options, weights=tmp_path / "w.safetensors"))


def test_bundled_weights_are_the_default(monkeypatch, weights, tmp_path):
    monkeypatch.setattr("mmgen.bundled.PEOPLE_FILE", weights)
    assert isinstance(build_reconstructor(default_options()), NetworkReconstructor)
    monkeypatch.setattr("mmgen.bundled.PEOPLE_FILE", tmp_path / "none.safetensors")
    assert not isinstance(build_reconstructor(default_options()), NetworkReconstructor)


@pytest.mark.parametrize(
    ("crop_height", "rows"),
    [(63, 256), (64, 512), (148, 512), (426, 512), (427, 1024), (853, 1024), (854, 2048), (5000, 2048)],
)
def test_textures_are_as_fine_as_the_photo_shows_the_person(crop_height, rows):
    """Photos of people of 128 rows keep 512; half of a texture's rows show the front."""
    assert prepare.texture_size_for(crop_height) == (rows, rows // 2)


def test_each_photo_of_a_batch_has_a_texture_of_its_own_size(options, tmp_path):
    """As alone, and as for somebody who asks for that size; the asset says so, to be made again."""
    small, large = written(tmp_path, {"a.png": people_rgba(1)[0][::3, ::3].copy(), "b.png": people_rgba(1)[0]})
    chosen = NetworkReconstructor(replace(options, texture_size=None))
    prepared = [one for item in (small, large) for one in chosen.prepare(item)]
    made = chosen.reconstruct(prepared)
    assert [one.asset.texture.shape[0] for one in made] == [256, 512]
    assert made[0].asset.provenance["options"]["texture_size"] == "auto"
    [alone] = chosen.reconstruct(prepared[1:])
    assert glb_bytes(alone.asset) == glb_bytes(made[1].asset)
    asked = NetworkReconstructor(replace(options, texture_size=(256, 128)))
    [said] = asked.reconstruct(list(asked.prepare(small)))
    np.testing.assert_array_equal(said.asset.texture, made[0].asset.texture)


def test_what_a_person_chose_for_one_photo_is_as_if_the_run_had_said_it(options, items):
    """In one batch with others, and written into the asset, so that it can be made again."""
    reconstructor = NetworkReconstructor(options)
    choices = Choices(refine_steps=2, texture_rows=64)
    batch = [items[0], replace(items[0], choices=choices)]
    plain, chosen = reconstructor.reconstruct([one for item in batch for one in reconstructor.prepare(item)])
    other = NetworkReconstructor(replace(options, refine_steps=2, texture_size=(64, 32)))
    [said] = other.reconstruct(list(other.prepare(items[0])))
    assert glb_bytes(chosen.asset, "png") == glb_bytes(said.asset, "png") != glb_bytes(plain.asset, "png")
    assert chosen.asset.texture.shape == (64, 32, 3)
    assert chosen.asset.provenance["options"]["refine_steps"] == 2
