"""What is known about generated photos, in the template's terms."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from recon.records import Batched
from recon.structures import Camera


@dataclass(frozen=True)
class GroundTruth(Batched):
    """Truth of a batch of photos.

    Attributes:
        mask: [B, H, W] the person without the faults of the photo's own mask, 0..1.
        vertices: [B, V, 3] the template registered on the true surface, world frame, template units.
        texture: [B, 3, h, w] colours without light but as bright as in the photo, any part of the texture's size.
    """

    camera: Camera
    mask: Float[Tensor, "B H W"]
    vertices: Float[Tensor, "B V 3"]
    texture: Float[Tensor, "B 3 h w"]
