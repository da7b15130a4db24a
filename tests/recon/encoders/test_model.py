import copy

import pytest
import torch

from recon.encoders import (
    ALL_GROUPS,
    GROUPS,
    AttributeEncoder,
    parameter_counts,
    small_config,
    untracked_statistics,
)
from recon.structures import Camera
from recon.template import ellipsoid_template

SMALL_KINDS = {
    "default": {},
    "mirrored": {"back": "mirrored"},
    "aligned": {"alignment": "predicted_camera", "azimuth_head": "bins", "texture_source": "blend"},
    "corrected": {"alignment": "corrected_camera", "shape_space": "modes", "shape_looks": 3, "offset_rank": 4},
    "aligned mirrored": {"alignment": "predicted_camera", "back": "mirrored"},
    "no integration": {"integration": False, "background": True},
    "published": {"conventions": "published", "back": "mirrored", "input_background": "white"},
}


def build(template, **changes) -> AttributeEncoder:
    torch.manual_seed(0)
    return AttributeEncoder(small_config(**{"height": 64, "width": 32, **changes}), template)


def loudened(encoder: AttributeEncoder) -> AttributeEncoder:
    """Untrained heads say almost nothing; make them speak."""
    for module in encoder.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d) and module.weight.std() < 1e-3:
            torch.nn.init.normal_(module.weight, 0, 0.1)
    return encoder


@pytest.mark.parametrize(
    ("kind", "size"),
    [(kind, (128, 64)) for kind in SMALL_KINDS]
    + [(kind, size) for kind in ("default", "aligned") for size in ((160, 96), (128, 128))],
)
def test_shapes_and_ranges(tiny_template, photos, kind, size):
    encoder = loudened(build(tiny_template, height=size[0], width=size[1], **SMALL_KINDS[kind])).eval()
    sample = photos(encoder.config, batch=2)
    with torch.no_grad():
        attributes = encoder(sample)
    height, width = size
    assert attributes.texture.shape == (2, 3, 2 * height, width)
    assert attributes.offsets.shape == (2, len(tiny_template.vertices), 3)
    assert attributes.offsets.mean(dim=1).abs().max() < 1e-6
    assert attributes.light is not None and attributes.light.shape == (2, 9)
    assert attributes.light[:, 0].min() >= 2.5 and attributes.light[:, 0].max() <= 3.5
    assert attributes.light[:, 1:].abs().max() <= 0.1
    low, high = encoder.config.ranges.distance
    assert attributes.camera.distance.min() >= low and attributes.camera.distance.max() <= high
    assert (attributes.background is not None) == encoder.config.background
    if kind != "published":
        assert attributes.texture.min() >= 0 and attributes.texture.max() <= 1


@pytest.mark.parametrize("kind", SMALL_KINDS)
def test_initial_state(tiny_template, photos, kind):
    encoder = build(tiny_template, **SMALL_KINDS[kind]).eval()
    sample = photos(encoder.config)
    attributes = encoder(sample)
    elevation_deg, distance = encoder.config.ranges.middle
    assert attributes.offsets.abs().max() < 0.01
    torch.testing.assert_close(attributes.camera.elevation_deg, torch.full((3,), elevation_deg), atol=0.1, rtol=0)
    torch.testing.assert_close(attributes.camera.distance, torch.full((3,), distance), atol=0.01, rtol=0)
    assert attributes.camera.offset.abs().max() < 0.01
    torch.testing.assert_close(attributes.light, torch.tensor([3.0] + [0.0] * 8).expand(3, -1), atol=0.01, rtol=0)
    if attributes.background is not None:
        torch.testing.assert_close(
            attributes.background, torch.full_like(attributes.background, 0.5), atol=0.01, rtol=0
        )
    if kind == "published":
        assert attributes.texture.std(dim=(2, 3)).max() < 0.01, "flow 0: the centre pixel everywhere"
    else:
        assert attributes.texture.std(dim=(2, 3)).min() > 0.01


