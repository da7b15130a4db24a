"""Where the vertices of a template lie on a generated person: by construction, from the person's own bones and solids.

The template is given the person's proportions and pose; then every vertex goes along the ray from its bone's axis
through itself to where its part of the person ends, and settles on the surface.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mmgen.synth.figure import Figure
from mmgen.synth.joints import around_what_is_held, bone_axis, bone_frame, bone_stretch, joint_rotations
from mmgen.synth.parts import ARM_L, ARM_R, CORE, LEG_L, LEG_R
from mmgen.synth.pose import REST
from mmgen.synth.skeleton import AVERAGE, pose_skeleton
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

    def __call__(self, figure: Figure) -> PosedTemplate:
        """The template on a person."""
        skeleton = figure.skeleton
        joints = figure.rest_joints(self._names)
        rotations = joint_rotations(skeleton, pose_skeleton(AVERAGE, REST), self._names, self._parents)
        stretched = self._with_proportions(joints, figure)
        hips = skeleton.origin[0]
        maps = vertex_transforms(self._skin, _batch(joints), _batch(rotations))[0].numpy()
        shift = hips - joints[0]
        posed = _applied(maps, stretched) + shift
        settled = self._settled(figure, posed)
        at_rest = self._back(maps, stretched, settled - shift)
        return PosedTemplate(at_rest, joints, rotations, hips, _applied(maps, at_rest) + shift)

    def _with_proportions(self, joints: np.ndarray, figure: Figure) -> np.ndarray:
        """The template's vertices with the person's bones, at rest."""
        moved = np.zeros_like(self._vertices)
        lengths = figure.skeleton.proportions
        for row, name in enumerate(self._names):
            own, theirs = bone_frame(self._joints, self._names, name), bone_frame(joints, self._names, name)
            stretch = bone_stretch(name, self._names, self._joints, joints, lengths)
            local = (self._vertices - self._joints[row]) @ own * stretch
            moved += self._shares[:, row, None] * (local @ theirs.T + joints[row])
            if name.endswith("Hand"):
                further = around_what_is_held(local[:, 1], lengths.hand, figure.held_m(name)) - local[:, 1]
                further *= np.clip(self._shares[:, row] / HOLDING_SHARE, 0.0, 1.0)
                moved += further[:, None] * theirs[:, 1]
        return moved

    def _settled(self, figure: Figure, posed: np.ndarray) -> np.ndarray:
        """Vertices of the posed template, moved to the surface."""
        posed, under = self._at_hems(figure, posed)
        feet = self._axis_points(figure, posed, under == HANGING)
        ray = posed - feet
        length = np.linalg.norm(ray, axis=1, keepdims=True)
        ray /= np.maximum(length, 1e-9)
        exits = figure.exits(self._wanted, feet, ray, LONGEST_M)
        moved = feet + ray * np.where(np.isnan(exits), length[:, 0], exits)[:, None]
        first, second = self._edges.T
        alike = self._edges[under[first] == under[second]]
        for turn, share in enumerate(SMOOTHING):
            change = moved - posed
            moved = moved + share * (_mean_of_neighbours(change, alike) - change)
            moved = self._on_surface(figure, moved, alike[: len(alike) * (turn >= ROUGH_ROUNDS)])
        return moved

    def _at_hems(self, figure: Figure, posed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Legs' vertices near the hem of a skirt or coat, moved up or down to it.

        Returns:
            moved: [V, 3].
            under: [V] which are `HANGING` above a hem.
        """
        moved, up = posed.copy(), figure.skeleton.axes[0, 1]
        is_leg = (self._wanted & (LEG_L | LEG_R)) > 0
        under = np.zeros(len(posed), np.int64)
        for hem in figure.hems:
            above = (moved - figure.skeleton.origin[0]) @ up - hem
            hanging = is_leg & (above > -HEM_M)
            beyond = np.clip(np.abs(above) - HEM_M, 0.0, None) * HEM_REACH_M / (HEM_REACH_M - HEM_M)
            wanted = np.where(above > -HEM_M, 0.005, -0.005) + np.sign(above) * beyond
            near = is_leg & (np.abs(above) < HEM_REACH_M)
            moved[near] += (wanted - above)[near, None] * up
            under[hanging] = HANGING
        return moved, under

    def _on_surface(self, figure: Figure, moved: np.ndarray, edges: np.ndarray) -> np.ndarray:
        """One step along the normals, so that distances are zero on average round every vertex."""
        first, second = edges.T
        total, count = OWN_WEIGHT * figure.distances(self._wanted, moved), np.full(len(moved), OWN_WEIGHT)
        if len(edges):
            wanted = self._wanted[first] | self._wanted[second]
            between = figure.distances(wanted, (moved[first] + moved[second]) / 2)
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

    def _axis_points(self, figure: Figure, posed: np.ndarray, level: np.ndarray) -> np.ndarray:
        """[V, 3] for each vertex the nearest point of its bone's axis, or the one at its height where it is `level`."""
        skeleton = figure.skeleton
        up = skeleton.axes[0, 1]
        feet = np.empty_like(posed)
        for row, name in enumerate(self._names):
            chosen = self._owner == row
            held_m = figure.held_m(name) if name.endswith("Hand") else 0.0
            start, end = bone_axis(skeleton, name, held_m)
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
