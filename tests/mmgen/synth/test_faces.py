"""What hides faces and shoulders: dark glasses, strands of hair on the chest, a phone before the eyes."""

from dataclasses import replace

import numpy as np
import pytest

from mmgen.synth import NEUTRAL, CrowdOptions, body_mesh, identity
from mmgen.synth.crowd import pose_of
from mmgen.synth.identity import Identity
from mmgen.synth.pose import photographing
from mmgen.synth.primitives import HAIR, PROP
from mmgen.synth.skeleton import BONE

DARK = (0.04, 0.04, 0.05)


def person(**head: object) -> Identity:
    """Somebody with a light face and a white shirt."""
    who = identity(0, "train", 3)
    plain = {"headwear": "none", "skin": (0.9, 0.75, 0.65), "beard": False, "glasses": False}
    outfit = replace(who.outfit, outer="none", bag="none", scarf=False)
    return replace(who, head=replace(who.head, **{**plain, **head}), outfit=outfit)


def test_sunglasses_are_dark_over_and_under_both_eyes() -> None:
    shares = []
    for lenses in (None, DARK):
        mesh = body_mesh(person(hair="short", lenses=lenses), NEUTRAL, 0.01)
        local = (mesh.vertices - mesh.skeleton.origin[2]) @ mesh.skeleton.axes[2].T
        under = (
            (np.abs(np.abs(local[:, 0]) - 0.033) < 0.012) & (np.abs(local[:, 1] + 0.015) < 0.006) & (local[:, 2] > 0.05)
        )
        shares.append((mesh.colors[under].max(axis=1) < 0.2).mean())
    assert shares[0] < 0.2 and shares[1] > 0.8


def test_draped_hair_lies_on_the_chest_and_is_hair() -> None:
    mesh = body_mesh(person(hair="draped", hair_colour=(0.9, 0.1, 0.9)), replace(NEUTRAL, head_yaw_deg=40.0), 0.015)
    chest = (mesh.vertices - mesh.skeleton.origin[1]) @ mesh.skeleton.axes[1].T
    on_chest = (mesh.person.packed.region[mesh.labels] == HAIR) & (chest[:, 2] > 0.08)
    on_chest &= chest[:, 1] < 0.8 * mesh.skeleton.proportions.shoulder_up
    assert on_chest.sum() > 15
    assert (mesh.colors[on_chest, 0] - mesh.colors[on_chest, 1] > 0.3).all(), "no skin, no cloth"


@pytest.mark.parametrize("carrying", [(False, False), (True, False), (False, True)])
def test_a_phone_is_held_before_the_face(carrying: tuple[bool, bool]) -> None:
    for seed in range(6):
        pose = photographing(np.random.default_rng(seed), NEUTRAL, carrying)
        mesh = body_mesh(person(), pose, 0.02)
        phone = mesh.vertices[mesh.person.packed.region[mesh.labels] == PROP]
        away = (phone - mesh.skeleton.origin[BONE["head"]]).mean(axis=0)
        assert abs(away[0]) < 0.13 and abs(away[1]) < 0.16 and 0.12 < away[2] < 0.45
        assert not any(held and prop != "none" for held, prop in zip(carrying, pose.props, strict=True))
    assert photographing(np.random.default_rng(0), NEUTRAL, (True, True)) == NEUTRAL


def test_only_the_world_has_them() -> None:
    people = [identity(0, "train", index) for index in range(100)]
    world = [identity(0, "train", index, "world") for index in range(100)]
    assert not any(who.head.lenses or who.head.hair == "draped" for who in people)
    assert 5 < sum(who.head.lenses is not None for who in world) < 35
    assert 3 < sum(who.head.hair == "draped" for who in world)
    options = CrowdOptions(style="world")
    assert 1 <= sum("camera" in pose_of(options, who, 1).props for who in world) < 15
