"""Fit the template to photos through the differentiable renderer, without any learned prior.

The camera follows from the mask's bounding box. The vertices then move until the rendered silhouette is the mask,
coarse to fine: first by distances between vertices and mask alone, then through the renderer. A single photo holds no
depth: it stays the template's, carried along by the smooth motion, but seldom thinner than the inflated silhouette.
Images of a batch share time only; each result is independent of what else is in the batch.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera import project_camera, transform_points, world_to_camera
from recon.descent import BestShape, Descent, SurfaceSmoother
from recon.geometry import SparseMap, face_means, uniform_laplacian, vertex_normals
from recon.metrics import mask_iou
from recon.render import RenderSettings, render_silhouette
from recon.silhouette import bounding_box_ndc, inflate, outside_distance, pixel_centres_ndc, sample_field
from recon.structures import DEFAULT_FOCAL, Camera
from recon.template import Template

_COVERAGE_POINTS = 400
_REFRESH_EVERY = 5
_IOU_WEIGHT = 20.0
_SLIT_WEIGHT = 20.0
_WIDEST = 2.5


@dataclass(frozen=True)
class FitConfig:
    """How to fit a silhouette.

    Attributes:
        align_steps: steps on distances alone.
        render_steps: at most so many steps through the renderer; an image stops when its silhouette no longer improves.
        softness: (sigmainv, boxlen) of the soft mask over equal shares of the render steps.
        step_size: longest vertex step at the start, template units; falls to a tenth.
        smoothing: strengths of the gradient smoother over equal shares of the steps.
        thinnest: smallest half-thickness as a share of the inflated silhouette.
        thickness_cap: largest half-thickness that the inflated silhouette asks for, template units.
        patience: render steps without progress after which an image is done.
    """

    align_steps: int = 60
    render_steps: int = 75
    softness: tuple[tuple[float, float], ...] = ((3000.0, 0.03), (7000.0, 0.02), (9000.0, 0.018))
    step_size: float = 0.02
    smoothing: tuple[float, ...] = (30.0, 12.0, 5.0, 2.0, 0.8, 0.3)
    thinnest: float = 0.7
    thickness_cap: float = 0.15
    patience: int = 25


@dataclass(frozen=True)
class SilhouetteFit:
    """Fitted shapes.

    Attributes:
        camera: B frontal cameras.
        offsets: [B, V, 3] from the template, template units.
    """

    camera: Camera
    offsets: Float[Tensor, "B V 3"]


def frontal_camera(mask: Float[Tensor, "B H W"], template: Template) -> Camera:
    """Cameras at azimuth 0 that show the template as high as the mask's bounding box, and centred on it.

    For boxes far wider than the template (a person who lies) they stand nearer, so that no axis is stretched much.

    Raises:
        ValueError: a mask is empty.
    """
    _, height, width = mask.shape
    left, bottom, right, top = bounding_box_ndc(mask).unbind(dim=1)
    centre, half = _centre_and_half_extents(template)
    high = (top - bottom) / 2
    wide = (right - left) / 2 * width / height * half[1] / half[0]
    unit = half[1] / torch.maximum(high, wide / _WIDEST)
    x, y = (left + right) / 2 * unit * width / height, (bottom + top) / 2 * unit
    zeros = torch.zeros_like(unit)
    return Camera(zeros, zeros.clone(), unit * DEFAULT_FOCAL, torch.stack((x - centre[0], y - centre[1]), dim=1))


def fit_silhouette(
    mask: Float[Tensor, "B H W"],
    template: Template,
    config: FitConfig = FitConfig(),
    smoother: SurfaceSmoother | None = None,
) -> SilhouetteFit:
    """Move the template's vertices until its silhouette is the mask.

    Args:
        mask: silhouettes, 0..1, with some margin around the person; 256 x 128 shows limbs well, finer masks cost time.
        template: where to start.
        config: how to fit.
        smoother: `SurfaceSmoother(template, config.smoothing)` from an earlier fit; None builds one.

    Raises:
        ValueError: a mask is empty.
    """
    smoother = smoother or SurfaceSmoother(template, config.smoothing)
    target = _build_target(mask, template, config)
    vertices = _stretched(mask, template, target.camera)
    descent, best = Descent.start(vertices), BestShape.start(vertices)
    pull = _Pull(target.points, torch.ones_like(target.points[..., 0]))
    total = config.align_steps + config.render_steps
    for step in range(total):
        render_step = step - config.align_steps
        vertices = vertices.detach().requires_grad_()
        ndc, in_camera = target.project(vertices)
        energy = torch.zeros_like(best.quality)
        if render_step >= 0:
            soft, covered = _silhouettes(ndc, in_camera, target, _softness(config, render_step))
            iou = mask_iou(soft, target.mask)
            best = best.updated(vertices.detach(), _quality(iou, covered, target), render_step, config.patience)
            if bool(best.final.all()):
                break
            energy = _IOU_WEIGHT * (1 - iou)
            if render_step % _REFRESH_EVERY == 0:
                pull = _uncovered_pull(target, covered)
        if step % _REFRESH_EVERY == 0:
            nearest = _nearest_vertices(ndc, pull.points, target)
        energy = energy + _distance_energy(vertices, ndc, target, config) + _pull_energy(ndc, pull, nearest, target)
        (gradient,) = torch.autograd.grad(energy.sum(), vertices)
        share = step / total
        descent = descent.after(smoother(gradient, share))
        vertices = vertices.detach() + config.step_size * (1 - 0.9 * share) * descent.direction()
    shape = best.vertices if config.render_steps else vertices.detach()
    return SilhouetteFit(target.camera, shape - template.vertices)


@dataclass(frozen=True)
class _Target:
    """What the vertices are compared with, per image, and how they are seen."""

    mask: Tensor
    outside: Tensor
    thickness: Tensor
    points: Tensor
    camera: Camera
    rigid: Tensor
    template: Template
    front: Tensor
    face_means: SparseMap

    @property
    def size(self) -> tuple[int, int]:
        return self.mask.shape[1], self.mask.shape[2]

    @property
    def aspect(self) -> Tensor:
        """Turns NDC into units of half the image height."""
        return self.mask.new_tensor([self.size[1] / self.size[0], 1.0])

    def project(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        in_camera = transform_points(vertices, self.rigid)
        return project_camera(in_camera, self.camera.focal, *self.size), in_camera


def _build_target(mask: Tensor, template: Template, config: FitConfig) -> _Target:
    camera = frontal_camera(mask, template)
    unit = camera.distance / DEFAULT_FOCAL
    return _Target(
        mask=mask,
        outside=outside_distance(mask),
        thickness=unit[:, None, None] * inflate(mask, config.thickness_cap / unit),
        points=_coverage_points(mask),
        camera=camera,
        rigid=torch.cat([world_to_camera(camera.at(index)) for index in range(len(mask))]),
        template=template,
        front=torch.sign(vertex_normals(template.vertices[None], template.faces)[0, :, 2]),
        face_means=face_means(template.faces, len(template.vertices)),
    )


def _coverage_points(mask: Tensor) -> Tensor:
    """[B, P, 2] NDC centres of mask pixels, evenly thinned to the same number in every image."""
    centres = pixel_centres_ndc(mask.shape[1], mask.shape[2], mask)
    return torch.stack([_thinned(centres[image > 0.5], _COVERAGE_POINTS) for image in mask])


def _thinned(points: Tensor, count: int) -> Tensor:
    return points[torch.linspace(0, len(points) - 1, count, device=points.device).round().long()]


def _centre_and_half_extents(template: Template) -> tuple[Tensor, Tensor]:
    low, high = template.vertices.amin(dim=0), template.vertices.amax(dim=0)
    return (low + high) / 2, (high - low) / 2


def _stretched(mask: Tensor, template: Template, camera: Camera) -> Tensor:
    """The template made as wide and high as the mask's bounding box."""
    left, bottom, right, top = bounding_box_ndc(mask).unbind(dim=1)
    unit = camera.distance / DEFAULT_FOCAL
    centre, half = _centre_and_half_extents(template)
    scale = mask.new_ones(len(mask), 1, 3)
    scale[:, 0, 0] = (right - left) / 2 * mask.shape[2] / mask.shape[1] * unit / half[0]
    scale[:, 0, 1] = (top - bottom) / 2 * unit / half[1]
    return centre + (template.vertices - centre) * scale


