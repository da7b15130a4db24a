"""Shapes in modes: further looks must read the photo under the answer so far, wherever the camera puts it."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from recon.encoders import aligned_config
from recon.encoders.alignment import image_points, moved
from recon.encoders.modal_shape import CAMERA_UNITS, LARGEST_STEP, ModalShapeEncoder, PointReader
from recon.structures import Camera
from recon.template import ellipsoid_template

SIZE = (64, 32)


@pytest.fixture(scope="module")
def template():
    return ellipsoid_template(level=2)


@pytest.fixture
def encoder(template):
    torch.manual_seed(0)
    made = ModalShapeEncoder(aligned_config(height=64, width=32, offset_rank=4), len(template.vertices)).eval()
    modes = torch.linalg.qr(torch.randn(3 * len(template.vertices), 4))[0].T * 2
    made.take(modes.unflatten(1, (-1, 3)))
    for look in (made.first, *made.further):
        torch.nn.init.normal_(look.mix[-1].weight, std=0.3)
    return made


def cameras(azimuth_deg=30.0, right=0.1):
    one = torch.ones(2)
    return Camera(azimuth_deg * one, 5.0 * one, 2.6 * one, torch.tensor([[right, 0.05]]).expand(2, 2))


def test_points_are_read_bilinearly_from_both_maps():
    torch.manual_seed(0)
    reader = PointReader((6, 5), channels=3)
    maps = torch.randn(2, 6, 16, 8), torch.randn(2, 5, 8, 4)
    points = torch.rand(2, 7, 2) * 1.6 - 0.8
    expected = 0
    for layer, each in zip(reader.reduced, maps, strict=True):
        sampled = functional.grid_sample(each, points[:, None], align_corners=False)[:, :, 0]
        weighted = layer(sampled.transpose(1, 2))
        expected = expected + weighted
    torch.testing.assert_close(reader(maps, points), functional.leaky_relu(expected, 0.2).flatten(1))


def test_every_further_look_reads_under_the_answer_before_it(encoder, template, monkeypatch):
    seen = []
    for reader in encoder.readers:
        reader.register_forward_hook(lambda module, inputs, output: seen.append(inputs[1]))
    inputs, camera = torch.randn(2, 4, *SIZE), cameras()
    answers = encoder.answers(inputs, template.vertices, camera)
    assert len(answers) == 3 and len(seen) == 2
    for points, before in zip(seen, answers, strict=False):
        body = (template.vertices + before.offsets)[:, encoder.looked_at]
        torch.testing.assert_close(points, image_points(body, moved(camera, before.camera_steps), *SIZE))
    assert float((seen[1] - seen[0]).abs().max()) > 0.01
    torch.testing.assert_close(encoder(inputs, template.vertices, camera).offsets, answers[-1].offsets)


@torch.no_grad()
def test_further_looks_move_the_camera_a_little_and_only_where_they_may(encoder, template):
    inputs, camera = torch.randn(2, 4, *SIZE), cameras()
    first, *further = (each.camera_steps for each in encoder.answers(inputs, template.vertices, camera))
    assert torch.equal(first, torch.zeros(2, 5))
    assert float(further[0].abs().min()) > 0 and not torch.equal(further[0], further[1])
    for look in encoder.further:
        look.mix[-1].weight.mul_(1e4)
    loud = encoder(inputs, template.vertices, camera).camera_steps.abs()
    assert bool((loud <= 2 * LARGEST_STEP * torch.tensor(CAMERA_UNITS) * 1.0001).all())
    torch.manual_seed(0)
    fixed = aligned_config(height=64, width=32, offset_rank=4, alignment="predicted_camera")
    plain = ModalShapeEncoder(fixed, len(template.vertices)).eval()
    torch.nn.init.normal_(plain.further[0].mix[-1].weight)
    assert torch.equal(plain(inputs, template.vertices, camera).camera_steps, torch.zeros(2, 5))


def test_moved_cameras_stay_within_a_turn_and_keep_their_frame():
    camera = replace(cameras(azimuth_deg=179.0), offset_frame="world")
    steps = torch.tensor([[3.0, -1.0, 0.1, 0.2, 0.3], [-3.0, 0.0, 0.0, 0.0, 0.0]])
    after = moved(camera, steps)
    torch.testing.assert_close(after.azimuth_deg, torch.tensor([-178.0, 176.0]))
    torch.testing.assert_close(after.elevation_deg, torch.tensor([4.0, 5.0]))
    torch.testing.assert_close(after.distance, 2.6 * torch.tensor([0.1, 0.0]).exp())
    torch.testing.assert_close(after.offset, torch.tensor([[0.3, 0.35], [0.1, 0.05]]))
    assert after.offset_frame == "world"
    assert all(torch.equal(getattr(moved(camera, 0 * steps), name), getattr(camera, name)) for name in
               ("azimuth_deg", "elevation_deg", "distance", "offset"))  # fmt: skip


@torch.no_grad()
def test_a_further_look_sees_the_photo_move_under_a_body_that_stays(encoder, template):
    """The same photo and the same first answer, another place in it: only what is read under the body changes."""
    inputs = torch.randn(2, 4, *SIZE)
    torch.nn.init.zeros_(encoder.first.view[-1].weight)
    here, there = (encoder.answers(inputs, template.vertices, cameras(right=right)) for right in (0.0, 0.3))
    torch.testing.assert_close(here[0].offsets, there[0].offsets)
    assert float((here[1].offsets - there[1].offsets).abs().max()) > 1e-4


def test_weights_with_one_unnamed_look_still_load(template):
    config = replace(aligned_config(height=64, width=32, offset_rank=4), shape_looks=1)
    old, new = (ModalShapeEncoder(config, len(template.vertices)) for _ in range(2))
    renamed = {name.removeprefix("first."): value for name, value in old.state_dict().items()}
    assert "read.weight" in renamed
    new.load_state_dict(renamed)
    assert all(torch.equal(value, new.state_dict()[name]) for name, value in old.state_dict().items())


def test_an_image_does_not_depend_on_its_company(encoder, template):
    inputs, camera = torch.randn(2, 4, *SIZE), cameras()
    alone = replace(
        camera, **{name: getattr(camera, name)[:1] for name in ("azimuth_deg", "elevation_deg", "distance", "offset")}
    )
    both = encoder(inputs, template.vertices, camera).offsets[:1]
    torch.testing.assert_close(encoder(inputs[:1], template.vertices, alone).offsets, both, atol=1e-5, rtol=1e-5)


def test_shapes_are_told_again_in_other_modes(encoder, template):
    """Modes that span the same shapes change nothing, although they are others."""
    inputs, camera = torch.randn(2, 4, *SIZE), cameras()
    before = encoder.answers(inputs, template.vertices, camera)
    spanned = encoder.directions * torch.tensor([1.0, 0.5, 2.0, 0.8])[:, None]
    turn = torch.linalg.qr(torch.randn(4, 4))[0]
    directions = torch.linalg.qr((turn @ spanned).T)[0].T
    encoder.retold((directions * torch.tensor([1.2, 0.7, 2.0, 1.0])[:, None]).unflatten(1, (-1, 3)))
    after = encoder.answers(inputs, template.vertices, camera)
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new.offsets, old.offsets, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(new.camera_steps, old.camera_steps, atol=1e-4, rtol=1e-3)
