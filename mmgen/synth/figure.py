"""What the template is put on: bones, joints, and a surface that can be asked part by part."""

from typing import Protocol

import numpy as np

from mmgen.synth.joints import TURNED_WITH, joint_places
from mmgen.synth.parts import carried_reach_m, part_distances, ray_exits, solid_parts
from mmgen.synth.person import Person
from mmgen.synth.pose import REST
from mmgen.synth.skeleton import BONE, Skeleton, pose_skeleton


class Figure(Protocol):
    """A person in a pose; world frame, metres. Parts are bits, see `parts`."""

    @property
    def skeleton(self) -> Skeleton:
        """Bones in the pose."""

    @property
    def hems(self) -> tuple[float, ...]:
        """Heights over the hips, along the pelvis, where skirts and coats end."""

    def rest_joints(self, names: tuple[str, ...]) -> np.ndarray:
        """[J, 3] joints of the template when the person stands as the template does."""

    def held_m(self, name: str) -> float:
        """How far what a hand holds reaches from its wrist; 0 for empty hands."""

    def exits(self, wanted: np.ndarray, starts: np.ndarray, directions: np.ndarray, longest: float) -> np.ndarray:
        """[N] how far rays go until they leave the parts wanted for each; NaN where they meet none."""

    def distances(self, wanted: np.ndarray, points: np.ndarray) -> np.ndarray:
        """[N] distances of points to the parts wanted for each; negative inside."""


class SolidFigure:
    """A person made of solids."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._parts = solid_parts(person.packed)
        axes = person.skeleton.axes[0, 0]
        self._plane = np.array([*axes, axes @ person.skeleton.origin[0]])

    @property
    def skeleton(self) -> Skeleton:
        """Bones in the pose."""
        return self._person.skeleton

    @property
    def hems(self) -> tuple[float, ...]:
        """Heights over the hips where skirts and coats end."""
        ends = (float(np.asarray(self._person.paint.style)[name]) for name in ("skirt_y", "coat_y"))
        return tuple(end for end in ends if end < 0)

    def rest_joints(self, names: tuple[str, ...]) -> np.ndarray:
        """[J, 3] joints of the person at rest."""
        return joint_places(pose_skeleton(self._person.identity.build, REST), names)

    def held_m(self, name: str) -> float:
        """How far what a hand holds reaches from its wrist."""
        bone, skeleton = BONE[TURNED_WITH[name]], self.skeleton
        return carried_reach_m(self._person.packed, bone, skeleton.origin[bone], -skeleton.axes[bone, 1])

    def exits(self, wanted: np.ndarray, starts: np.ndarray, directions: np.ndarray, longest: float) -> np.ndarray:
        """[N] how far rays go until they leave the solids of the parts wanted."""
        return ray_exits(self._person.packed, self._parts, self._plane, wanted, starts, directions, longest)

    def distances(self, wanted: np.ndarray, points: np.ndarray) -> np.ndarray:
        """[N] distances of points to the solids of the parts wanted."""
        return part_distances(self._person.packed, self._parts, self._plane, wanted, points)
