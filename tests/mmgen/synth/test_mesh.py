"""Bodies: sound surfaces, separate limbs, right size, right way round."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from skimage.measure import label

from mmgen.synth.field import FAR, fill_grid, nearest_solids, smooth_min, solid_distance
from mmgen.synth.identity import Identity, identity
from mmgen.synth.mesh import BodyMesh, body_mesh
from mmgen.synth.palette import plain
from mmgen.synth.person import assemble, stride_limit
from mmgen.synth.pose import NEUTRAL, sample_pose
from mmgen.synth.primitives import BOX, HEAD, LIMB, LOFT, SKIN, Group, Solid, pack
from mmgen.synth.skeleton import BONE, pose_skeleton, proportions
from mmgen.synth.streams import stream


def dressed(bottom: str, **outfit: object) -> Identity:
    """A person without bag or jacket in a given bottom."""
    who = identity(0, "train", 0)
    changed = replace(
        who.outfit, bottom=bottom, bag="none", outer="none", top="tshirt", sleeve="short", tucked=False, **outfit
    )
    build = replace(who.build, age="adult", height_m=1.75, girth=1.0, legs=1.0)
    return replace(who, outfit=changed, build=build, head=replace(who.head, hair="cropped", headwear="none"))


@pytest.fixture(scope="module")
def standing() -> BodyMesh:
    """A person in trousers, standing at attention."""
    return body_mesh(dressed("trousers"), NEUTRAL)


def pieces_at(mesh: BodyMesh, height_share: float) -> int:
    """Number of separate pieces of a horizontal cut, 0 = ground, 1 = top."""
    y = mesh.ground_y + height_share * mesh.height_m
    cut = mesh.grid[:, round((y - mesh.grid_low[1]) / mesh.step_m), :] < 0
    return int(label(cut).max())


def test_the_surface_is_closed_and_faces_outwards(standing: BodyMesh) -> None:
    corners = standing.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    edges = Counter(map(tuple, corners.tolist()))
    assert all(edges[(b, a)] == count == 1 for (a, b), count in edges.items())
    triangles = standing.vertices[standing.faces].astype(float)
    volume = np.einsum("ij,ij->", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])) / 6
    assert 0.05 < volume < 0.13
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    agree = np.einsum("ij,ij->i", normals, standing.normals[standing.faces[:, 0]]) > 0
    assert agree[np.linalg.norm(normals, axis=1) > 1e-5].mean() > 0.99


def test_legs_and_arms_do_not_fuse(standing: BodyMesh) -> None:
    assert [pieces_at(standing, share) for share in (0.12, 0.25, 0.36)] == [2, 2, 2]
    assert pieces_at(standing, 0.62) == 3


def test_a_skirt_is_one_cone_with_two_legs_below() -> None:
    mesh = body_mesh(dressed("skirt", bottom_length=0.3, flare=0.5), NEUTRAL)
    assert pieces_at(mesh, 0.45) in (1, 3)
    assert pieces_at(mesh, 0.12) == 2
    hem = mesh.ground_y + 0.52 * 1.75 - (0.32 + 0.42 * 0.3)
    at_hem = np.abs(mesh.vertices[:, 1] - hem - 0.02) < 0.012
    below = np.abs(mesh.vertices[:, 1] - hem + 0.06) < 0.012
    assert np.ptp(mesh.vertices[at_hem, 0]) > 1.25 * np.ptp(mesh.vertices[below, 0])


def test_height_is_that_of_the_build_and_the_box_is_centred(standing: BodyMesh) -> None:
    assert standing.height_m == pytest.approx(1.75, abs=0.04)
    assert np.allclose(standing.vertices.min(0) + standing.vertices.max(0), 0, atol=1e-3)


def test_people_face_plus_z_with_their_left_at_plus_x(standing: BodyMesh) -> None:
    region = standing.person.packed.region[standing.labels]
    head = standing.vertices[region == HEAD]
    nose = head[head[:, 2].argmax()]
    assert nose[2] > head[:, 2].mean() + 0.05 and abs(nose[0]) < 0.02
    skeleton = standing.person.skeleton
    assert skeleton.origin[BONE["hand_l"], 0] > 0.15 > -0.15 > skeleton.origin[BONE["hand_r"], 0]
    toes = skeleton.to_world(BONE["foot_l"], np.array([0, 0, 0.2]))
    assert toes[2] > skeleton.origin[BONE["foot_l"], 2] + 0.15


@pytest.mark.parametrize("number", range(4))
def test_both_feet_of_a_walker_are_near_the_ground_and_one_touches_it(number: int) -> None:
    who = identity(0, "train", number)
    pose = sample_pose(stream(0, "test", number, "walk"), "walk", (False, False), stride_limit(who))
    mesh = body_mesh(who, pose, 0.02)
    feet = mesh.feet()[:, 1] - mesh.ground_y
    assert feet.min() < 0.09 and feet.max() < 0.4


def test_colours_are_those_of_the_clothes() -> None:
    red, blue = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)
    who = dressed("trousers", top_fabric=plain(red), sleeve_fabric=plain(red), bottom_fabric=plain(blue), logo="none")
    mesh = body_mesh(who, NEUTRAL)
    height = (mesh.vertices[:, 1] - mesh.ground_y) / mesh.height_m
    trunk = np.abs(mesh.vertices[:, 0]) < 0.1
    chest = mesh.colors[(height > 0.62) & (height < 0.76) & trunk]
    legs = mesh.colors[(height > 0.1) & (height < 0.45)]
    assert np.median(chest, axis=0) == pytest.approx(red, abs=0.01)
    assert np.median(legs, axis=0) == pytest.approx(blue, abs=0.01)
    assert np.array_equal(np.round(mesh.colors * 255), mesh.colors * 255)


def test_eyes_are_in_front_only(standing: BodyMesh) -> None:
    fine = body_mesh(replace(dressed("trousers"), head=replace(dressed("trousers").head, hair="bald")), NEUTRAL, 0.01)
    region = fine.person.packed.region[fine.labels]
    head = (region == HEAD) | (region == SKIN)
    dark = head & (fine.colors.max(1) < 0.25) & (fine.vertices[:, 1] > fine.vertices[:, 1].max() - 0.25)
    assert dark.sum() > 2
    assert (fine.vertices[dark, 2] > fine.person.skeleton.origin[BONE["head"], 2]).all()


def test_moved_solids_have_the_same_distances(standing: BodyMesh) -> None:
    person, shift = assemble(dressed("trousers"), NEUTRAL), np.array([0.3, -0.2, 0.7])
    low, shape = np.array([-0.1, 0.0, -0.2]), (8, 9, 10)
    before = fill_grid(person.packed, low, 0.03, shape)
    after = fill_grid(person.moved(shift).packed, low + shift, 0.03, shape)
    assert np.allclose(before, after, atol=1e-6) and before.min() < 0 < before.max()


def pack_one(solid: Solid) -> tuple[np.ndarray, int]:
    """Row and kind of one solid on the pelvis of a skeleton at attention."""
    packed = pack([solid], {"only": Group(0.0)}, pose_skeleton(identity(0, "train", 0).build, NEUTRAL))
    return packed.table[0], int(packed.kind[0])


def distance(solid: Solid, *point: float) -> float:
    """Distance of a pelvis-local point (the pelvis sits at the world origin) to one solid."""
    return float(solid_distance(*pack_one(solid), *point))


def test_a_capsule_is_measured_exactly_outside_and_inside() -> None:
    capsule = Solid(0, SKIN, "only", (0, 0, 0), (0, 1, 0), (0.1, 0.1), (0.1, 0.1), LIMB)
    assert distance(capsule, 0.25, 0.5, 0.0) == pytest.approx(0.15, abs=1e-6)
    assert distance(capsule, 0.0, 1.3, 0.0) == pytest.approx(0.2, abs=1e-6)
    assert distance(capsule, 0.04, 0.5, 0.0) == pytest.approx(-0.06, abs=1e-6)


def test_a_cone_has_a_flat_hem_and_an_opening() -> None:
    closed = Solid(0, SKIN, "only", (0, 0, 0), (0, 1, 0), (0.4, 0.4), (0.2, 0.2), LOFT, rounding=1e-3)
    assert distance(closed, 0.3, -0.05, 0.0) == pytest.approx(0.05, abs=1e-3)
    assert distance(closed, 0.41, 0.005, 0.0) > 0 > distance(closed, 0.39, 0.005, 0.0)
    assert distance(closed, 0.0, 0.05, 0.0) < 0
    hollow = replace(closed, hollow=(0.02, 0.3))
    assert distance(hollow, 0.0, 0.05, 0.0) > 0 > distance(hollow, 0.0, 0.35, 0.0)
    assert distance(hollow, 0.38, 0.05, 0.0) < 0
    slit = replace(hollow, hollow=(0.02, 0.9), slit=0.05)
    assert distance(slit, 0.0, 0.1, 0.385) > 0 > distance(slit, 0.0, 0.1, -0.375)


def test_a_box_has_its_half_extents() -> None:
    box = Solid(0, SKIN, "only", (0, 0, 0), (0, 0.4, 0), (0.1, 0.3), (0.1, 0.3), BOX, rounding=0.01)
    assert distance(box, 0.15, 0.2, 0.0) == pytest.approx(0.05)
    assert distance(box, 0.0, 0.2, 0.33) == pytest.approx(0.03)
    assert distance(box, 0.0, 0.45, 0.0) == pytest.approx(0.05)


def test_smooth_minimum_is_plain_far_from_the_crease_and_lower_at_it() -> None:
    assert smooth_min(0.1, 0.5, 0.2) == 0.1
    assert smooth_min(0.3, 0.3, 0.2) == pytest.approx(0.25)
    assert smooth_min(0.3, 0.25, 0.0) == 0.25


def test_the_grid_holds_the_distance_of_the_nearest_solid(standing: BodyMesh) -> None:
    person = assemble(dressed("trousers"), NEUTRAL)
    low, step = np.array([-0.3, -0.6, -0.2]), 0.05
    grid = fill_grid(person.packed, low, step, (12, 10, 9))
    points = low + step * np.stack(np.meshgrid(range(12), range(10), range(9), indexing="ij"), -1).reshape(-1, 3)
    labels = nearest_solids(person.packed, points)
    packed = person.packed
    alone = [solid_distance(packed.table[n], packed.kind[n], *point) for n, point in zip(labels, points, strict=True)]
    melted = np.minimum(alone, FAR) - grid.ravel()
    assert melted.min() > -1e-4 and melted.max() < 0.03
    assert (grid < 0).any()


def test_proportions_add_up_to_the_height() -> None:
    for index in range(20):
        build = identity(0, "train", index).build
        lengths = proportions(build)
        legs = lengths.ankle + lengths.shank + lengths.thigh
        assert legs + lengths.chest + lengths.head_up + lengths.head[1] == pytest.approx(build.height_m)
