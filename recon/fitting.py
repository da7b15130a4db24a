"""Fit the template to photos through the differentiable renderer, without any learned prior.

The camera follows from the mask's bounding box. The vertices then move until the rendered silhouette is the mask,
coarse to fine: first by distances between vertices and mask alone, then through the renderer. A single photo holds no
depth: it stays the template's, carried along by the smooth motion, but seldom thinner than the inflated silhouette.
Images of a batch share time only; each result is independent of what else is in the batch.

Descent runs on smoothed gradients (Nicolet et al., Large Steps in Inverse Rendering of Geometry, 2021): the surface
moves as a whole first and in detail later, and does not fold.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera import project
from recon.geometry import uniform_laplacian, vertex_normals
from recon.metrics import mask_iou
from recon.render import RenderSettings, render_silhouette
from recon.silhouette import bounding_box_ndc, inflate, outside_distance, pixel_centres_ndc, sample_field
from recon.structures import DEFAULT_FOCAL, Camera
from recon.template import Template

_COVERAGE_POINTS = 400
_REFRESH_EVERY = 5
_IOU_WEIGHT = 20.0
_SLIT_WEIGHT = 20.0


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
    softness: tuple[tuple[float, float], ...] = ((3000.0, 0.03), (7000.0, 0.02), (12000.0, 0.016))
    step_size: float = 0.02
    smoothing: tuple[float, ...] = (30.0, 12.0, 5.0, 2.0, 0.8, 0.3)
    thinnest: float = 0.7
    thickness_cap: float = 0.15
    patience: int = 15


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
    """Cameras at azimuth 0 that show the template as high as the mask's bounding box, and centred on it."""
    _, height, width = mask.shape
    left, bottom, right, top = bounding_box_ndc(mask).unbind(dim=1)
    half_height = (template.vertices[:, 1].amax() - template.vertices[:, 1].amin()) / 2
    distance = DEFAULT_FOCAL * half_height / ((top - bottom) / 2)
    unit = distance / DEFAULT_FOCAL
    offset = torch.stack(((left + right) / 2 * unit * width / height, (bottom + top) / 2 * unit), dim=1)
    zeros = torch.zeros_like(distance)
    return Camera(zeros, zeros.clone(), distance, offset)


class SurfaceSmoother:
    """Smooths vertex fields over a template: `(1 + strength L)^-2` with L the graph Laplacian, in a few strengths.

    Building one takes about a second for 1300 vertices; reuse it for every fit of the same template.

    Args:
        template: whose edges carry the smoothing.
        strengths: from coarse to fine.
    """

    def __init__(self, template: Template, strengths: tuple[float, ...]) -> None:
        count = len(template.vertices)
        laplacian = template.vertices.new_zeros(count, count)
        first, second = template.topology.edges.unbind(dim=1)
        laplacian[first, second] = laplacian[second, first] = -1.0
        laplacian.diagonal().copy_(-laplacian.sum(dim=1))
        identity = torch.eye(count, device=laplacian.device)
        inverses = [torch.linalg.inv(identity + strength * laplacian) for strength in strengths]
        self._matrices = [inverse @ inverse for inverse in inverses]

    def __call__(self, field: Float[Tensor, "B V 3"], share: float) -> Float[Tensor, "B V 3"]:
        """Smoothed copy; `share` of the fit that is done, 0..1, picks the strength."""
        matrix = self._matrices[min(int(share * len(self._matrices)), len(self._matrices) - 1)]
        # One product per image: a joint one would round differently in another batch.
        return torch.stack([matrix @ image for image in field])


@dataclass(frozen=True)
class _Descent:
    """Adam with one scale per image (after Nicolet et al. 2021): the longest vertex step is the step size."""

    mean: Tensor
    square: Tensor
    taken: int

    @staticmethod
    def start(vertices: Tensor) -> "_Descent":
        return _Descent(torch.zeros_like(vertices), vertices.new_zeros(len(vertices), 1, 1), 0)

    def after(self, gradient: Tensor) -> "_Descent":
        largest = gradient.square().sum(dim=2).amax(dim=1)[:, None, None]
        return _Descent(0.9 * self.mean + 0.1 * gradient, 0.99 * self.square + 0.01 * largest, self.taken + 1)

    def direction(self) -> Tensor:
        scale = (self.square / (1 - 0.99**self.taken)).sqrt() + 1e-12
        return -self.mean / (1 - 0.9**self.taken) / scale


