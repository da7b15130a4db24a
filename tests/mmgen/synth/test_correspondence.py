"""The template on generated people: joints to the last digit, surfaces that fill the person, skirts that are whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skeletons import posed_joints

from mmgen.synth import clothes
from mmgen.synth.correspondence import Correspondence, PosedTemplate
from mmgen.synth.figure import SolidFigure
from mmgen.synth.identity import Identity, identity
from mmgen.synth.joints import joint_places
from mmgen.synth.mesh import BodyMesh, body_mesh
from mmgen.synth.parts import ARM_L, CORE, LEG_L, LEG_R, part_distances, solid_parts
from mmgen.synth.pose import NEUTRAL, Pose
from mmgen.templates import named_template
from recon.evaluation.solid import VoxelGrid, occupancy, volume_iou
from recon.skinning import skinned

STEP_M = 0.02


@pytest.fixture(scope="module")
def correspondence() -> Correspondence:
    return Correspondence(named_template("person"))


def dressed(number: int = 3, **outfit: object) -> Identity:
    who = identity(0, "train", number)
    plain = {"outer": "none", "bag": "none", "bottom": "trousers", "scarf": False}
    return replace(who, outfit=replace(who.outfit, **{**plain, **outfit}))


def overlap(placed: PosedTemplate, mesh: BodyMesh) -> float:
    """Volume IoU of a template with the surface it was put on."""
    scale = 1 / mesh.height_m
    faces = torch.from_numpy(mesh.faces.astype(np.int64))
    truth = torch.from_numpy(mesh.vertices).double() * scale
    return volume_iou(torch.from_numpy(placed.posed) * scale, named_template("person").faces, truth, faces, 1 / 64)


POSES = {
    "ease": NEUTRAL,
    "stride": replace(NEUTRAL, hip_deg=(28.0, -14.0), knee_deg=(8.0, 40.0), pelvis_yaw_deg=6.0, trunk_yaw_deg=-9.0),
    "arm up": replace(NEUTRAL, arm_spread_deg=(150.0, 9.0), trunk_roll_deg=8.0, head_yaw_deg=30.0),
    "crossed": replace(NEUTRAL, arm_deg=(22.0, 22.0), twist_deg=(78.0, 78.0), elbow_deg=(96.0, 96.0)),
}


@pytest.mark.parametrize("pose", POSES.values(), ids=POSES)
def test_joints_go_where_the_generator_put_them(pose: Pose, correspondence: Correspondence) -> None:
    mesh = body_mesh(dressed(), pose, 0.04)
    placed = correspondence(SolidFigure(mesh.person))
    skin = named_template("person").skin
    joints, rotations = torch.from_numpy(placed.joints)[None], torch.from_numpy(placed.rotations)[None]
    found = posed_joints(skin, joints, rotations)[0].numpy() + placed.hips - placed.joints[0]
    np.testing.assert_allclose(found, joint_places(mesh.person.skeleton, skin.names), atol=1e-9)
    shift = torch.from_numpy(placed.hips - placed.joints[0])
    again = skinned(torch.from_numpy(placed.rest)[None], skin, joints, rotations)[0] + shift
    np.testing.assert_allclose(again.numpy(), placed.posed, atol=1e-6)


@pytest.mark.parametrize(
    ("outfit", "pose", "least"),
    [
        ({}, "ease", 0.93),
        ({}, "stride", 0.92),
        ({}, "arm up", 0.92),
        ({}, "crossed", 0.91),
        ({"bag": "backpack"}, "ease", 0.91),
        ({"bag": "handbag"}, "ease", 0.87),
        ({"bottom": "dress", "bottom_length": 0.3, "flare": 0.6}, "stride", 0.9),
        ({"outer": "open_coat", "coat_reach": 0.8}, "stride", 0.89),
    ],
)
def test_the_template_fills_the_person(
    outfit: dict[str, object], pose: str, least: float, correspondence: Correspondence
) -> None:
    mesh = body_mesh(dressed(**outfit), POSES[pose], STEP_M)
    assert overlap(correspondence(SolidFigure(mesh.person)), mesh) > least


def test_a_skirt_is_whole_down_to_its_hem(correspondence: Correspondence) -> None:
    """In the plane between the legs, from the hips to a little above the hem, there is cloth and no crotch."""
    mesh = body_mesh(dressed(bottom="skirt", bottom_length=0.35, flare=0.5), POSES["stride"], STEP_M)
    placed, hem = (
        correspondence(SolidFigure(mesh.person)),
        clothes.skirt_hem_m(mesh.person.identity, mesh.person.skeleton.proportions),
    )
    skeleton = mesh.person.skeleton
    grid = VoxelGrid.around(0.01, torch.from_numpy(placed.posed))
    inside = occupancy(torch.from_numpy(placed.posed), named_template("person").faces, grid)
    down = np.linspace(0.0, hem + 0.06, 30)[:, None] * skeleton.axes[0, 1]
    places = skeleton.origin[0] + down + np.array([[0.0, 0.0, depth] for depth in (-0.04, 0.0, 0.04)])[:, None]
    rows = ((places.reshape(-1, 3) - np.array(grid.origin)) / grid.pitch).round().astype(int)
    assert inside[tuple(rows.T)].all()


def test_parts_in_contact_are_apart() -> None:
    """A hand before the chest is no chest; half a skirt belongs to either leg."""
    mesh = body_mesh(dressed(bottom="skirt", bottom_length=0.2), POSES["crossed"], 0.04)
    packed, skeleton = mesh.person.packed, mesh.person.skeleton
    parts, normal = solid_parts(packed), skeleton.axes[0, 0]
    plane = np.array([*normal, normal @ skeleton.origin[0]])
    wrist = skeleton.origin[[5, 5]]
    assert (part_distances(packed, parts, plane, np.array([ARM_L, CORE]), wrist) < 0).tolist() == [True, False]
    beside = skeleton.origin[0] + np.array([[0.14, -0.2, 0.05], [0.14, -0.2, 0.05]])
    assert (part_distances(packed, parts, plane, np.array([LEG_L, LEG_R]), beside) < 0).tolist() == [True, False]


def test_what_a_hand_carries_is_reached(correspondence: Correspondence) -> None:
    mesh = body_mesh(dressed(bag="shopping"), NEUTRAL, STEP_M)
    placed = correspondence(SolidFigure(mesh.person))
    bare = correspondence(SolidFigure(body_mesh(dressed(), NEUTRAL, STEP_M).person))
    hand = named_template("person").skin.dense()[:, -1].numpy() > 0.9
    assert placed.posed[hand, 1].min() < bare.posed[hand, 1].min() - 0.1
