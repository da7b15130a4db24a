"""Joints of bodies whose vertices are known."""

import torch
from skeletons import posed_joints, rotation_from_6d

from mmgen.templates import named_template
from recon.fitting.joints import fitted_joints
from recon.skinning import joint_transforms, skinned


def test_joints_are_found_again_in_another_pose_place_and_size() -> None:
    template = named_template("person")
    skin, generator = template.skin, torch.Generator().manual_seed(0)
    code = torch.tensor([1.0, 0, 0, 0, 1, 0]) + 0.25 * torch.randn(1, len(skin.names), 6, generator=generator)
    rotations, joints = rotation_from_6d(code), skin.joints[None]
    posed = skinned(template.vertices[None], skin, joints, rotations)[0]
    found = fitted_joints(0.9 * posed + torch.tensor([0.1, 0.8, 0.0]), template)
    places = 0.9 * posed_joints(skin, joints, rotations)[0] + torch.tensor([0.1, 0.8, 0.0])
    assert float((found.places - places).norm(dim=1).max()) < 0.03
    turns = joint_transforms(skin, joints, rotations)[0, :, :, :3].double()
    between = found.turns.transpose(1, 2) @ turns
    angles = torch.rad2deg(torch.arccos(((between.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2).clamp(-1, 1)))
    limbs = [row for row, name in enumerate(skin.names) if "Arm" in name or "Leg" in name or name == "Head"]
    assert float(angles[limbs].max()) < 12
    torch.testing.assert_close(torch.linalg.det(found.turns), torch.ones(len(skin.names)).double())


def test_at_rest_nothing_turns() -> None:
    template = named_template("person")
    found = fitted_joints(template.vertices, template)
    torch.testing.assert_close(found.turns, torch.eye(3).double().expand_as(found.turns), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.places, template.skin.joints.double(), atol=1e-6, rtol=0)
