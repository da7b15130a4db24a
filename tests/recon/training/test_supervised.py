"""Learning from truth: the losses know the truth from its neighbours, and a step moves every encoder towards it."""

from dataclasses import asdict, replace

import pytest
import torch

from recon.encoders import AttributeEncoder
from recon.encoders.camera import CameraPrediction, bin_centres_deg
from recon.encoders.config import aligned_config
from recon.losses import LOSS_PRESETS, LossWeights
from recon.render import RenderSettings
from recon.structures import Attributes, Camera, Sample
from recon.template import ellipsoid_template
from recon.training import supervised
from recon.training.config import OptimiserConfig, StepConfig
from recon.training.learner import make_learner
from recon.training.step import Batch, GroundTruth, TrainProgress, draw
from recon.training.supervised import (
    camera_truth_loss,
    conditioning_camera,
    corrected_camera_loss,
    jittered_camera,
    supervised_step,
    texels_truth_loss,
    training_step,
    turned_camera,
    turned_view_loss,
    vertices_truth_loss,
)


def cameras(*azimuths_deg):
    count = len(azimuths_deg)
    return Camera(
        torch.tensor(azimuths_deg), torch.full((count,), 3.0), torch.full((count,), 2.7), torch.zeros(count, 2)
    )


def prediction(camera):
    radians = torch.deg2rad(camera.azimuth_deg)
    bins = torch.deg2rad(bin_centres_deg(radians))
    logits = 30 * (radians[:, None] - bins).cos()
    return CameraPrediction(camera, torch.stack((radians.cos(), radians.sin()), dim=1), logits)


def test_corrections_learn_from_predicted_cameras_alone():
    true, said = cameras(179.0, 0.0), cameras(-179.0, 40.0)
    loss = corrected_camera_loss(said, true, torch.tensor([True, False]))
    torch.testing.assert_close(loss, torch.tensor(0.5))  # 2 degrees round the back are one unit
    assert float(corrected_camera_loss(said, true, torch.tensor([False, False]))) == 0.0
    low = replace(true, elevation_deg=true.elevation_deg + 2, offset=true.offset + torch.tensor([0.0, 0.04]))
    torch.testing.assert_close(corrected_camera_loss(low, true, torch.tensor([False, True])), torch.tensor(0.5 + 1.5))


@pytest.mark.parametrize(
    "wrong",
    [
        {"azimuth_deg": torch.tensor([195.0])},
        {"azimuth_deg": torch.tensor([-165.0])},
        {"elevation_deg": torch.tensor([8.0])},
        {"distance": torch.tensor([2.9])},
        {"offset": torch.tensor([[0.0, 0.05]])},
    ],
)
def test_every_part_of_the_camera_is_told_and_a_full_turn_is_no_error(wrong):
    true = cameras(175.0)
    right = camera_truth_loss(prediction(true), true)
    assert camera_truth_loss(prediction(replace(true, **wrong)), true) > right + 1e-3
    turned = replace(true, azimuth_deg=true.azimuth_deg - 360)
    torch.testing.assert_close(camera_truth_loss(prediction(turned), true), right)


@pytest.mark.parametrize(("azimuth_deg", "across"), [(0.0, 0.3), (90.0, 0.5), (180.0, 0.3), (-90.0, 0.5)])
def test_vertex_errors_count_once_more_across_the_view(azimuth_deg, across):
    vertices = torch.rand(2, 5, 3)
    moved = vertices + torch.tensor([0.0, 0.3, 0.4])
    camera = replace(cameras(azimuth_deg, azimuth_deg), elevation_deg=torch.zeros(2))
    loss = vertices_truth_loss(moved, vertices, camera)
    torch.testing.assert_close(loss, torch.tensor(0.5 + supervised.ACROSS_VIEW_WEIGHT * across), atol=1e-3, rtol=0)


def test_texel_errors_are_plain_means():
    fine = torch.rand(2, 3, 8, 4)
    coarse = torch.nn.functional.avg_pool2d(fine, 2)
    assert float(texels_truth_loss(fine, coarse)) < 1e-6
    with pytest.raises(ValueError, match="no whole part"):
        texels_truth_loss(fine, torch.rand(2, 3, 3, 4))


def test_given_cameras_are_off_but_not_all_and_not_far():
    true = cameras(*[10.0] * 400)
    given = jittered_camera(true, torch.Generator().manual_seed(0))
    off = given.azimuth_deg - true.azimuth_deg
    assert 0.15 < float((off == 0).double().mean()) < 0.35
    assert 4 < float(off[off != 0].std()) < 8


