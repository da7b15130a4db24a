"""Photos with truth: whatever is done to a photo is done to what is known about it."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mmgen.training.batches import BatchPlan, PhotoStore, draw_batches, joined
from mmgen.training.truth_batches import Framing, framed_pictures, known_truth
from mmgen.training.truth_pack import TruthPack, camera_numbers, mean_shape, principal_modes
from recon.camera import intrinsics_px, project, project_matrices, world_to_camera
from recon.evaluation.surfaces import Surface
from recon.evaluation.truth import Truth
from recon.metrics import mask_iou
from recon.render import render
from recon.structures import Camera, TexturedMesh
from recon.template import Template, ellipsoid_template

SIZE = (128, 64)


@pytest.fixture(scope="module")
def lopsided() -> Template:
    """Nobody's mirror image."""
    template = ellipsoid_template(level=2)
    x, y, z = template.vertices.unbind(dim=1)
    return template.with_vertices(torch.stack((x + 0.15 * y * (x > 0), 0.9 * y, z + 0.1 * x), dim=1))


@pytest.fixture(scope="module")
def pack(lopsided) -> TruthPack:
    camera = np.array([[35.0, 6.0, 2.8, 0.05, -0.06], [-140.0, -4.0, 2.6, -0.08, 0.02]], np.float32)
    texels = np.random.default_rng(0).integers(0, 256, (1, 16, 8, 3)).astype(np.uint8)
    vertices = lopsided.vertices.numpy().astype(np.float16)[None]
    partners = lopsided.partners.numpy()
    # a joint on either side, which turn about different axes
    joints = np.array([[[0.3, 0.1, 0.0], [-0.2, 0.2, 0.1]]], np.float32)
    turns = np.stack([turned(0, 40.0), turned(2, 25.0)])[None].astype(np.float32)
    rest = np.concatenate((vertices.astype(np.float32), joints), axis=1)
    return TruthPack(
        camera, np.ones((2, 3), np.float32), np.zeros(2, np.int64), vertices, texels, partners, rest, turns,
        np.array([1, 0]),
    )  # fmt: skip


def turned(axis: int, angle_deg: float) -> np.ndarray:
    """Right-handed rotation about a world axis."""
    vector = np.zeros(3)
    vector[axis] = np.deg2rad(angle_deg)
    return Rotation.from_rotvec(vector).as_matrix()


def drawn_masks(template, camera, vertices):
    texture = torch.full((len(vertices), 3, 16, 8), 0.5)
    mesh = TexturedMesh(vertices, template.faces, template.face_uv, texture)
    return render(mesh, camera, SIZE).mask.round()


def as_camera(pack):
    azimuth, elevation, distance, right, up = torch.from_numpy(pack.camera).T
    return Camera(azimuth, elevation, distance, torch.stack((right, up), dim=1))


@pytest.mark.parametrize(
    ("flipped", "zoom", "shift"),
    [(False, 1.0, (0.0, 0.0)), (True, 1.0, (0.0, 0.0)), (False, 1.15, (0.1, -0.06)), (True, 0.85, (-0.1, 0.05))],
)
def test_the_framed_photo_shows_what_the_truth_then_says(lopsided, pack, flipped, zoom, shift):
    vertices = torch.from_numpy(pack.vertices[pack.mesh].astype(np.float32))
    masks = drawn_masks(lopsided, as_camera(pack), vertices)
    pictures = np.repeat((masks.numpy() * 255).astype(np.uint8)[..., None], 4, axis=3)
    framing = Framing(np.array([flipped] * 2), np.array([zoom] * 2, np.float32), np.array([shift] * 2, np.float32))
    framed = framed_pictures(pictures, framing)[..., 3]
    known = known_truth(pack, framing, np.ones((2, 3), np.float32), framed)
    seen = drawn_masks(lopsided, known.camera, known.vertices)
    assert float(mask_iou(seen, torch.from_numpy(framed.copy()).float() / 255).min()) > 0.94
    if flipped:
        texels = torch.from_numpy(pack.texels[0].astype(np.float32) / 255).permute(2, 0, 1)
        torch.testing.assert_close(known.texture[0], texels.flip(2))
        assert known.pose is not None
        mirror = np.array([-1.0, 1.0, 1.0], np.float32)
        np.testing.assert_allclose(known.pose.joints[0].numpy(), pack.rest[0, [-1, -2]] * mirror)
        np.testing.assert_allclose(known.pose.rotations[0, 0].numpy(), turned(2, -25.0), atol=1e-6)
        np.testing.assert_allclose(known.pose.rotations[0, 1].numpy(), turned(0, 40.0), atol=1e-6)


