"""Pictures: the truth explains the mask, the light comes from where it should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mmgen.synth import NEUTRAL, BodyMesh, Picture, View, body_mesh, identity, render_view, sample_view, street_camera
from mmgen.synth.collage import RECIPES
from mmgen.synth.crowd import CrowdOptions, cameras_of, people, person_pictures
from mmgen.synth.raster import rasterise
from mmgen.synth.streams import stream
from recon.camera import intrinsics_px, project_matrices, world_to_camera
from recon.structures import Camera

SMALL = CrowdOptions(views=4, poses=2, height=128, width=64, step_m=0.02)


@pytest.fixture(scope="module")
def mesh() -> BodyMesh:
    """A person at attention."""
    return body_mesh(identity(0, "train", 3), NEUTRAL, 0.02)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    """A few pictures of two people."""
    return [person.picture for person in people("train", 2, SMALL)]


def a_view(mesh: BodyMesh, **changes: object) -> View:
    """A view by camera 1, changed as asked."""
    return replace(sample_view(stream(0, "test", 0, "view"), street_camera(0, 1), mesh.height_m), **changes)


def drawn_silhouette(picture: Picture) -> np.ndarray:
    """The mask again, from the truth alone and by another rasteriser: filled triangles at eight times the size."""
    truth, (height, width) = picture.truth, picture.mask.shape
    ndc, _ = project_matrices(
        torch.from_numpy(truth.vertices)[None],
        torch.from_numpy(truth.world_to_camera)[None],
        torch.from_numpy(truth.intrinsics)[None],
        height,
        width,
    )
    pixels = ((ndc[0].numpy() * [1, -1] + 1) / 2 * [width, height] * 8 - 0.5).round().astype(int)
    canvas = Image.new("L", (width * 8, height * 8))
    draw = ImageDraw.Draw(canvas)
    for triangle in pixels[truth.faces]:
        draw.polygon([tuple(corner) for corner in triangle.tolist()], fill=1)
    return np.asarray(canvas).reshape(height, 8, width, 8).mean((1, 3)) >= 0.5


def test_the_truth_reproduces_the_mask(pictures: list[Picture]) -> None:
    for picture in pictures:
        expected, mask = drawn_silhouette(picture), picture.mask > 0
        assert (expected & mask).sum() / (expected | mask).sum() > 0.96


def test_matrices_are_those_of_recon_camera(pictures: list[Picture]) -> None:
    for picture in pictures:
        truth = picture.truth
        camera = Camera(
            *(torch.from_numpy(value.reshape(1)) for value in (truth.azimuth_deg, truth.elevation_deg, truth.distance)),
            offset=torch.from_numpy(truth.offset[None]),
        )
        assert np.allclose(world_to_camera(camera)[0].numpy(), truth.world_to_camera, atol=1e-6)
        assert np.array_equal(intrinsics_px(camera, 128, 64).numpy(), truth.intrinsics)


def test_masks_are_binary_and_people_fill_the_frame(pictures: list[Picture]) -> None:
    for picture in pictures:
        assert set(np.unique(picture.mask)) == {0, 255}
        rows = np.flatnonzero(picture.mask.any(1))
        assert 0.68 < (rows[-1] - rows[0] + 1) / picture.mask.shape[0] <= 1.0


def test_views_of_one_pose_share_the_mesh_and_poses_differ() -> None:
    four = list(person_pictures(SMALL, "train", 0))
    assert [person.pose for person in four] == [0, 1, 0, 1]
    assert np.array_equal(four[0].picture.truth.vertices, four[2].picture.truth.vertices)
    assert four[0].picture.truth.vertices.shape != four[1].picture.truth.vertices.shape


def test_pictures_do_not_depend_on_how_many_are_asked_for() -> None:
    alone = next(iter(person_pictures(SMALL, "test", 1))).picture
    among = [person.picture for person in people("test", 2, SMALL)][4]
    assert np.array_equal(alone.image, among.image) and np.array_equal(alone.mask, among.mask)


def test_the_studio_has_other_lenses_and_the_truth_says_so() -> None:
    options = replace(SMALL, style="studio")
    focals = set()
    for person in person_pictures(replace(options, views=6), "train", 1):
        truth, mask = person.picture.truth, person.picture.mask > 0
        expected = drawn_silhouette(person.picture)
        assert (expected & mask).sum() / (expected | mask).sum() > 0.95
        focals.add(round(float(truth.intrinsics[1, 1]) / 64, 3))
    assert focals <= {1.6, 3.6, 5.0} and len(focals) > 1
    assert next(person_pictures(SMALL, "train", 1)).picture.truth.intrinsics[1, 1] == 2.5 * 64


def test_styles_never_share_a_person_nor_a_camera() -> None:
    street, studio = identity(0, "train", 1), identity(0, "train", 1, "studio")
    assert street.build != studio.build and street.outfit != studio.outfit
    assert street_camera(0, 1) != street_camera(0, 1, "studio")


def test_backgrounds_differ_from_picture_to_picture_and_lie_behind_the_person(mesh: BodyMesh) -> None:
    views = [sample_view(stream(0, "x", n, "view"), street_camera(0, 1), 1.75) for n in range(300)]
    assert {view.behind for view in views} == {"street", *RECIPES} - {"seamless"}
    seen = [render_view(mesh, a_view(mesh, behind=recipe, noise_seed=3), 96, 48) for recipe in RECIPES]
    for picture in seen[1:]:
        assert np.array_equal(picture.mask, seen[0].mask)
        behind = picture.mask == 0
        assert np.abs(picture.image.astype(int) - seen[0].image)[behind].mean() > 10


def test_azimuths_are_mostly_front_and_back() -> None:
    views = [sample_view(stream(0, "x", n, "view"), street_camera(0, 1), 1.75) for n in range(800)]
    azimuth = np.array([view.azimuth_deg for view in views])
    assert azimuth.min() >= -180 and azimuth.max() < 180
    assert 0.42 < np.mean(np.abs(azimuth) < 60) < 0.52
    assert 0.42 < np.mean(np.abs(azimuth) > 120) < 0.52
    fill = np.array([2.5 * 1.75 / 2 / view.distance for view in views])
    assert fill.min() >= 0.75 and fill.max() <= 0.92


def test_the_side_towards_the_sun_is_brighter(mesh: BodyMesh) -> None:
    light = a_view(mesh).light
    halves = []
    for x in (-0.75, 0.75):
        side = replace(light, direction_camera=(x, 0.62, 0.2), sun=0.6, ambient=0.5)
        picture = render_view(mesh, a_view(mesh, azimuth_deg=0.0, light=side))
        grey, mask = picture.image.mean(2), picture.mask > 0
        middle = int(np.flatnonzero(mask.any(0)).mean())
        left, right = mask.copy(), mask.copy()
        left[:, middle:], right[:, :middle] = False, False
        halves.append(grey[right].mean() - grey[left].mean())
    assert halves[0] < -3 and halves[1] > 3


def test_the_same_view_gives_the_same_bytes(mesh: BodyMesh) -> None:
    first, second = (render_view(mesh, a_view(mesh), 96, 48) for _ in range(2))
    assert np.array_equal(first.image, second.image) and first.image.shape == (96, 48, 3)


def test_every_camera_has_its_own_place() -> None:
    mesh = body_mesh(identity(0, "train", 0), NEUTRAL, 0.025)
    corners = []
    for number in range(1, 7):
        view = sample_view(stream(0, "test", 0, "view"), street_camera(0, number), mesh.height_m)
        corners.append(render_view(mesh, view, 64, 32).image[-12:, :6].mean((0, 1)))
    apart = np.abs(np.array(corners)[:, None] - np.array(corners)[None]).sum(-1)
    assert apart[~np.eye(6, dtype=bool)].min() > 3


def test_every_identity_is_seen_by_several_cameras() -> None:
    for views, expected in ((1, 1), (2, 2), (3, 2), (4, 2), (8, 4), (12, 6), (40, 6)):
        assert len(set(cameras_of(CrowdOptions(views=views), "train", 5))) == expected


def test_the_nearer_triangle_wins_and_backs_are_skipped() -> None:
    corners = np.array([[0.0, 8], [8, 8], [8, 0], [0, 0]])
    pixels = np.concatenate([corners, corners])
    depth = np.array([2.0] * 4 + [1.0] * 4)
    far, near = [[0, 1, 2], [0, 2, 3]], [[4, 5, 6], [4, 6, 7]]
    index = rasterise(pixels, depth, np.array(far + near, np.int32), 8, 8)
    assert (index >= 2).all()
    assert (rasterise(pixels, depth, np.array(far + near, np.int32)[:, ::-1], 8, 8) == -1).all()
