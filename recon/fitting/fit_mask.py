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
from recon.fitting.descent import BestShape, Descent, SurfaceSmoother
from recon.fitting.outline import (
    OutlineTarget,
    even_pull,
    nearest_vertices,
    outline_target,
    outside_energy,
    pull_energy,
    silhouettes,
    uncovered_pull,
)
from recon.fitting.silhouette import bounding_box_ndc, inflate, sample_field
from recon.geometry import uniform_laplacian, vertex_normals
from recon.metrics import mask_iou
from recon.render import RenderSettings
from recon.structures import DEFAULT_FOCAL, Camera
from recon.template import Template

_REFRESH_EVERY = 5
_IOU_WEIGHT = 20.0
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
        smoother: `SurfaceSmoother(template, config.smoothing)` from an earlier fit; None builds one.

    Raises:
        ValueError: a mask is empty.
    """
    smoother = smoother or SurfaceSmoother(template, config.smoothing)
    target = _build_target(mask, template, config)
    vertices = _stretched(mask, template, target.camera)
    descent, best = Descent.start(vertices), BestShape.start(vertices)
    pull = even_pull(target.outline)
    total = config.align_steps + config.render_steps
    for step in range(total):
        render_step = step - config.align_steps
        vertices = vertices.detach().requires_grad_()
        ndc, in_camera = target.project(vertices)
        energy = torch.zeros_like(best.quality)
        if render_step >= 0:
            soft, covered = silhouettes(ndc, in_camera, target.outline, _softness(config, render_step))
            iou = mask_iou(soft, mask)
            best = best.updated(vertices.detach(), _quality(iou, covered, mask), render_step, config.patience)
            if bool(best.final.all()):
                break
            energy = _IOU_WEIGHT * (1 - iou)
            if render_step % _REFRESH_EVERY == 0:
                pull = uncovered_pull(target.outline, covered)
        if step % _REFRESH_EVERY == 0:
            nearest = nearest_vertices(ndc, pull.points, target.outline)
        energy = energy + _distance_energy(vertices, ndc, target, config)
        energy = energy + pull_energy(ndc, pull, nearest, target.outline)
        (gradient,) = torch.autograd.grad(energy.sum(), vertices)
        share = step / total
        descent = descent.after(smoother(gradient, share))
        vertices = vertices.detach() + config.step_size * (1 - 0.9 * share) * descent.direction()
    shape = best.vertices if config.render_steps else vertices.detach()
    return SilhouetteFit(target.camera, shape - template.vertices)


@dataclass(frozen=True)
class _Target:
    """What the vertices are compared with, per image, and how they are seen."""

    outline: OutlineTarget
    thickness: Tensor
    camera: Camera
    rigid: Tensor
    front: Tensor

    def project(self, vertices: Tensor) -> tuple[Tensor, Tensor]:
        in_camera = transform_points(vertices, self.rigid)
        return project_camera(in_camera, self.camera.focal, *self.outline.size), in_camera


def _build_target(mask: Tensor, template: Template, config: FitConfig) -> _Target:
    camera = frontal_camera(mask, template)
    unit = camera.distance / DEFAULT_FOCAL
    return _Target(
        outline=outline_target(mask, template),
        thickness=unit[:, None, None] * inflate(mask, config.thickness_cap / unit),
        camera=camera,
        rigid=torch.cat([world_to_camera(camera.at(index)) for index in range(len(mask))]),
        front=torch.sign(vertex_normals(template.vertices[None], template.faces)[0, :, 2]),
    )


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


def _distance_energy(vertices: Tensor, ndc: Tensor, target: _Target, config: FitConfig) -> Tensor:
    """[B] vertices and faces outside the mask, missing thickness, roughness of the offsets."""
    template = target.outline.template
    wanted = config.thinnest * sample_field(target.thickness, ndc.detach())
    thin = torch.relu(wanted - vertices[..., 2] * target.front).square().sum(dim=1)
    rough = uniform_laplacian(vertices - template.vertices, template.topology).square().sum(dim=(1, 2))
    return outside_energy(ndc, target.outline) + 0.3 * thin + 0.5 * rough


def _softness(config: FitConfig, render_step: int) -> RenderSettings:
    stage = min(render_step * len(config.softness) // config.render_steps, len(config.softness) - 1)
    sigmainv, boxlen = config.softness[stage]
    return RenderSettings(sigmainv=sigmainv, boxlen=boxlen)


def _quality(iou: Tensor, covered: Tensor, mask: Tensor) -> Tensor:
    """[B] mean of the soft and the hard IoU."""
    return (iou.detach() + mask_iou(covered, mask)) / 2
