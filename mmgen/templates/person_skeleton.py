"""Skeleton and skin weights of the `person` template; joint names are those that humanoid retargeters know."""

from typing import NamedTuple

import numpy as np

Place = tuple[float, float, float]


class Bone(NamedTuple):
    """A joint of the right half (x >= 0, the person's left) or of the middle.

    Attributes:
        parent: name of the parent.
        joint: where it turns, in the frame of `build_person.BODY`.
        end: where the bone ends.
        radius: how far from its axis the bone's share falls off.
    """

    name: str
    parent: str
    joint: Place
    end: Place
    radius: float


# By depth. The trunk bends at the spine and the head above the neck, as the people of `mmgen synth` do.
MIDDLE = (
    Bone("Hips", "", (0.0, 0.920, 0.0), (0.0, 0.980, 0.0), 0.150),
    Bone("Spine", "Hips", (0.0, 1.029, 0.0), (0.0, 1.130, 0.0), 0.145),
    Bone("Chest", "Spine", (0.0, 1.162, 0.0), (0.0, 1.440, 0.0), 0.150),
    Bone("Neck", "Chest", (0.0, 1.503, 0.0), (0.0, 1.545, 0.0), 0.070),
    Bone("Head", "Neck", (0.0, 1.558, 0.0), (0.0, 1.790, 0.0), 0.090),
)
SIDE = (
    Bone("UpLeg", "Hips", (0.090, 0.920, 0.0), (0.110, 0.500, 0.010), 0.080),
    Bone("Leg", "UpLeg", (0.110, 0.500, 0.010), (0.125, 0.085, -0.020), 0.055),
    Bone("Foot", "Leg", (0.125, 0.085, -0.020), (0.140, 0.030, 0.130), 0.048),
    Bone("Arm", "Chest", (0.175, 1.400, -0.010), (0.275, 1.120, -0.015), 0.052),
    Bone("ForeArm", "Arm", (0.275, 1.120, -0.015), (0.347, 0.870, 0.017), 0.042),
    Bone("Hand", "ForeArm", (0.347, 0.870, 0.017), (0.375, 0.710, 0.035), 0.036),
)
SHARPNESS = 2.0
SMOOTHING_ROUNDS = 4
MOST_WEIGHTS = 4
"""Joints that move one vertex: what a glTF file holds."""

FAR = 9.0
"""Distance, in radii, of bones of the other side."""


def person_bones() -> list[Bone]:
    """Bones of both sides by depth, with the names of their sides."""
    found = list(MIDDLE)
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        for bone in SIDE:
            parent = bone.parent if bone.parent in ("Hips", "Chest") else side + bone.parent
            joint, end = ((sign * x, y, z) for x, y, z in (bone.joint, bone.end))
            found.append(Bone(side + bone.name, parent, joint, end, bone.radius))
    parents = {bone.name: bone.parent for bone in found}

    def depth(name: str) -> int:
        return 0 if not parents[name] else 1 + depth(parents[name])

    return sorted(found, key=lambda bone: depth(bone.name))


def skeleton_arrays(vertices: np.ndarray, edges: np.ndarray, partners: np.ndarray) -> dict[str, np.ndarray]:
    """`joint_names`, `joint_parents`, `joints` [J, 3], and `bones` and `weights` [V, 4], in the frame of `BODY`.

    Args:
        vertices: [V, 3] in that frame.
        edges: [E, 2] of the mesh.
        partners: [V] mirror partners: weights are symmetric to the bit.
    """
    bones = person_bones()
    names = [bone.name for bone in bones]
    near = np.stack([_distance(vertices, bone) for bone in bones], axis=1)
    shares = np.exp(-SHARPNESS * near**2)
    shares /= shares.sum(axis=1, keepdims=True)
    for _ in range(SMOOTHING_ROUNDS):
        shares = 0.5 * shares + 0.5 * _mean_of_neighbours(shares, edges)
    swapped = np.array([names.index(_other_side(name)) for name in names])
    rows, weights = _largest(shares, partners, swapped)
    return {
        "joint_names": np.array(names),
        "joint_parents": np.array([names.index(bone.parent) if bone.parent else -1 for bone in bones], np.int32),
        "joints": np.array([bone.joint for bone in bones]),
        "bones": rows.astype(np.uint8),
        "weights": weights.astype(np.float32),
    }


def _largest(shares: np.ndarray, partners: np.ndarray, swapped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and shares [V, 4] of the joints that count most, of partners in the same order."""
    order = np.argsort(-shares, axis=1, kind="stable")[:, :MOST_WEIGHTS]
    middle = np.flatnonzero(partners == np.arange(len(partners)))
    for vertex in middle:
        order[vertex] = _symmetric_four(shares[vertex], swapped)
    second = np.flatnonzero(partners < np.arange(len(partners)))
    order[second] = swapped[order[partners[second]]]
    kept = np.take_along_axis(shares, order, axis=1)
    kept[second] = kept[partners[second]]
    kept[middle] = (kept[middle] + np.take_along_axis(shares, swapped[order], axis=1)[middle]) / 2
    return order, kept / kept.sum(axis=1, keepdims=True)


def _symmetric_four(shares: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """Four joints for a vertex in the mirror plane: of the middle, or two of them and a pair, whatever counts more."""
    rows = np.arange(len(shares))
    own = sorted(rows[swapped == rows], key=lambda row: -shares[row])
    pair = max(rows[swapped > rows], key=lambda row: shares[row])
    choices = (own[:4], [*own[:2], pair, swapped[pair]])
    return np.array(max(choices, key=lambda chosen: shares[chosen].sum()))


def _other_side(name: str) -> str:
    if name.startswith("Left"):
        return "Right" + name.removeprefix("Left")
    return "Left" + name.removeprefix("Right") if name.startswith("Right") else name


def _distance(points: np.ndarray, bone: Bone) -> np.ndarray:
    """Distance [V] of points to a bone, in its radii."""
    start, axis = np.array(bone.joint), np.array(bone.end) - np.array(bone.joint)
    along = np.clip((points - start) @ axis / (axis @ axis), 0.0, 1.0)
    distance = np.linalg.norm(points - start - along[:, None] * axis, axis=1) / bone.radius
    side = np.sign(bone.joint[0])
    return np.where(side * points[:, 0] < -0.005, FAR, distance)


def _mean_of_neighbours(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    total, degree = np.zeros_like(values), np.zeros((len(values), 1))
    for first, second in (edges.T, edges[:, ::-1].T):
        np.add.at(total, first, values[second])
        np.add.at(degree, first, 1.0)
    return total / degree