@dataclass(frozen=True)
class _Pull:
    """Mask pixels that want a vertex near: NDC points [B, P, 2] and weights [B, P]."""

    points: Tensor
    weights: Tensor


def _uncovered_pull(target: _Target, covered: Tensor) -> _Pull:
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
    return _Pull(torch.stack(points), torch.stack(weights))


def _nearest_vertices(ndc: Tensor, points: Tensor, target: _Target) -> Tensor:
    """[B, P] index of the vertex nearest to each point on screen."""
    pairs = zip(points * target.aspect, ndc.detach() * target.aspect, strict=True)
    # One image at a time: the product's rounding must not depend on the batch.
    return torch.stack([torch.cdist(wanted, placed).argmin(dim=1) for wanted, placed in pairs])


def _distance_energy(vertices: Tensor, ndc: Tensor, target: _Target, config: FitConfig) -> Tensor:
    """[B] vertices and faces outside the mask, missing thickness, roughness of the offsets."""
    template = target.template
    places = torch.cat((ndc, target.face_means(ndc)), dim=1)
    outside = sample_field(target.outside, places).square().sum(dim=1)
    wanted = config.thinnest * sample_field(target.thickness, ndc.detach())
    thin = torch.relu(wanted - vertices[..., 2] * target.front).square().sum(dim=1)
    rough = uniform_laplacian(vertices - template.vertices, template.topology).square().sum(dim=(1, 2))
    return 3 * outside + 0.3 * thin + 0.5 * rough


def _pull_energy(ndc: Tensor, pull: _Pull, nearest: Tensor, target: _Target) -> Tensor:
    """[B] squared screen distances from the pulling points to their nearest vertices."""
    close = torch.gather(ndc, 1, nearest[..., None].expand(-1, -1, 2))
    squared = ((pull.points - close) * target.aspect).square().sum(dim=2)
    return 2 * (squared * pull.weights).sum(dim=1)


def _softness(config: FitConfig, render_step: int) -> RenderSettings:
    stage = min(render_step * len(config.softness) // config.render_steps, len(config.softness) - 1)
    sigmainv, boxlen = config.softness[stage]
    return RenderSettings(sigmainv=sigmainv, boxlen=boxlen)


def _silhouettes(ndc: Tensor, in_camera: Tensor, target: _Target, settings: RenderSettings) -> tuple[Tensor, Tensor]:
    """Soft mask (differentiable) and hard coverage."""
    mask, face_index = render_silhouette(ndc, in_camera, target.template.faces, target.size, settings)
    return mask, (face_index >= 0).to(mask.dtype)


def _quality(iou: Tensor, covered: Tensor, target: _Target) -> Tensor:
    """[B] mean of the soft and the hard IoU."""
    return (iou.detach() + mask_iou(covered, target.mask)) / 2
