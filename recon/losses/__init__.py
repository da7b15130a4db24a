"""Loss terms: pure functions with the published reductions, one module per kind; `weights` holds how they add up.

Every term is plain: its weight, published halvings and averages over several predictions of one step belong to the
caller.
"""

from recon.losses.adversarial import critic_loss, generator_loss, gradient_penalty
from recon.losses.attributes import attribute_consistency_loss, chamfer_squared
from recon.losses.images import contour_loss, identity_loss, image_loss, mask_iou_loss, structure_loss
from recon.losses.shape import (
    deformation_loss,
    depth_quadratic_loss,
    depth_rim_loss,
    edge_loss,
    flatten_loss,
    laplacian_loss,
    mirror_loss,
    mirror_sides,
)
from recon.losses.weights import LOSS_PRESETS, LossWeights

__all__ = [
    "LOSS_PRESETS",
    "LossWeights",
    "attribute_consistency_loss",
    "chamfer_squared",
    "contour_loss",
    "critic_loss",
    "deformation_loss",
    "depth_quadratic_loss",
    "depth_rim_loss",
    "edge_loss",
    "flatten_loss",
    "generator_loss",
    "gradient_penalty",
    "identity_loss",
    "image_loss",
    "laplacian_loss",
    "mask_iou_loss",
    "mirror_loss",
    "mirror_sides",
    "structure_loss",
]
