"""What pulls a mesh into a silhouette: mask pixels without a vertex near, vertices and faces outside, slits.

Energies are sums per image, [B]; images of a batch never touch each other.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.fitting.silhouette import outside_distance, pixel_centres_ndc, sample_field
from recon.geometry import SparseMap, face_means
from recon.render import RenderSettings, render_silhouette
from recon.template import Template

_COVERAGE_POINTS = 400
_SLIT_WEIGHT = 20.0


@dataclass(frozen=True)
class OutlineTarget:
    """Silhouettes to reach, and what is worked out from them once.

    Attributes:
        mask: [B, H, W].
        outside: [B, H, W] distance to the mask, units of half the image height.
        points: [B, P, 2] NDC places of mask pixels, evenly spread.
    """

    mask: Float[Tensor, "B H W"]
    outside: Float[Tensor, "B H W"]
    points: Float[Tensor, "B P 2"]
    template: Template
    face_means: SparseMap

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.mask.shape[1], self.mask.shape[2]

    @property
    def aspect(self) -> Float[Tensor, "2"]:
        """Turns NDC into units of half the image height."""
        return self.mask.new_tensor([self.size[1] / self.size[0], 1.0])


def outline_target(mask: Float[Tensor, "B H W"], template: Template) -> OutlineTarget:
    """Prepare silhouettes, 0..1, none of them empty."""
    return OutlineTarget(
        mask=mask,
        outside=outside_distance(mask),
        points=_coverage_points(mask),
        template=template,
        face_means=face_means(template.faces, len(template.vertices)),
    )


@dataclass(frozen=True)
class Pull:
    """Mask pixels that want a vertex near.

    Attributes:
        points: [B, P, 2] NDC.
        weights: [B, P].
    """

    points: Float[Tensor, "B P 2"]
    weights: Float[Tensor, "B P"]


def even_pull(target: OutlineTarget) -> Pull:
    """All of the mask, evenly."""
    return Pull(target.points, torch.ones_like(target.points[..., 0]))


def uncovered_pull(target: OutlineTarget, covered: Float[Tensor, "B H W"]) -> Pull:
    """Half of the even points, and mask pixels that the mesh leaves open: thin slits, which the soft mask overlooks."""
    centres = pixel_centres_ndc(*target.size, target.mask)
    half = _COVERAGE_POINTS // 2
    points, weights = [], []
    for even, image, drawn in zip(target.points, target.mask, covered, strict=True):
        open_pixels = centres[(image > 0.5) & (drawn < 0.5)]
        if len(open_pixels) > half:
            open_pixels = _thinned(open_pixels, half)
        padding = even[:1].expand(half - len(open_pixels), 2)
        points.append(torch.cat((even[::2], open_pixels, padding)))
        weight = even.new_ones(2 * half)
        weight[half:] = _SLIT_WEIGHT
        weight[half + len(open_pixels) :] = 0.0
        weights.append(weight)
    return Pull(torch.stack(points), torch.stack(weights))


def nearest_vertices(
    ndc: Float[Tensor, "B V 2"], points: Float[Tensor, "B P 2"], target: OutlineTarget
) -> Int[Tensor, "B P"]:
    """Index of the vertex nearest to each point on screen."""
    pairs = zip(points * target.aspect, ndc.detach() * target.aspect, strict=True)
    # One image at a time: the product's rounding must not depend on the batch.
    return torch.stack([torch.cdist(wanted, placed).argmin(dim=1) for wanted, placed in pairs])


def pull_energy(
    ndc: Float[Tensor, "B V 2"], pull: Pull, nearest: Int[Tensor, "B P"], target: OutlineTarget
) -> Float[Tensor, " B"]:
    """Squared screen distances from the pulling points to their nearest vertices."""
    close = torch.gather(ndc, 1, nearest[..., None].expand(-1, -1, 2))
    squared = ((pull.points - close) * target.aspect).square().sum(dim=2)
    return 2 * (squared * pull.weights).sum(dim=1)


def outside_energy(ndc: Float[Tensor, "B V 2"], target: OutlineTarget) -> Float[Tensor, " B"]:
    """Squared distances of vertices and face centres from the mask."""
    places = torch.cat((ndc, target.face_means(ndc)), dim=1)
    return 3 * sample_field(target.outside, places).square().sum(dim=1)


def silhouettes(
    ndc: Float[Tensor, "B V 2"], in_camera: Float[Tensor, "B V 3"], target: OutlineTarget, settings: RenderSettings
) -> tuple[Float[Tensor, "B H W"], Float[Tensor, "B H W"]]:
    """Soft mask (differentiable) and hard coverage of projected vertices."""
    mask, face_index = render_silhouette(ndc, in_camera, target.template.faces, target.size, settings)
    return mask, (face_index >= 0).to(mask.dtype)


def _coverage_points(mask: Tensor) -> Tensor:
    """[B, P, 2] NDC centres of mask pixels, evenly thinned to the same number in every image."""
    centres = pixel_centres_ndc(mask.shape[1], mask.shape[2], mask)
    return torch.stack([_thinned(centres[image > 0.5], _COVERAGE_POINTS) for image in mask])


def _thinned(points: Tensor, count: int) -> Tensor:
    return points[torch.linspace(0, len(points) - 1, count, device=points.device).round().long()]
