"""What is known about generated photos, in the template's terms."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from recon.records import Batched
from recon.structures import Camera


@dataclass(frozen=True)
class KnownPose(Batched):
    """How the template lies on B people before and after their joints turn.

    Attributes:
        rest: [B, V, 3] vertices at rest, template units, hips at the origin.
        joints: [B, J, 3] in the same frame.
        rotations: [B, J, 3, 3] of each joint against its parent.
    """

    rest: Float[Tensor, "B V 3"]
    joints: Float[Tensor, "B J 3"]
    rotations: Float[Tensor, "B J 3 3"]


@dataclass(frozen=True)
class GroundTruth(Batched):
    """Truth of a batch of photos.

    Attributes:
        mask: [B, H, W] the person without the faults of the photo's own mask, 0..1.
        vertices: [B, V, 3] the template registered on the true surface, world frame, template units.
        texture: [B, 3, h, w] colours without light but as bright as in the photo, any part of the texture's size.
        pose: rest shapes and rotations, where they are known.
    """

    camera: Camera
    mask: Float[Tensor, "B H W"]
    vertices: Float[Tensor, "B V 3"]
    texture: Float[Tensor, "B 3 h w"]
    pose: KnownPose | None = None
