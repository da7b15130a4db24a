"""Bodies of photos brought into other phases of a walk, so that views of a virtual person differ as photos do."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import torch
from jaxtyping import Float
from torch import Tensor

from mmgen.assets.motions import rotations_of
from mmgen.augment.garments import skin_of
from mmgen.augment.options import PoseSource
from mmgen.core.errors import FatalError
from mmgen.synth.pose import walking_pose
from recon.fitting.joints import fitted_joints, reposed
from recon.template import Template

STRIDES = (0.3, 0.9)
"""From a stroll to just below a brisk walk: long garments that follow the legs hold no longer steps."""

Phase = float | None
"""Phase of the gait, 0..1; None is the pose of the photo."""


def drawn_phases(poses: PoseSource, views: int, random: Random) -> tuple[float, list[Phase]]:
    """A stride, and a phase for each view of a set.

    Phases of a walk lie evenly around the gait, in random order: no two views show the same moment.

    Args:
        poses: `source` leaves every view in the photo's pose and draws nothing; `mixed` every second one by chance.
        views: number of views.
        random: of the set.
    """
    if poses == "source":
        return 0.0, [None] * views
    stride, start = random.uniform(*STRIDES), random.random()
    phases: list[Phase] = [round((start + view / views) % 1, 4) for view in range(views)]
    random.shuffle(phases)
    return stride, [None if poses == "mixed" and random.random() < 0.5 else phase for phase in phases]


class Poser:
    """Moves bodies with the vertices of a template."""

    def __init__(self, template: Template) -> None:
        self._template = replace(template, skin=skin_of(template))

    def __call__(
        self, vertices: Float[Tensor, "V 3"], stride: float, phases: Sequence[Phase]
    ) -> Float[Tensor, "N V 3"]:
        """A body at phases of a walk, its lower foot as low as in the photo.

        Args:
            vertices: in the pose of the photo, on the CPU.
            stride: 1 is a brisk adult's.
            phases: of each result.
        """
        walking = [row for row, phase in enumerate(phases) if phase is not None]
        result = vertices.repeat(len(phases), 1, 1)
        if not walking:
            return result
        skin, fitted = self._template.skin, fitted_joints(vertices, self._template)
        poses = [walking_pose(phase, stride) for phase in phases if phase is not None]
        rotations = torch.from_numpy(rotations_of(poses, skin.names, skin.parents))
        moved = reposed(vertices.double(), skin, fitted, rotations)
        moved[..., 1] += vertices[:, 1].min() - moved[..., 1].min(dim=1, keepdim=True).values
        result[walking] = moved.to(vertices.dtype)
        return result


def check_joints(template: Template, poses: PoseSource) -> None:
    """Refuse poses that a mesh cannot take.

    Raises:
        FatalError: `no_joints`.
    """
    if poses != "source" and skin_of(template).is_rigid:
        raise FatalError(
            "no_joints",
            f"--poses {poses} needs a mesh with joints, and these weights have none",
            "Take --poses source, or other --weights.",
        )
