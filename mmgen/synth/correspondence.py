"""Where the vertices of a template lie on a generated person: by construction, from the person's own bones and solids.

The template is given the person's proportions and pose; then every vertex goes along the ray from its bone's axis
through itself to where its part of the person ends, and settles on the surface.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mmgen.synth.parts import ARM_L, ARM_R, CORE, LEG_L, LEG_R, carried_reach_m, part_distances, ray_exits, solid_parts
from mmgen.synth.person import Person
from mmgen.synth.pose import REST
from mmgen.synth.primitives import Packed
from mmgen.synth.skeleton import BONE, Proportions, Skeleton, pose_skeleton
from recon.skinning import vertex_transforms
from recon.template import Template

LONGEST_M = 0.45
SMOOTHING = (0.9, 0.9, 0.9, 0.9, 0.8, 0.6, 0.4, 0.2, 0.1, 0.0)
"""Share of the way to the neighbours' mean displacement, round by round."""

ROUGH_ROUNDS = 7
"""Rounds that look at vertices alone, before those that look at their edges too."""

OWN_WEIGHT = 5.0
"""Of a vertex' own distance beside those of the middles of its edges: faces cut through a round body."""

LARGEST_STEP_M = 0.025
HEM_M = 0.04
"""Vertices this near to a hem go onto it: half the length of an edge."""

HEM_REACH_M = 0.18
"""Vertices this near to a hem move towards it."""

HANGING = 1
HOLDING_SHARE = 0.35
"""A vertex that moves this much with the hand, or more, goes all the way with what the hand carries."""

GRIP = 0.1
"""Share of a hand's vertices that stay with the hand where it carries something."""
DAMPING = 0.02
"""Of the way back to rest, where joints bend so far that little of a vertex' place at rest can be told."""


@dataclass(frozen=True)
class PosedTemplate:
    """A template on a person.

    Attributes:
        rest: [V, 3] at rest, metres, hips at the origin.
        joints: [J, 3] of the person at rest, same frame.
        rotations: [J, 3, 3] of each joint against its parent; the hips' against the world.
        hips: [3] place of the hips in the pose, world frame, metres.
        posed: [V, 3] the same, skinned and put in its place, world frame, metres.
    """

    rest: np.ndarray
    joints: np.ndarray
    rotations: np.ndarray
    hips: np.ndarray
    posed: np.ndarray


# Bone of `mmgen.synth.skeleton` that turns with each joint.
TURNED_WITH = {
    "Hips": "pelvis", "Spine": "chest", "Chest": "chest", "Neck": "chest", "Head": "head",
    "LeftArm": "arm_l", "LeftForeArm": "forearm_l", "LeftHand": "hand_l",
    "RightArm": "arm_r", "RightForeArm": "forearm_r", "RightHand": "hand_r",
    "LeftUpLeg": "thigh_l", "LeftLeg": "shank_l", "LeftFoot": "foot_l",
    "RightUpLeg": "thigh_r", "RightLeg": "shank_r", "RightFoot": "foot_r",
}  # fmt: skip


def joint_places(skeleton: Skeleton, names: tuple[str, ...]) -> np.ndarray:
    """[J, 3] where a skeleton's joints are, world frame, metres."""
    lengths, origin, axes = skeleton.proportions, skeleton.origin, skeleton.axes
    up, s = lengths.shoulder_up, lengths.scale
    rise = lengths.head_up - up - 0.06 * s
    between = {
        "Spine": origin[0] + 0.45 * lengths.chest * axes[0, 1],
        "Neck": origin[1] + (up + 0.06 * s) * axes[1, 1],
        "Head": origin[1] + (up + 0.06 * s + 0.35 * rise) * axes[1, 1],
    }
    return np.stack([between.get(name, origin[BONE[TURNED_WITH[name]]]) for name in names])


def joint_rotations(posed: Skeleton, rest: Skeleton, names: tuple[str, ...], parents: tuple[int, ...]) -> np.ndarray:
    """[J, 3, 3] rotation of each joint against its parent."""
    bones = [BONE[TURNED_WITH[name]] for name in names]
    turns = posed.axes[bones].transpose(0, 2, 1) @ rest.axes[bones]
    above = np.stack([np.eye(3) if parent < 0 else turns[parent] for parent in parents])
    return above.transpose(0, 2, 1) @ turns