@dataclass(frozen=True)
class _Target:
    """What the vertices are compared with, per image."""

    mask: Tensor
    outside: Tensor
    thickness: Tensor
    points: Tensor
    camera: Camera
    front: Tensor


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
    vertices = _stretched(template, mask, target.camera)
    descent = _Descent.start(vertices)
    pull = _Pull(target.points, torch.ones_like(target.points[..., 0]))
    best = _Best.start(vertices)
    total = config.align_steps + config.render_steps
    for step in range(total):
        render_step = step - config.align_steps
        vertices = vertices.detach().requires_grad_()
        if step % _REFRESH_EVERY == 0:
            nearest = _nearest_vertices(vertices, pull.points, target)
        energy = _distance_energy(vertices, template, target, config) + _pull_energy(vertices, pull, nearest, target)
        if render_step >= 0:
            soft, covered = _silhouettes(vertices, template, target, _softness(config, render_step))
            iou = mask_iou(soft, target.mask)
            energy = energy + _IOU_WEIGHT * (1 - iou)
            if render_step % _REFRESH_EVERY == 0:
                pull = _uncovered_pull(target, covered)
                nearest = _nearest_vertices(vertices, pull.points, target)
            quality = (iou.detach() + mask_iou(covered, target.mask)) / 2
            best = best.updated(quality, vertices.detach(), render_step, config.patience)
            if bool(best.is_final(render_step, config.patience).all()):
                break
        (gradient,) = torch.autograd.grad(energy.sum(), vertices)
        share = step / total
        descent = descent.after(smoother(gradient, share))
        vertices = vertices.detach() + config.step_size * (1 - 0.9 * share) * descent.direction()
    shape = best.vertices if config.render_steps else vertices.detach()
    return SilhouetteFit(target.camera, shape - template.vertices)


@dataclass(frozen=True)
class _Pull:
    """Mask pixels that want a vertex near: NDC points [B, P, 2] and weights [B, P]."""

    points: Tensor
    weights: Tensor


@dataclass(frozen=True)
class _Best:
    """The best shape of every image so far; final once it has not improved for a while, whatever its neighbours do."""

    vertices: Tensor
    quality: Tensor
    step: Tensor

    @staticmethod
    def start(vertices: Tensor) -> "_Best":
        return _Best(vertices, vertices.new_full((len(vertices),), -1.0), vertices.new_zeros(len(vertices)))

    def is_final(self, step: int, patience: int) -> Tensor:
        return step - self.step > patience

    def updated(self, quality: Tensor, vertices: Tensor, step: int, patience: int) -> "_Best":
        better = (quality > self.quality) & ~self.is_final(step, patience)
        return _Best(
            torch.where(better[:, None, None], vertices, self.vertices),
            torch.where(better, quality, self.quality),
            torch.where(better, torch.full_like(self.step, step), self.step),
        )