def test_initial_texture_shows_the_template_where_it_stands_in_the_photo(photos):
    template = ellipsoid_template(level=2)
    encoder = build(template).eval()
    sample = photos(encoder.config, batch=1)
    rows = torch.linspace(0, 1, 64)[:, None].expand(64, 32)
    columns = torch.linspace(0, 1, 32).expand(64, 32)
    sample.image[0] = torch.stack((rows, columns, rows))
    sample.mask[:] = 1
    front = encoder(sample).texture[0, :, 64:]
    back = encoder(sample).texture[0, :, :64].flip(1)
    assert front[0, 2, 16] < 0.3 < 0.7 < front[0, -3, 16], "head up in the front half"
    assert front[1, 32, 2] < 0.4 < 0.6 < front[1, 32, -3], "left stays left"
    # Not exactly: the back is farther from the camera and hence a little smaller.
    torch.testing.assert_close(back, front, atol=0.06, rtol=0)


def test_texture_is_front_back_mirrored_only_when_asked(tiny_template, photos):
    for back in ("mirrored", "independent"):
        encoder = loudened(build(tiny_template, back=back)).eval()
        texture = encoder(photos(encoder.config)).texture
        assert torch.allclose(texture, texture.flip(2)) == (back == "mirrored")


@pytest.mark.parametrize("frozen", GROUPS)
@pytest.mark.parametrize("alignment", ["mean_camera", "predicted_camera"])
def test_frozen_groups_have_no_gradient_and_keep_their_buffers(tiny_template, photos, frozen, alignment):
    encoder = loudened(build(tiny_template, background=True, alignment=alignment)).train()
    before = copy.deepcopy(encoder.state_dict())
    a = encoder.encode_groups(photos(encoder.config), ALL_GROUPS - {frozen})
    camera = a.camera.distance.sum() + a.camera.azimuth_deg.sum() + a.camera.offset.sum()
    (camera + a.offsets.square().sum() + a.texture.square().sum() + a.light.sum() + a.background.sum()).backward()
    for group in GROUPS:
        gradients = [p.grad for p in getattr(encoder, group).parameters()]
        if group == frozen:
            assert all(g is None for g in gradients)
        else:
            assert any(g is not None and bool(g.any()) for g in gradients)
    for name, value in encoder.state_dict().items():
        is_statistic = "running_" in name or "num_batches" in name
        if name.startswith(f"{frozen}.") or not is_statistic:
            assert torch.equal(value, before[name]), name
        else:
            assert not torch.equal(value, before[name]), name


def test_cameras_are_corrected_and_pictures_do_not_teach_how(tiny_template, photos):
    encoder = loudened(build(tiny_template, **SMALL_KINDS["corrected"])).train()
    sample = photos(encoder.config)
    corrected, first = encoder(sample).camera, encoder.predict_camera(sample).camera
    assert bool(((corrected.offset - first.offset).abs() > 1e-4).all())
    (corrected.distance.sum() + corrected.azimuth_deg.sum()).backward()
    assert all(parameter.grad is None for parameter in encoder.shape.parameters())
    assert any(parameter.grad is not None for parameter in encoder.camera.parameters())


@pytest.mark.slow
def test_frozen_groups_say_the_same_as_trained_ones(tiny_template, photos):
    encoder = loudened(build(tiny_template)).train()
    sample = photos(encoder.config)
    first, second = encoder.encode_groups(sample), encoder.encode_groups(sample, frozenset())
    torch.testing.assert_close(second.offsets, first.offsets)
    torch.testing.assert_close(second.texture, first.texture)
    torch.testing.assert_close(second.camera.azimuth_deg, first.camera.azimuth_deg)
    # Both differ from evaluation mode, so it was batch statistics that the frozen pass used.
    assert not torch.allclose(encoder.eval()(sample).offsets, first.offsets)


def test_untracked_statistics_come_back_after_an_error(tiny_template):
    encoder = build(tiny_template)
    with pytest.raises(RuntimeError, match="inside"), untracked_statistics(encoder):
        raise RuntimeError("inside")
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and all(m.track_running_stats for m in norms)


