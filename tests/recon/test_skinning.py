"""Linear blend skinning against a plain loop, its gradients, and the person's skeleton."""

import math

import pytest
import torch
from skeletons import posed_joints, rotation_from_6d
from torch import Tensor

from mmgen.templates import named_template
from recon.skinning import (
    Skin,
    joint_partners,
    skinned,
    vertex_transforms,
)
from recon.template import Template, ellipsoid_template


@pytest.fixture(scope="module")
def person() -> Template:
    return named_template("person")


def chain(generator: torch.Generator, vertices: int = 7) -> Skin:
    """A root with a child on either side, one of which has a child."""
    weights = torch.rand(vertices, 4, generator=generator, dtype=torch.float64)
    bones = torch.stack([torch.randperm(4, generator=generator) for _ in range(vertices)])
    joints = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return Skin(("Root", "LeftArm", "RightArm", "LeftHand"), (-1, 0, 0, 1), joints, bones,
                weights / weights.sum(dim=1, keepdim=True))  # fmt: skip


def drawn(skin: Skin, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Vertices, joints and rotations."""
    count = len(skin.names)
    vertices = torch.randn(batch, len(skin.weights), 3, generator=generator, dtype=torch.float64)
    joints = torch.randn(batch, count, 3, generator=generator, dtype=torch.float64)
    return vertices, joints, rotation_from_6d(torch.randn(batch, count, 6, generator=generator, dtype=torch.float64))


def by_hand(vertices: Tensor, skin: Skin, joints: Tensor, rotations: Tensor) -> Tensor:
    """The formula, joint by joint, from the vertex up to the root."""
    moved = torch.zeros_like(vertices)
    for vertex in range(vertices.shape[1]):
        for bone, weight in zip(skin.bones[vertex].tolist(), skin.weights[vertex], strict=True):
            place = vertices[:, vertex]
            while bone >= 0:
                turned = (rotations[:, bone] @ (place - joints[:, bone])[..., None])[..., 0]
                place, bone = joints[:, bone] + turned, skin.parents[bone]
            moved[:, vertex] += weight * place
    return moved


def test_agrees_with_the_formula_joint_by_joint() -> None:
    generator = torch.Generator().manual_seed(0)
    skin = chain(generator)
    vertices, joints, rotations = drawn(skin, 3, generator)
    posed = skinned(vertices, skin, joints, rotations)
    torch.testing.assert_close(posed, by_hand(vertices, skin, joints, rotations))
    maps = vertex_transforms(skin, joints, rotations)
    torch.testing.assert_close((maps[..., :3] @ vertices[..., None] + maps[..., 3:])[..., 0], posed)
    # a vertex in a joint's place that only this joint moves goes where the joint goes
    single = Skin(skin.names, skin.parents, skin.joints, torch.arange(4)[:, None], torch.ones(4, 1).double())
    torch.testing.assert_close(skinned(joints, single, joints, rotations), posed_joints(skin, joints, rotations))


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(1)
    skin = chain(generator, vertices=3)
    vertices, joints, rotations = (each.requires_grad_() for each in drawn(skin, 2, generator))
    assert torch.autograd.gradcheck(lambda v, j, r: skinned(v, skin, j, r), (vertices, joints, rotations))


def test_meshes_without_a_skeleton_have_one_joint() -> None:
    skin = ellipsoid_template(1).skin
    assert skin.is_rigid and skin.names == ("Root",) and bool((skin.weights == 1).all())
    with pytest.raises(ValueError, match="sorted by their depth"):
        Skin(("a", "b", "c", "d"), (-1, 0, 1, 0), torch.zeros(4, 3), torch.zeros(1, 1).long(), torch.ones(1, 1))
    with pytest.raises(ValueError, match="parent stands before"):
        Skin(("a", "b"), (-1, -1), torch.zeros(2, 3), torch.zeros(1, 1).long(), torch.ones(1, 1))


def test_the_person_is_symmetric_and_bends_where_people_do(person: Template) -> None:
    skin = person.skin
    partners = joint_partners(skin.names)
    assert skin.weights.shape[1] <= 4 and torch.equal(skin.dense(), skin.dense()[person.partners][:, partners])
    torch.testing.assert_close(skin.joints[partners] * torch.tensor([-1.0, 1.0, 1.0]), skin.joints)
    torch.testing.assert_close(skin.weights.sum(dim=1), torch.ones(len(person.vertices)))
    rotations = torch.eye(3).repeat(1, len(skin.names), 1, 1)
    rotations[0, skin.names.index("LeftArm")] = turn(2, 90)
    raised = skinned(person.vertices[None], skin, skin.joints[None], rotations)[0]
    hand = skin.dense()[:, skin.names.index("LeftHand")] > 0.9
    shoulder = skin.joints[skin.names.index("LeftArm")]
    assert float(raised[hand, 1].mean()) > float(shoulder[1]) + 0.1 and float(raised[hand, 0].min()) > 0.5
    other = person.vertices[:, 0] < -0.1
    assert torch.allclose(raised[other], person.vertices[other], atol=1e-5)


def test_a_mirrored_pose_is_the_mirror_image(person: Template) -> None:
    skin, generator = person.skin, torch.Generator().manual_seed(3)
    code = torch.tensor([1.0, 0, 0, 0, 1, 0]) + 0.3 * torch.randn(1, len(skin.names), 6, generator=generator)
    rotations = rotation_from_6d(code)
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    mirrored = rotations[:, joint_partners(skin.names)] * mirror[:, None] * mirror
    posed = skinned(person.vertices[None], skin, skin.joints[None], rotations)
    again = skinned(person.vertices[None], skin, skin.joints[None], mirrored)
    torch.testing.assert_close(again, posed[:, person.partners] * mirror, atol=1e-5, rtol=0)


def turn(axis: int, angle_deg: float) -> Tensor:
    """Right-handed rotation about a world axis."""
    angle = math.radians(angle_deg)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = torch.eye(3)
    matrix[first, first] = matrix[second, second] = math.cos(angle)
    matrix[first, second], matrix[second, first] = -math.sin(angle), math.sin(angle)
    return matrix