def _softness(config: FitConfig, render_step: int) -> RenderSettings:
    stage = min(render_step * len(config.softness) // config.render_steps, len(config.softness) - 1)
    sigmainv, boxlen = config.softness[stage]
    return RenderSettings(sigmainv=sigmainv, boxlen=boxlen)


def _build_target(mask: Tensor, template: Template, config: FitConfig) -> _Target:
    camera = frontal_camera(mask, template)
    unit = camera.distance / DEFAULT_FOCAL
    thickness = unit[:, None, None] * torch.cat(
        [inflate(image[None], config.thickness_cap / float(scale)) for image, scale in zip(mask, unit, strict=True)]
    )
    front = torch.sign(vertex_normals(template.vertices[None], template.faces)[0, :, 2])
    return _Target(mask, outside_distance(mask), thickness, _coverage_points(mask), camera, front)


def _coverage_points(mask: Tensor) -> Tensor:
    """[B, P, 2] NDC centres of mask pixels, evenly thinned to the same number in every image."""
    centres = pixel_centres_ndc(*mask.shape[1:], mask)
    points = []
    for image in mask:
        inside = centres[image > 0.5]
        pick = torch.linspace(0, len(inside) - 1, _COVERAGE_POINTS).round().long()
        points.append(inside[pick])
    return torch.stack(points)


def _stretched(template: Template, mask: Tensor, camera: Camera) -> Tensor:
    """The template made as wide as the mask's bounding box."""
    box = bounding_box_ndc(mask)
    half_width = (box[:, 2] - box[:, 0]) / 2 * mask.shape[2] / mask.shape[1] * camera.distance / DEFAULT_FOCAL
    scale = mask.new_ones(len(mask), 1, 3)
    scale[:, 0, 0] = half_width / template.vertices[:, 0].abs().amax()
    return template.vertices * scale


def _aspect(mask: Tensor) -> Tensor:
    """Turns NDC into units of half the image height."""
    return mask.new_tensor([mask.shape[2] / mask.shape[1], 1.0])


def _nearest_vertices(vertices: Tensor, points: Tensor, target: _Target) -> Tensor:
    """[B, P] index of the vertex nearest to each point on screen."""
    with torch.no_grad():
        ndc, _ = project(vertices, target.camera, *target.mask.shape[1:])
        aspect = _aspect(target.mask)
        # One image at a time: the product's rounding must not depend on the batch.
        return torch.stack([torch.cdist(p * aspect, v * aspect).argmin(1) for p, v in zip(points, ndc, strict=True)])


def _distance_energy(vertices: Tensor, template: Template, target: _Target, config: FitConfig) -> Tensor:
    """[B] vertices and faces outside the mask, missing thickness, roughness of the offsets."""
    ndc, _ = project(vertices, target.camera, *target.mask.shape[1:])
    faces_ndc = ndc[:, template.faces].mean(dim=2)
    outside = sample_field(target.outside, torch.cat((ndc, faces_ndc), dim=1)).square().sum(dim=1)
    wanted = config.thinnest * sample_field(target.thickness, ndc.detach())
    thin = torch.relu(wanted - vertices[..., 2] * target.front).square().sum(dim=1)
    rough = uniform_laplacian(vertices - template.vertices, template.topology).square().sum(dim=(1, 2))
    return 3 * outside + 0.3 * thin + 0.5 * rough


def _pull_energy(vertices: Tensor, pull: _Pull, nearest: Tensor, target: _Target) -> Tensor:
    """[B] squared screen distances from the pulling points to their nearest vertices."""
    close = torch.gather(vertices, 1, nearest[..., None].expand(-1, -1, 3))
    ndc, _ = project(close, target.camera, *target.mask.shape[1:])
    squared = ((pull.points - ndc) * _aspect(target.mask)).square().sum(dim=2)
    return 2 * (squared * pull.weights).sum(dim=1)


def _uncovered_pull(target: _Target, covered: Tensor) -> _Pull:
    """Half of the even points, and mask pixels that the mesh leaves open: thin slits, which the soft mask overlooks."""
    centres = pixel_centres_ndc(*target.mask.shape[1:], target.mask)
    half = _COVERAGE_POINTS // 2
    points, weights = [], []
    for even, image, drawn in zip(target.points, target.mask, covered, strict=True):
        open_pixels = centres[(image > 0.5) & (drawn < 0.5)]
        if len(open_pixels) > half:
            open_pixels = open_pixels[torch.linspace(0, len(open_pixels) - 1, half).round().long()]
        padding = even[:1].expand(half - len(open_pixels), 2)
        points.append(torch.cat((even[::2], open_pixels, padding)))
        weight = even.new_ones(2 * half)
        weight[half:] = _SLIT_WEIGHT
        weight[half + len(open_pixels) :] = 0.0
        weights.append(weight)
    return _Pull(torch.stack(points), torch.stack(weights))


def _silhouettes(
    vertices: Tensor, template: Template, target: _Target, settings: RenderSettings
) -> tuple[Tensor, Tensor]:
    """Soft mask (differentiable) and hard coverage."""
    size = (target.mask.shape[1], target.mask.shape[2])
    ndc, camera_frame = project(vertices, target.camera, *size)
    mask, face_index = render_silhouette(ndc, camera_frame, template.faces, size, settings)
    return mask, (face_index >= 0).to(mask.dtype)
