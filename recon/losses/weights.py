"""How the terms add up: effective factors of the plain terms, with the published sub-factors multiplied in."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType


@dataclass(frozen=True)
class LossWeights:
    """Effective factor per loss term; a term with factor 0 need not be computed.

    Attributes:
        image: `image_loss`.
        iou: `mask_iou_loss`.
        contour: `contour_loss`.
        structure: `structure_loss`.
        adversarial: `critic_loss`, `generator_loss` and, times `gradient_penalty`, the penalty.
        gradient_penalty: factor of the penalty inside the critic's loss.
        consistency: `attribute_consistency_loss`.
        mirror: `mirror_loss` with sides and axis 2 (front/back), as published.
        symmetry: `mirror_loss` without sides and axis 0 (left/right).
        laplacian: `laplacian_loss`.
        flatten: `flatten_loss`.
        edge: `edge_loss`.
        deformation: `deformation_loss`.
        depth_rim: `depth_rim_loss`.
        depth_quadratic: `depth_quadratic_loss`.
        identity: `identity_loss`; with truth `turned_view_loss` of `recon.training.supervised`.
        camera, correction, vertices, texels: of truth, where photos have it; see `recon.training.supervised`.
    """

    image: float = 2.0
    iou: float = 2.0
    contour: float = 0.0
    structure: float = 0.0
    adversarial: float = 1e-4
    gradient_penalty: float = 10.0
    consistency: float = 1.0
    mirror: float = 0.1
    symmetry: float = 0.0
    laplacian: float = 0.01
    flatten: float = 0.001
    edge: float = 1e-4
    deformation: float = 0.1
    depth_rim: float = 0.0
    depth_quadratic: float = 0.0
    identity: float = 0.0
    camera: float = 0.0
    correction: float = 0.0
    vertices: float = 0.0
    texels: float = 0.0


_SMALL = LossWeights(adversarial=0.0, flatten=0.002, edge=0.0, depth_rim=0.15)
_TRUTH = LossWeights(
    **{field.name: 0.0 for field in fields(LossWeights) if field.name != "gradient_penalty"}
    | {"image": 4.0, "structure": 0.5, "camera": 1.0, "correction": 0.1, "vertices": 10.0, "texels": 4.0}
)

LOSS_PRESETS: Mapping[str, LossWeights] = MappingProxyType(
    {
        "market": LossWeights(flatten=0.002, depth_rim=0.15),
        "atr": LossWeights(depth_rim=0.15),
        "cub": LossWeights(contour=0.2, depth_quadratic=0.1),
        # Few-minute trainings on a CPU: no critic, published regularisers.
        "small": _SMALL,
        # The same with several views per person, an independent back and a left/right mirror plane.
        "people": replace(_SMALL, mirror=0.0, symmetry=0.05, identity=2.0),
        # Generated people with truth.
        "truth": _TRUTH,
        # Photos without labels beside generated people with truth.
        "adapt": replace(_TRUTH, iou=2.0, consistency=0.5, symmetry=0.02, laplacian=0.01),
    }
)
"""market, atr, cub: the published training runs. small, people, truth, adapt: ours."""
