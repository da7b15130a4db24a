"""Loss terms of one step by name, each unweighted, and their weighted sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon import losses
from recon.geometry import mirror_partners
from recon.losses import LossWeights
from recon.render.scene import Rendering
from recon.structures import Sample
from recon.template import Template

FRONT_BACK, LEFT_RIGHT = 2, 0

Terms = Mapping[str, Tensor]


@dataclass(frozen=True)
class ShapeFrame:
    """What the shape terms need of the template that training started from; later prototypes drift.

    Attributes:
        sides: [V] front (1) or back (-1) of the plane z = 0.
        front_back: [V] mirror partners in that plane.
        left_right: [V] mirror partners in the plane x = 0.
        aspect: image height / width.
    """

    sides: Float[Tensor, " V"]
    front_back: Int[Tensor, " V"]
    left_right: Int[Tensor, " V"]
    aspect: float

    @staticmethod
    def of(template: Template, aspect: float) -> "ShapeFrame":
        """From the first template."""
        vertices = template.vertices
        return ShapeFrame(
            losses.mirror_sides(vertices, FRONT_BACK),
            mirror_partners(vertices, FRONT_BACK),
            mirror_partners(vertices, LEFT_RIGHT),
            aspect,
        )


def data_terms(drawn: Rendering, sample: Sample, weights: LossWeights) -> dict[str, Tensor]:
    """Drawings against their photos."""
    return outline_terms(drawn, sample.mask, weights) | colour_terms(drawn, sample, weights)


def outline_terms(drawn: Rendering, mask: Float[Tensor, "B H W"], weights: LossWeights) -> dict[str, Tensor]:
    """Silhouettes against masks."""
    terms = {}
    if weights.iou:
        terms["iou"] = losses.mask_iou_loss(drawn.mask, mask)
    if weights.contour:
        terms["contour"] = losses.contour_loss(drawn.mask, mask)
    return terms


def colour_terms(drawn: Rendering, sample: Sample, weights: LossWeights) -> dict[str, Tensor]:
    """Colours against photos, where their masks are."""
    terms = {}
    if weights.image:
        terms["image"] = losses.image_loss(drawn.image, sample.image, sample.mask)
    if weights.structure:
        terms["structure"] = losses.structure_loss(drawn.image, sample.image, sample.mask)
    return terms


def shape_terms(
    offsets: Sequence[Float[Tensor, "_ V 3"]], template: Template, frame: ShapeFrame, weights: LossWeights
) -> dict[str, Tensor]:
    """Regularisers, each the mean over the given predictions (of the photos, and of their random mix)."""
    terms: dict[str, list[Tensor]] = {}

    def add(name: str, value: Tensor) -> None:
        terms.setdefault(name, []).append(value)

    for moved in offsets:
        vertices = template.vertices + moved
        if weights.laplacian:
            add("laplacian", losses.laplacian_loss(moved, template.topology))
        if weights.flatten:
            add("flatten", losses.flatten_loss(vertices, template.topology))
        if weights.edge:
            add("edge", losses.edge_loss(vertices, template.topology))
        if weights.deformation:
            add("deformation", losses.deformation_loss(moved))
        if weights.depth_rim:
            add("depth_rim", losses.depth_rim_loss(vertices, frame.sides, frame.aspect))
        if weights.depth_quadratic:
            add("depth_quadratic", losses.depth_quadratic_loss(vertices, frame.sides, frame.aspect))
    return _means(terms)


def mirror_terms(
    offsets: Sequence[Float[Tensor, "_ V 3"]], frame: ShapeFrame, weights: LossWeights
) -> dict[str, Tensor]:
    """Symmetries, each the mean over the given predictions (of the photos, of their mix, and of the mix drawn)."""
    terms: dict[str, list[Tensor]] = {}
    for moved in offsets:
        if weights.mirror:
            term = losses.mirror_loss(moved, frame.front_back, FRONT_BACK, frame.sides)
            terms.setdefault("mirror", []).append(term)
        if weights.symmetry:
            terms.setdefault("symmetry", []).append(losses.mirror_loss(moved, frame.left_right, LEFT_RIGHT))
    return _means(terms)


def weighted_sum(terms: Terms, weights: LossWeights) -> Float[Tensor, ""]:
    """What the optimiser minimises.

    Raises:
        ValueError: no term at all.
    """
    if not terms:
        raise ValueError("a training step needs at least one loss of non-zero weight")
    return torch.stack([getattr(weights, name) * value for name, value in terms.items()]).sum()


def _means(terms: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack(list(values)).mean() for name, values in terms.items()}