@pytest.mark.slow
def test_a_batch_of_one_equals_its_row_in_a_larger_batch(tiny_template, photos):
    for kind in SMALL_KINDS.values():
        encoder = loudened(build(tiny_template, **kind)).eval()
        three = photos(encoder.config)
        one = type(three)(three.image[1:2], three.mask[1:2])
        with torch.no_grad():
            whole, single = encoder(three), encoder(one)
        torch.testing.assert_close(single.offsets, whole.offsets[1:2], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(single.texture, whole.texture[1:2], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(single.camera.distance, whole.camera.distance[1:2], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[] if kind in ("default", "published") else pytest.mark.slow) for kind in SMALL_KINDS],
)
def test_state_carries_everything_including_the_prototype(tiny_template, photos, kind):
    encoder = loudened(build(tiny_template, **SMALL_KINDS[kind]))
    encoder.train()(photos(encoder.config))
    encoder.set_prototype(tiny_template.vertices * 0.7)
    torch.manual_seed(99)
    restored = AttributeEncoder(encoder.config, tiny_template)
    restored.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(restored.prototype.vertices, tiny_template.vertices * 0.7)
    sample = photos(encoder.config)
    first, second = encoder.eval()(sample), restored.eval()(sample)
    assert torch.equal(first.offsets, second.offsets)
    assert torch.equal(first.texture, second.texture)
    assert torch.equal(first.camera.azimuth_deg, second.camera.azimuth_deg)


def test_prototype_moves_without_touching_the_template(tiny_template):
    encoder = build(tiny_template)
    original = tiny_template.vertices.clone()
    encoder.set_prototype(original + 0.1)
    torch.testing.assert_close(encoder.prototype.vertices, original + 0.1)
    assert torch.equal(tiny_template.vertices, original)
    assert "prototype_vertices" not in dict(encoder.named_parameters())


def test_known_cameras_replace_predicted_ones(tiny_template, photos):
    encoder = loudened(build(tiny_template, alignment="predicted_camera")).eval()
    sample = photos(encoder.config)
    front, behind = Camera.frontal(3, 3.0), Camera.frontal(3, 3.0).turned(180.0)
    first, second = encoder(sample, camera=front), encoder(sample, camera=behind)
    assert first.camera is front
    assert not torch.allclose(first.offsets, second.offsets)
    assert not torch.allclose(first.texture, second.texture)


def test_texture_of_an_aligned_encoder_turns_with_the_camera(photos):
    """Seen from behind, the back half is copied from the photo with left and right exchanged."""
    template = ellipsoid_template(level=2)
    encoder = build(template, alignment="predicted_camera").eval()
    sample = photos(encoder.config, batch=1)
    sample.image[0] = torch.linspace(0, 1, 32).expand(3, 64, 32)
    sample.mask[:] = 1
    texture = encoder(sample, camera=Camera.frontal(1, 3.0).turned(180.0)).texture[0, 0]
    assert texture[32, 2] > 0.6 > 0.4 > texture[32, -3]


def test_published_differs_where_it_should(tiny_template, photos):
    corrected = loudened(build(tiny_template, back="mirrored", input_background="white")).eval()
    published = loudened(build(tiny_template, **SMALL_KINDS["published"])).eval()
    shared = {n: v for n, v in corrected.state_dict().items() if not n.startswith("camera.heads")}
    published.load_state_dict(shared, strict=False)
    first, second = corrected(photos(corrected.config)), published(photos(published.config))
    assert (first.camera.offset_frame, second.camera.offset_frame) == ("camera", "world")
    assert not torch.allclose(first.offsets, second.offsets), "upside-down sampling"
    assert not torch.allclose(first.texture, second.texture), "no base grid"
    torch.testing.assert_close(first.light, second.light)


def test_input_backgrounds(tiny_template, photos):
    """Only encoders with a real background notice what is behind the person."""
    for background in ("grey", "white", "real"):
        encoder = loudened(build(tiny_template, input_background=background)).eval()
        sample = photos(encoder.config)
        other = torch.where(sample.mask[:, None] == 1, sample.image, torch.rand_like(sample.image))
        first, second = encoder(sample), encoder(type(sample)(other, sample.mask))
        assert torch.allclose(first.offsets, second.offsets) == (background != "real")


def test_parameter_counts():
    counts = parameter_counts(AttributeEncoder(small_config("market"), ellipsoid_template()))
    assert set(counts) == set(GROUPS) - {"background"}
    assert 1_000_000 <= sum(counts.values()) <= 3_000_000


def test_wrong_inputs_are_named(tiny_template, photos):
    encoder = build(tiny_template)
    with pytest.raises(ValueError, match="photos are 64x128 pixels, the encoder was built for 32x64"):
        encoder(photos(small_config()))
    with pytest.raises(ValueError, match="unknown encoder groups: hair; there are camera, shape"):
        encoder.encode_groups(photos(encoder.config), frozenset({"hair"}))
    with pytest.raises(ValueError, match="shape has no trunk for pretrained weights"):
        encoder.load_pretrained_trunk("shape", {})