def test_the_mean_shape_is_symmetric_and_modes_span_both_sides(lopsided, pack):
    other = pack.vertices[0] * np.array([1.1, 1.0, 0.8], np.float16)
    two = np.stack([pack.vertices[0], other])
    mean, mirror = mean_shape(two, pack.partners), np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(mean, mean[pack.partners] * mirror, atol=1e-12)
    modes = principal_modes(two, pack.partners, 8)
    assert 1 <= len(modes) <= 4
    off = (two[0].astype(np.float64) - mean).reshape(-1)
    basis = np.linalg.qr(modes.reshape(len(modes), -1).astype(np.float64).T)[0]
    assert np.linalg.norm(off - basis @ (basis.T @ off)) < 1e-3 * np.linalg.norm(off)

    both = two.astype(np.float64) - mean
    both = np.concatenate((both, both[:, pack.partners] * mirror)).reshape(4, -1)
    lengths = np.linalg.svd(both, compute_uv=False) / np.sqrt(len(both))
    np.testing.assert_allclose(
        np.linalg.norm(modes.reshape(len(modes), -1), axis=1), lengths[: len(modes)], rtol=1e-3, atol=1e-6
    )


def test_another_lens_and_unit_become_a_camera_of_ours_that_shows_the_same(lopsided):
    """Twice the focal length from twice the distance, in centimetres, with the axis beside the middle."""
    unit, focal = 100.0, 5.0
    far = Camera(torch.tensor([60.0]), torch.tensor([5.0]), torch.tensor([11.0 * unit]), torch.zeros(1, 2), focal)
    intrinsics = intrinsics_px(far, *SIZE).double()
    intrinsics[0, 2] += 3.0
    intrinsics[1, 2] -= 5.0
    vertices = lopsided.vertices.double() * unit + torch.tensor([4.0, -3.0, 2.0])
    rigid = world_to_camera(far)[0].double()
    surface = Surface(vertices, lopsided.faces, torch.rand(len(lopsided.faces), 3, 3))
    truth = Truth(surface, 60.0, 5.0, rigid, intrinsics, SIZE)
    origin = torch.tensor([4.0, -3.0, 2.0]).double()
    azimuth, elevation, distance, right, up = camera_numbers(truth, origin, 1 / unit)
    ours = Camera(
        torch.tensor([azimuth]), torch.tensor([elevation]), torch.tensor([distance]), torch.tensor([[right, up]])
    )
    expected, _ = project_matrices(vertices[None].float(), rigid[None].float(), intrinsics[None].float(), *SIZE)
    found, _ = project(lopsided.vertices[None], ours, *SIZE)
    assert distance == pytest.approx(5.5, rel=0.02)
    assert float((found - expected).abs().max()) < 0.03  # a shorter lens sees the near side a little larger
    assert float((found - expected).mean(dim=1).abs().max()) < 0.01


def test_replayed_photos_come_every_nth_step_and_a_resumed_run_sees_the_same_ones(pack):
    pictures = np.random.default_rng(1).integers(0, 256, (8, *SIZE, 4)).astype(np.uint8)
    photos = PhotoStore(pictures, np.arange(8), np.ones(8, bool))
    known = PhotoStore(pictures[:2], np.arange(2), np.ones(2, bool), pack)
    plan = BatchPlan(2, replay_every=2, degradation=0.5)
    drawn = list(islice(draw_batches(photos, plan, replayed=known), 4))
    assert [one.replay is None for one in drawn] == [False, True, False, True]
    assert all(one.batch.known is None for one in drawn), "photos without labels stay without"
    assert drawn[2].replay.known is not None and len(drawn[2].replay.sample) == 2
    again = next(draw_batches(photos, plan, epoch=0, number=2, replayed=known))
    assert torch.equal(again.replay.sample.image, drawn[2].replay.sample.image)
    assert not torch.equal(drawn[0].replay.sample.image, drawn[2].replay.sample.image)


def test_joined_stores_keep_who_is_who_and_what_is_known(pack):
    pictures = np.arange(2 * 4 * 2 * 4, dtype=np.uint8).reshape(2, 4, 2, 4)
    one = PhotoStore(pictures, np.array([0, 0]), np.ones(2, bool), pack)
    blind = replace(pack, rest=pack.rest[:, :0], rotations=pack.rotations[:, :0], vertices=pack.vertices + 1)
    other = PhotoStore(pictures + 1, np.array([0, 1]), np.zeros(2, bool), blind)
    both = joined([one, other, other])
    assert both.identity.tolist() == [0, 0, 1, 2, 3, 4]
    assert both.clean.tolist() == [True, True, False, False, False, False]
    assert (both.packed[4] == other.packed[0]).all()
    own, beside = both.truth.chosen(np.array([1])), both.truth.chosen(np.array([5]))
    assert (both.truth.vertices[own.mesh] == pack.vertices[pack.mesh[1]]).all()
    assert (both.truth.vertices[beside.mesh] == blind.vertices[blind.mesh[1]]).all()
    assert (beside.camera == pack.camera[1:2]).all()
    assert not both.truth.knows_poses
    known_truth(
        beside,
        Framing(np.array([True]), np.ones(1), np.zeros((1, 2))),
        np.ones((1, 3), np.float32),
        np.zeros((1, 4, 2), np.uint8),
    )