class Correspondence:
    """Puts one template on many people.

    Args:
        template: the `person` template, or another one with the same joints.
    """

    def __init__(self, template: Template) -> None:
        self._skin = template.skin
        self._names, self._parents = template.skin.names, template.skin.parents
        self._vertices = template.vertices.double().numpy()
        self._faces = template.faces.numpy()
        self._joints = template.skin.joints.double().numpy()
        self._shares = template.skin.dense().double().numpy()
        self._edges = template.topology.edges.numpy()
        self._wanted = self._parts_of_vertices()
        self._owner = self._shares.argmax(axis=1)

    def _parts_of_vertices(self) -> np.ndarray:
        """[V] parts whose joints move each vertex."""
        bits = np.zeros(len(self._vertices), np.int64)
        share = np.zeros((len(self._vertices), 32))
        for row, name in enumerate(self._names):
            part = CORE
            if "Arm" in name or "Hand" in name:
                part = ARM_L if name.startswith("Left") else ARM_R
            elif "Leg" in name or "Foot" in name:
                part = LEG_L if name.startswith("Left") else LEG_R
            share[:, part] += self._shares[:, row]
        for part in (CORE, ARM_L, ARM_R, LEG_L, LEG_R):
            bits |= np.where(share[:, part] > 0.04, part, 0)
        return bits

    def __call__(self, person: Person) -> PosedTemplate:
        """The template on a person."""
        rest = pose_skeleton(person.identity.build, REST)
        joints = joint_places(rest, self._names)
        rotations = joint_rotations(person.skeleton, rest, self._names, self._parents)
        stretched = self._with_proportions(rest, joints, person)
        hips = person.skeleton.origin[0]
        maps = vertex_transforms(self._skin, _batch(joints), _batch(rotations))[0].numpy()
        shift = hips - joints[0]
        posed = _applied(maps, stretched) + shift
        settled = self._settled(person, posed)
        at_rest = self._back(maps, stretched, settled - shift)
        return PosedTemplate(at_rest, joints, rotations, hips, _applied(maps, at_rest) + shift)

    def _with_proportions(self, rest: Skeleton, joints: np.ndarray, person: Person) -> np.ndarray:
        """The template's vertices with the person's bones, at rest."""
        moved = np.zeros_like(self._vertices)
        for row, name in enumerate(self._names):
            own, theirs = _bone_frame(self._joints, self._names, name), _bone_frame(joints, self._names, name)
            local = (self._vertices - self._joints[row]) @ own * self._stretch(name, joints, person)
            moved += self._shares[:, row, None] * (local @ theirs.T + joints[row])
            if name.endswith("Hand"):
                further = _around_what_is_held(local[:, 1], name, person) - local[:, 1]
                further *= np.clip(self._shares[:, row] / HOLDING_SHARE, 0.0, 1.0)
                moved += further[:, None] * theirs[:, 1]
        return moved

    def _stretch(self, name: str, joints: np.ndarray, person: Person) -> np.ndarray:
        """[3] how much larger a bone of the person is than the template's, across, along and forward."""
        lengths: Proportions = person.skeleton.proportions
        thick = lengths.scale
        if name in _CHILD or name[-4:] == "Hand" or name[-4:] == "Foot":
            along = thick
            if name in _CHILD or f"{name}" in _CHILD:
                along = _reach(joints, self._names, name) / _reach(self._joints, self._names, name)
            if name.endswith("Hand"):
                along = 0.98 * lengths.hand / TEMPLATE_HAND
            return np.array([thick, along, thick])
        if name == "Head":
            return np.array(lengths.head) / TEMPLATE_HEAD
        wide = lengths.hip / 0.0875 if name == "Hips" else lengths.shoulder / 0.18
        tall = lengths.chest / 0.249 if name in ("Hips", "Spine") else lengths.shoulder_up / 0.28
        return np.array([thick if name == "Neck" else wide, tall, thick])

    def _settled(self, person: Person, posed: np.ndarray) -> np.ndarray:
        """Vertices of the posed template, moved to the surface."""
        packed = person.packed
        parts, plane = solid_parts(packed), _middle_plane(person.skeleton)
        posed, under = self._at_hems(person, posed)
        feet = self._axis_points(person, posed, under == HANGING)
        ray = posed - feet
        length = np.linalg.norm(ray, axis=1, keepdims=True)
        ray /= np.maximum(length, 1e-9)
        exits = ray_exits(packed, parts, plane, self._wanted, feet, ray, LONGEST_M)
        moved = feet + ray * np.where(np.isnan(exits), length[:, 0], exits)[:, None]
        first, second = self._edges.T
        alike = self._edges[under[first] == under[second]]
        for turn, share in enumerate(SMOOTHING):
            change = moved - posed
            moved = moved + share * (_mean_of_neighbours(change, alike) - change)
            moved = self._on_surface(packed, parts, plane, moved, alike[: len(alike) * (turn >= ROUGH_ROUNDS)])
        return moved

    def _at_hems(self, person: Person, posed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Legs' vertices near the hem of a skirt or coat, moved up or down to it.

        Returns:
            moved: [V, 3].
            under: [V] which are `HANGING` above a hem.
        """
        moved, up = posed.copy(), person.skeleton.axes[0, 1]
        is_leg = (self._wanted & (LEG_L | LEG_R)) > 0
        under = np.zeros(len(posed), np.int64)
        hems = [float(np.asarray(person.paint.style)[name]) for name in ("skirt_y", "coat_y")]
        for hem in hems:
            if hem < 0:
                above = (moved - person.skeleton.origin[0]) @ up - hem
                hanging = is_leg & (above > -HEM_M)
                beyond = np.clip(np.abs(above) - HEM_M, 0.0, None) * HEM_REACH_M / (HEM_REACH_M - HEM_M)
                wanted = np.where(above > -HEM_M, 0.005, -0.005) + np.sign(above) * beyond
                near = is_leg & (np.abs(above) < HEM_REACH_M)
                moved[near] += (wanted - above)[near, None] * up
                under[hanging] = HANGING
        return moved, under

    def _on_surface(
        self, packed: Packed, parts: np.ndarray, plane: np.ndarray, moved: np.ndarray, edges: np.ndarray
    ) -> np.ndarray:
        """One step along the normals, so that distances are zero on average round every vertex."""
        first, second = edges.T
        middle = (moved[first] + moved[second]) / 2
        own = part_distances(packed, parts, plane, self._wanted, moved)
        between = part_distances(packed, parts, plane, self._wanted[first] | self._wanted[second], middle)
        total, count = OWN_WEIGHT * own, np.full(len(moved), OWN_WEIGHT)
        for ends in (first, second):
            total += np.bincount(ends, between, len(moved))
            count += np.bincount(ends, minlength=len(moved))
        step = np.clip(total / count, -LARGEST_STEP_M, LARGEST_STEP_M)
        return moved - step[:, None] * self._normals(moved)

    def _normals(self, vertices: np.ndarray) -> np.ndarray:
        a, b, c = (vertices[self._faces[:, corner]] for corner in range(3))
        area = np.cross(b - a, c - a)
        corners = self._faces.T.ravel()
        normals = np.stack([np.bincount(corners, np.tile(axis, 3), len(vertices)) for axis in area.T], axis=1)
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)

    def _axis_points(self, person: Person, posed: np.ndarray, level: np.ndarray) -> np.ndarray:
        """[V, 3] for each vertex the nearest point of its bone's axis, or the one at its height where it is `level`."""
        up = person.skeleton.axes[0, 1]
        feet = np.empty_like(posed)
        for row, name in enumerate(self._names):
            chosen = self._owner == row
            start, end = _axis(person, name)
            along = end - start
            across = np.where(level[chosen, None], up, along)
            share = np.clip(((posed[chosen] - start) * across).sum(1) / (across @ along), 0.0, 1.0)
            feet[chosen] = start + share[:, None] * along
        return feet

    def _back(self, maps: np.ndarray, stretched: np.ndarray, posed: np.ndarray) -> np.ndarray:
        """Vertices at rest that skinning takes to `posed`, as nearly as they can be told."""
        matrices = maps[:, :, :3]
        start = stretched
        for _ in range(3):
            missed = posed - _applied(maps, start)
            normal = matrices.transpose(0, 2, 1) @ matrices + DAMPING * np.eye(3)
            solved = np.linalg.solve(normal, matrices.transpose(0, 2, 1) @ missed[..., None])[..., 0]
            start = start + solved
        return start


_CHILD = {
    "LeftArm": "LeftForeArm", "LeftForeArm": "LeftHand", "RightArm": "RightForeArm", "RightForeArm": "RightHand",
    "LeftUpLeg": "LeftLeg", "LeftLeg": "LeftFoot", "RightUpLeg": "RightLeg", "RightLeg": "RightFoot",
}  # fmt: skip
_PARENT = {"LeftHand": "LeftForeArm", "RightHand": "RightForeArm"}
TEMPLATE_HAND = 0.20
TEMPLATE_HEAD = np.array([0.089, 0.120, 0.100])


def _reach(joints: np.ndarray, names: tuple[str, ...], name: str) -> float:
    return float(np.linalg.norm(joints[names.index(_CHILD[name])] - joints[names.index(name)]))


def _bone_frame(joints: np.ndarray, names: tuple[str, ...], name: str) -> np.ndarray:
    """[3, 3] columns across, back along the bone, and forward; the world's axes for bones of the trunk and feet."""
    name = _PARENT.get(name, name)
    if name not in _CHILD:
        return np.eye(3)
    along = joints[names.index(name)] - joints[names.index(_CHILD[name])]
    along /= np.linalg.norm(along)
    forward = np.array([0.0, 0.0, 1.0]) - along[2] * along
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(along, forward), along, forward], axis=1)