@pytest.fixture(scope="module")
def scene():
    """A learner, and photos drawn from the very truth that goes with them."""
    template = ellipsoid_template(level=2)
    sizes = {"camera_widths": (32, 64, 128), "shape_widths": (48, 80, 128), "trunk_depth": 1}
    encoder_config = aligned_config(height=64, width=32, offset_rank=8, **sizes)
    learner = make_learner(encoder_config, template, OptimiserConfig(), seed=0)
    directions = torch.linalg.qr(
        torch.randn(3 * len(template.vertices), 8, generator=torch.Generator().manual_seed(3))
    )[0]
    learner.encoder.shape.take(directions.T.unflatten(1, (-1, 3)))
    camera = cameras(0.0, 90.0, 180.0, -90.0)
    offsets = torch.einsum("bk,wk->bw", torch.tensor([0.5, -0.5, 1.0, -1.0])[:, None].expand(-1, 8), directions)
    offsets = offsets.unflatten(1, (-1, 3))
    texture = torch.rand(4, 3, 128, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        attributes = AttributeEncoder(encoder_config, template).eval()(
            Sample(torch.rand(4, 3, 64, 32), torch.ones(4, 64, 32)), camera=camera
        )
        told = replace(attributes, offsets=offsets, texture=texture, light=None)
        drawn = draw(told, template, Sample(torch.rand(4, 3, 64, 32), torch.ones(4, 64, 32)))
    coarse = torch.nn.functional.avg_pool2d(texture, 2)
    known = GroundTruth(camera, (drawn.mask > 0.5).float(), template.vertices + offsets, coarse)
    return learner, Batch(Sample(drawn.image.clamp(0, 1), known.mask), known=known)


def test_all_terms_fall_when_one_batch_is_learned_again_and_again(scene):
    learner, batch = scene
    config = StepConfig(losses=LOSS_PRESETS["truth"], offset_smoothing=0.0)
    optimiser = OptimiserConfig(learning_rate=3e-3, warmup_steps=0)
    reports = [training_step(learner, batch, config, optimiser, TrainProgress(step, step, 0.0)) for step in range(25)]
    assert set(reports[0].terms) == {
        f"truth_{name}" for name in ("camera", "correction", "vertices", "texels", "image", "structure")
    }
    for name in ("truth_camera", "truth_vertices", "truth_texels"):
        assert reports[-1].terms[name] < reports[0].terms[name], name
    assert reports[-1].terms["truth_camera"] < 0.6 * reports[0].terms["truth_camera"]


def test_most_photos_come_with_the_predicted_camera_unless_it_is_lost(scene, monkeypatch):
    learner, _ = scene
    true = cameras(*[170.0] * 400)
    sample = Sample(torch.rand(400, 3, 64, 32), torch.ones(400, 64, 32))
    said = replace(true, azimuth_deg=torch.full((400,), -175.0), distance=torch.full((400,), 3.1))
    said.azimuth_deg[::2] = -10.0
    norms = [module for module in learner.encoder.camera.modules() if isinstance(module, torch.nn.BatchNorm2d)]

    def predict_camera(sample):
        assert not any(norm.training for norm in norms)  # as it answers when it is used
        return prediction(said)

    monkeypatch.setattr(learner.encoder, "predict_camera", predict_camera)
    told = conditioning_camera(learner, sample, true)
    taken = told.camera.distance == 3.1
    assert torch.equal(taken, told.is_predicted)
    assert not taken[::2].any() and 0.65 < float(taken[1::2].double().mean()) < 0.85
    assert torch.equal(taken, told.camera.azimuth_deg == -175.0)
    assert all(norm.training for norm in norms)


def test_the_other_side_is_looked_at():
    true = cameras(*[100.0] * 300)
    turned = turned_camera(true, torch.Generator().manual_seed(0))
    off = (turned.azimuth_deg - true.azimuth_deg).remainder(360)
    assert 30 <= float(off.min()) < 40 and 320 < float(off.max()) <= 330
    torch.testing.assert_close(turned.distance, true.distance)


def test_a_wrong_back_is_seen_from_behind_alone(scene):
    learner, batch = scene
    template = learner.encoder.prototype
    known = replace(batch.known, texture=batch.known.texture.clone())
    right = Attributes(known.camera, known.vertices - template.vertices, known.texture, None, None)
    painted = known.texture.clone()
    painted[:, :, : painted.shape[2] // 2] = 0
    deep = right.offsets + template.vertices * torch.tensor([0.0, 0.0, 0.8])

    def loss(own, azimuth_deg):
        camera = replace(cameras(0.0, 0.0, 0.0, 0.0), azimuth_deg=torch.full((4,), azimuth_deg))
        weights = LOSS_PRESETS["truth"]
        return float(turned_view_loss(own, known, template, camera, RenderSettings(), weights))

    wrong_back = replace(right, texture=painted)
    assert loss(wrong_back, 180.0) > 2 * loss(right, 180.0)
    assert loss(wrong_back, 0.0) < loss(wrong_back, 180.0) / 4
    assert loss(replace(right, offsets=deep), 90.0) > 1.5 * loss(right, 90.0)


def test_a_batch_without_truth_is_refused(scene):
    learner, batch = scene
    with pytest.raises(ValueError, match="needs a batch with truth"):
        supervised_step(learner, replace(batch, known=None), StepConfig(), OptimiserConfig(), TrainProgress(0, 0, 0.0))


def test_shapes_are_combinations_of_given_modes():
    template = ellipsoid_template(level=2)
    config = aligned_config(height=64, width=32, offset_rank=8)
    encoder = AttributeEncoder(config, template)
    modes = torch.zeros(2, len(template.vertices), 3)
    modes[0, :, 1] = template.vertices[:, 1]
    modes[1, :, 0] = template.vertices[:, 0]
    encoder.shape.take(modes)
    torch.nn.init.normal_(encoder.shape.first.mix[-1].weight)
    sample = Sample(torch.rand(3, 3, 64, 32), torch.ones(3, 64, 32))
    offsets = encoder(sample).offsets.detach()
    assert float(offsets.abs().max()) > 1e-3
    assert float(offsets[..., 2].abs().max()) < 1e-6
    with pytest.raises(ValueError, match="do not fit"):
        encoder.shape.take(torch.zeros(9, len(template.vertices), 3))


def test_shapes_alone_are_learned_without_a_drawing(scene, monkeypatch):
    learner, batch = scene
    monkeypatch.setattr(supervised, "draw", None)
    silent = {name: 0.0 for name in asdict(LossWeights())}
    config = StepConfig(losses=LossWeights(**{**silent, "vertices": 1.0}))
    before = [parameter.clone() for parameter in learner.encoder.texture.parameters()]
    optimiser = OptimiserConfig(learning_rate=1e-3, warmup_steps=0)
    reports = [training_step(learner, batch, config, optimiser, TrainProgress(step, step, 0.0)) for step in range(12)]
    assert set(reports[0].terms) == {"truth_vertices"}
    assert reports[-1].terms["truth_vertices"] < reports[0].terms["truth_vertices"]
    assert all(map(torch.equal, before, learner.encoder.texture.parameters()))


def test_drawings_teach_the_shape_nothing(scene):
    learner, batch = scene
    config = StepConfig(losses=replace(LOSS_PRESETS["truth"], camera=0.0, vertices=0.0, identity=1.0))
    before = {group: _state(learner, group) for group in ("shape", "texture", "light")}
    optimiser = OptimiserConfig(learning_rate=1e-3, warmup_steps=0)
    report = training_step(learner, batch, config, optimiser, TrainProgress(0, 0, 0.0))
    assert set(report.terms) == {f"truth_{name}" for name in ("texels", "image", "structure", "identity")}
    assert all(map(torch.equal, before["shape"], _state(learner, "shape")))  # batch statistics as well
    for group in ("texture", "light"):
        assert not all(map(torch.equal, before[group], _state(learner, group)))


def _state(learner, group):
    return [value.clone() for value in getattr(learner.encoder, group).state_dict().values()]


def test_fixed_statistics_are_used_and_kept_and_training_goes_on_as_before(scene):
    learner, batch = scene
    statistics = {k: v.clone() for k, v in learner.encoder.state_dict().items() if "running" in k}
    config = StepConfig(losses=LOSS_PRESETS["truth"], fixed_statistics=True)
    optimiser = OptimiserConfig(learning_rate=1e-9, warmup_steps=0)
    training_step(learner, batch, config, optimiser, TrainProgress(0, 0, 0.0))
    after = learner.encoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in statistics.items())
    assert all(m.training for m in learner.encoder.modules())
    training_step(learner, batch, replace(config, fixed_statistics=False), optimiser, TrainProgress(0, 0, 0.0))
    assert not all(torch.equal(value, learner.encoder.state_dict()[name]) for name, value in statistics.items())
