"""Stances that people are brought into by their skeletons: as in a photo, at rest, or in the middle of a walk."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mmgen.assets.asset import Asset, place_on_ground
from mmgen.assets.motions import walking
from mmgen.assets.rig import Floats, Rig

StanceKind = Literal["clothes", "rest", "walk"]

OF_THE_PHOTO = ("camera", "placement")
"""Provenance that is true of a mesh in its photo's pose alone."""


@dataclass(frozen=True)
class Stance:
    """How somebody in another's clothes stands.

    Attributes:
        kind: `clothes`: as in the photo of the clothes; `rest`: as the template does, arms a little out; `walk`: at a
            phase of a walk.
        phase: 0..1 of the walk; 0 is the left heel's strike, 0.5 the right one's.
    """

    kind: StanceKind
    phase: float = 0.0

    def rotations(self, body: Rig, clothes: Rig) -> Floats:
        """[J, 3, 3] of each joint against its parent, as of `mmgen.assets.rig.Motion`."""
        match self.kind:
            case "clothes":
                return clothes.local_rotations()
            case "rest":
                return np.tile(np.eye(3), (len(body.names), 1, 1))
            case "walk":
                return walking(body, [self.phase])[0][0]

    @property
    def label(self) -> str:
        """As the command line and provenance say it."""
        return f"walk:{self.phase:g}" if self.kind == "walk" else self.kind


def brought_into(asset: Asset, rig: Rig, rotations: Floats) -> Asset:
    """The asset in another pose, as large as before, on the ground with the pivot between its feet.

    Args:
        rig: of the asset.
        rotations: [J, 3, 3], as from `Stance.rotations`.
    """
    moved = rig.posed(asset.vertices, rotations[None], rig.places[:1])[0]
    provenance = {key: value for key, value in asset.provenance.items() if key not in OF_THE_PHOTO}
    vertices = place_on_ground(moved, float(np.ptp(moved[:, 1])))
    return replace(asset, vertices=vertices, provenance=provenance, rig=None)