def _axis(person: Person, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the axis that a joint's vertices stand around, world frame, metres."""
    skeleton, bone = person.skeleton, BONE[TURNED_WITH[name]]
    lengths, start, axes = skeleton.proportions, skeleton.origin[bone], skeleton.axes[bone]
    s = lengths.scale
    if name in ("Hips", "Spine"):
        return skeleton.origin[0], skeleton.origin[1]
    if name == "Chest":
        return start, start + 0.9 * lengths.shoulder_up * axes[1]
    if name == "Neck":
        return start + 0.9 * lengths.shoulder_up * axes[1], start + (lengths.shoulder_up + 0.1 * s) * axes[1]
    if name == "Head":
        return start - 0.5 * lengths.head[1] * axes[1], start + 0.3 * lengths.head[1] * axes[1]
    if name.endswith("Foot"):
        return start - 0.035 * s * axes[1] - 0.02 * s * axes[2], start + 0.11 * s * axes[2] - 0.05 * s * axes[1]
    if name.endswith("Hand"):
        held = _held_reach_m(person, name)
        return start, start - max(0.72 * lengths.hand, held - 0.04) * axes[1]
    return start, skeleton.origin[bone + 1]


def _held_reach_m(person: Person, name: str) -> float:
    """How far what a hand holds reaches from its wrist, metres; 0 for empty hands."""
    bone = BONE[TURNED_WITH[name]]
    return carried_reach_m(person.packed, bone, person.skeleton.origin[bone], -person.skeleton.axes[bone, 1])


def _around_what_is_held(heights: np.ndarray, name: str, person: Person) -> np.ndarray:
    """Heights along the hand's axis, those of the fingers spread over the length of what the hand carries."""
    held = _held_reach_m(person, name)
    hand = 0.98 * person.skeleton.proportions.hand
    if held <= hand:
        return heights
    return -np.interp(-heights, [-1.0, 0.0, GRIP * hand, hand, 1.0], [-1.0, 0.0, hand, held, held + 1.0 - hand])


def _middle_plane(skeleton: Skeleton) -> np.ndarray:
    """[4] the plane between the legs: unit normal to the left, and its offset."""
    normal = skeleton.axes[0, 0]
    return np.array([*normal, normal @ skeleton.origin[0]])


def _mean_of_neighbours(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """[V, 3] means over the other ends of edges; a vertex without edges keeps its own."""
    first, second = np.r_[edges[:, 0], edges[:, 1]], np.r_[edges[:, 1], edges[:, 0]]
    count = np.bincount(first, minlength=len(values))[:, None]
    total = np.stack([np.bincount(first, axis[second], len(values)) for axis in values.T], axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), values)


def _batch(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))[None]


def _applied(maps: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    return (maps[:, :, :3] @ vertices[..., None])[..., 0] + maps[:, :, 3]
