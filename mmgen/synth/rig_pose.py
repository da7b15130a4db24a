"""Poses of the generator on people with a skeleton of their own, and their joints in the template's terms."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from mmgen.synth.joints import TEMPLATE_HEAD, bone_frame
from mmgen.synth.pose import Pose
from mmgen.synth.rigged import Matrices, PosedRig, RiggedPerson
from mmgen.synth.skeleton import AVERAGE, BONE, BONES, REFERENCE_HEIGHT_M, Proportions, Skeleton, pose_skeleton

LIMBS = {
    f"{side}{joint}": f"{bone}_{side[0].lower()}"
    for side in ("Left", "Right")
    for joint, bone in (
        ("Arm", "arm"), ("ForeArm", "forearm"), ("Hand", "hand"),
        ("UpLeg", "thigh"), ("Leg", "shank"), ("Foot", "foot"),
    )
}  # fmt: skip
"""Bones of the generator by joint."""

UPPER_SHARE = 0.5
"""Of a forearm's twist that the upper arm takes: skin wrings where a joint turns about its own bone."""

CHEST_SHARE = 0.52
"""Where the template's chest begins between the lowest joint of the spine and the neck, if the person does not say."""

# Of the template, its own units: hips to chest, chest to neck, joint of the head to its top.
_TRUNK, _CHEST, _HEAD = 0.249, 0.3435, 0.235
_SHOULDER_UP = 0.28


def pose_axes(pose: Pose) -> np.ndarray:
    """[15, 3, 3] axes of the generator's bones as rows: the same for every build."""
    return pose_skeleton(AVERAGE, pose).axes


def rig_turns(person: RiggedPerson, pose: Pose) -> Matrices:
    """By joint, the rotation of `RiggedPerson.posed` that brings a T-pose into a pose of the generator."""
    axes, places = pose_axes(pose), person.rest[:, :3, 3]
    names = tuple(name for name in person.names)
    turned = {"Hips": axes[BONE["pelvis"]].T, "Spine": axes[BONE["chest"]].T}
    head = axes[BONE["head"]].T
    turned["Neck"], turned["Head"] = _halfway(turned["Spine"], head), head
    frames = {name: bone_frame(places, names, name) for name in LIMBS}
    for name, bone in LIMBS.items():
        turned[name] = axes[BONE[bone]].T @ frames[name].T
    for side in ("Left", "Right"):
        arm, forearm = f"{side}Arm", f"{side}ForeArm"
        turned[arm] = turned[arm] @ _share_of_twist(turned[arm].T @ turned[forearm], frames[arm][:, 1])
    above = {"Spine": "Hips", "Neck": "Spine", "Head": "Neck"}
    for side in ("Left", "Right"):
        above |= {f"{side}Arm": "Spine", f"{side}ForeArm": f"{side}Arm", f"{side}Hand": f"{side}ForeArm"}
        above |= {f"{side}UpLeg": "Hips", f"{side}Leg": f"{side}UpLeg", f"{side}Foot": f"{side}Leg"}
    return {name: turned[above[name]].T @ turn if name in above else turn for name, turn in turned.items()}


def _halfway(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    between = Rotation.from_matrix(first.T @ second).as_rotvec()
    return np.asarray(first @ Rotation.from_rotvec(between / 2).as_matrix())


def _share_of_twist(turn: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """A part of what a rotation turns about an axis (swing and twist)."""
    x, y, z, w = Rotation.from_matrix(turn).as_quat()
    angle = 2 * np.arctan2(np.array([x, y, z]) @ axis, w)
    angle = (angle + np.pi) % (2 * np.pi) - np.pi
    return np.asarray(Rotation.from_rotvec(UPPER_SHARE * angle * axis).as_matrix())


@dataclass(frozen=True)
class RigJoints:
    """Where joints are on a posed rig.

    Attributes:
        skeleton: bones of the generator, world frame of the file.
        places: by joint of the template, [3], same frame.
    """

    skeleton: Skeleton
    places: dict[str, np.ndarray]


def rig_joints(person: RiggedPerson, posed: PosedRig, pose: Pose) -> RigJoints:
    """Bones and joints of a person in a pose of the generator."""

    def carried(node: str, at_rest: np.ndarray) -> np.ndarray:
        number = person.node(node)
        return posed.places[number] + posed.turns[number] @ (at_rest - person.rest[number, :3, 3])

    rest = {name: person.rest[person.node(name), :3, 3] for name in ("Hips", "Spine", "Neck", "Head", *LIMBS)}
    hips = (rest["LeftUpLeg"] + rest["RightUpLeg"]) / 2
    hips[2] = rest["Hips"][2]
    chest = rest["Spine"] + CHEST_SHARE * (rest["Neck"] - rest["Spine"]) * [1.0, 1.0, 0.0]
    head = (rest["Neck"] + rest["Head"]) / 2
    lengths = _proportions(person, rest, hips, chest, head)
    middle = head + np.array([0.0, 0.5 * _HEAD / TEMPLATE_HEAD[1] * lengths.head[1], 0.0])
    places = {"Hips": carried("Hips", hips), "Chest": carried("Spine", chest), "Head": carried("Neck", head)}
    places |= {name: posed.places[person.node(name)] for name in ("Spine", "Neck", *LIMBS)}
    origin = np.zeros((len(BONES), 3))
    origin[:3] = places["Hips"], places["Chest"], carried("Head", middle)
    for name, bone in LIMBS.items():
        origin[BONE[bone]] = places[name]
    return RigJoints(Skeleton(origin, pose_axes(pose), lengths), places)


def _proportions(
    person: RiggedPerson, rest: Matrices, hips: np.ndarray, chest: np.ndarray, head: np.ndarray
) -> Proportions:
    def apart(first: str, second: str) -> float:
        return float(np.linalg.norm(rest[first] - rest[second]))

    top = person.rest[person.node("HeadEnd"), 1, 3] if "HeadEnd" in person.names else rest["Head"][1] + 0.17
    scale = float(top) / REFERENCE_HEIGHT_M
    size = (float(top) - head[1]) / _HEAD
    return Proportions(
        scale=scale,
        ankle=float(rest["LeftFoot"][1]),
        shank=apart("LeftLeg", "LeftFoot"),
        thigh=apart("LeftUpLeg", "LeftLeg"),
        hip=apart("LeftUpLeg", "RightUpLeg") / 2,
        chest=_TRUNK * float(chest[1] - hips[1]) / 0.2661,
        shoulder_up=_SHOULDER_UP * float(rest["Neck"][1] - chest[1]) / _CHEST,
        shoulder=apart("LeftArm", "RightArm") / 2,
        shoulder_drop=float(rest["Neck"][1] - rest["LeftArm"][1]),
        head_up=float(head[1] - chest[1]),
        head=(0.079 * scale, TEMPLATE_HEAD[1] * size, 0.098 * scale),
        arm=apart("LeftArm", "LeftForeArm"),
        forearm=apart("LeftForeArm", "LeftHand"),
        hand=0.175 * scale,
    )
