"""Fit an encoder's answer to its photo through the renderer: first the camera, a little, then the shape with it.

The photo shows one side. What it cannot show stays as the encoder said: silhouettes move points across the picture,
never along the line of sight, and smoothed gradients move neighbours alike, so that a limb goes as a whole, back side
included. The texture is not optimised: `recon.texturing.blend` takes it from the photo anew once the shape has moved.
docs/notes/refinement.md says why. Images of a batch share time only; each result is independent of what else is in
the batch.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recon.camera import project_camera, transform_points, world_to_camera
from recon.fitting.descent import Descent, SurfaceSmoother
from recon.fitting.outline import (
    OutlineTarget,
    Pull,
    even_pull,
    nearest_vertices,
    outline_target,
    outside_energy,
    pull_energy,
    silhouettes,
    uncovered_pull,
)
from recon.fitting.stretch import EdgeStretch
from recon.geometry import uniform_laplacian
from recon.metrics import mask_iou
from recon.render import RenderSettings
from recon.structures import Attributes, Camera, Sample
from recon.template import Template

_REFRESH_EVERY = 5
_IOU_WEIGHT = 20.0
_CAMERA_MEAN, _CAMERA_SQUARE = 0.8, 0.95


@dataclass(frozen=True)
class RefineConfig:
    """How to refine.

    Attributes:
        steps: steps through the renderer; 0 leaves everything as it is.
        camera_share: share of the steps that move the camera alone.
        softness: (sigmainv, boxlen) of the soft mask over equal shares of the steps. The last one is sharper than the
            renderer's own: a soft silhouette fits best when the mesh is smaller than the person and torn by slits.
        step_size: longest vertex step at the start, template units; falls to a tenth.
        camera_step: step of the camera at the start, as a share of its reach; falls to a tenth.
        smoothing: strengths of the gradient smoother over equal shares of the steps.
        roughness: weight of the squared Laplacian of what the vertices moved.
        stretching: weight of edges that are far longer than the prototype's: skin between a raised arm and the trunk.
        turn_deg, tilt_deg: furthest that azimuth and elevation may move.
        stretch: furthest that the distance may move, as a share of it.
        slide: furthest that the offset may move, template units.
    """

    steps: int = 60
    camera_share: float = 0.08
    softness: tuple[tuple[float, float], ...] = ((3000.0, 0.035), (7000.0, 0.02), (17000.0, 0.014))
    step_size: float = 0.035
    camera_step: float = 0.08
    smoothing: tuple[float, ...] = (6.0, 1.5, 0.4, 0.1, 0.05)
    roughness: float = 0.5
    stretching: float = 0.001
    turn_deg: float = 4.0
    tilt_deg: float = 3.0
    stretch: float = 0.15
    slide: float = 0.1


@torch.enable_grad()  # callers often predict under no_grad
def refine_shape(
    attributes: Attributes,
    sample: Sample,
    prototype: Template,
    config: RefineConfig = RefineConfig(),
    smoother: SurfaceSmoother | None = None,
) -> Attributes:
    """Move cameras and offsets until the silhouettes are the masks; texture, light and background stay.

    Args:
        sample: the photos that it answered; no mask may be empty.
        prototype: what the offsets start from.
        smoother: `SurfaceSmoother(prototype, config.smoothing)` from an earlier call; None builds one.
    """
    if config.steps == 0:
        return attributes
    smoother = smoother or SurfaceSmoother(prototype, config.smoothing)
    target = outline_target((sample.mask > 0.5).to(sample.mask.dtype), prototype)
    start = (prototype.vertices + attributes.offsets).detach()
    drift, descent, vertices = _Drift.start(attributes.camera, config), Descent.start(start), start
    best = _Best.start(start, drift.moved)
    pull = even_pull(target)
    stretch = EdgeStretch(prototype)
    for step in range(config.steps):
        share = step / config.steps
        vertices, moved = vertices.detach().requires_grad_(), drift.moved.detach().requires_grad_()
        ndc, in_camera = _project(vertices, drift.cameras(moved), target.size)
        soft, covered = silhouettes(ndc, in_camera, target, _softness(config, step))
        best = best.updated(vertices.detach(), moved.detach(), mask_iou(covered, target.mask))
        if step % _REFRESH_EVERY == 0:
            pull = uncovered_pull(target, covered)
            nearest = nearest_vertices(ndc, pull.points, target)
        rough = uniform_laplacian(vertices - start, prototype.topology).square().sum(dim=(1, 2))
        energy = _energy(ndc, soft, _Pulled(pull, nearest), target)
        energy = energy + config.roughness * rough + config.stretching * stretch.energy(vertices)
        on_vertices, on_camera = torch.autograd.grad(energy.sum(), (vertices, moved))
        drift = drift.after(on_camera, share)
        if share >= config.camera_share:
            descent = descent.after(smoother(on_vertices, share))
            vertices = vertices.detach() + config.step_size * (1 - 0.9 * share) * descent.direction()
    with torch.no_grad():
        _, covered = silhouettes(*_project(vertices, drift.cameras(drift.moved), target.size), target, RenderSettings())
        best = best.updated(vertices.detach(), drift.moved, mask_iou(covered, target.mask))
        cameras = _rounded(drift.cameras(best.moved), vertices)
    return replace(attributes, camera=cameras, offsets=best.vertices - prototype.vertices)


@dataclass(frozen=True)
class _Pulled:
    """Pulling points and, [B, P], the vertices that they pull."""

    pull: Pull
    nearest: Tensor


def _energy(ndc: Tensor, soft: Tensor, pulled: _Pulled, target: OutlineTarget) -> Tensor:
    """[B] how far the silhouettes are from the masks."""
    pulling = pull_energy(ndc, pulled.pull, pulled.nearest, target)
    return _IOU_WEIGHT * (1 - mask_iou(soft, target.mask)) + outside_energy(ndc, target) + pulling


@dataclass(frozen=True)
class _Best:
    """The best state of every image so far: vertices [B, V, 3], camera movement [B, 5], hard IoU [B]."""

    vertices: Tensor
    moved: Tensor
    quality: Tensor

    @staticmethod
    def start(vertices: Tensor, moved: Tensor) -> "_Best":
        return _Best(vertices, moved, vertices.new_full((len(vertices),), -1.0))

    def updated(self, vertices: Tensor, moved: Tensor, quality: Tensor) -> "_Best":
        better = quality > self.quality
        return _Best(
            torch.where(better[:, None, None], vertices, self.vertices),
            torch.where(better[:, None], moved, self.moved),
            torch.where(better, quality, self.quality),
        )


@dataclass(frozen=True)
class _Drift:
    """Cameras that may move a little, with Adam's memory.

    Attributes:
        base: the encoder's cameras.
        config: how far and how fast.
        moved: [B, 5] azimuth, elevation, distance, offset x and y; tanh of it is the share of the reach.
        mean, square: [B, 5] running means of the gradient and its square.
    """

    base: Camera
    config: RefineConfig
    moved: Tensor
    mean: Tensor
    square: Tensor
    taken: int = 0

    @staticmethod
    def start(base: Camera, config: RefineConfig) -> "_Drift":
        zeros = base.offset.new_zeros(len(base), 5)
        return _Drift(base, config, zeros, zeros, zeros)

    def cameras(self, moved: Tensor) -> Camera:
        """Cameras in double precision.

        Vectorised and single elements of tanh, sine and cosine differ in the last bits; those of a double are gone
        once what follows from them is rounded to single precision, so that no camera knows its company.
        """
        by, base, config = torch.tanh(moved.double()), self.base, self.config
        return replace(
            base,
            azimuth_deg=base.azimuth_deg + config.turn_deg * by[:, 0],
            elevation_deg=base.elevation_deg + config.tilt_deg * by[:, 1],
            distance=base.distance * (1 + config.stretch * by[:, 2]),
            offset=base.offset + config.slide * by[:, 3:],
        )

    def after(self, gradient: Tensor, share: float) -> "_Drift":
        """One gradient later."""
        taken = self.taken + 1
        mean = _CAMERA_MEAN * self.mean + (1 - _CAMERA_MEAN) * gradient
        square = _CAMERA_SQUARE * self.square + (1 - _CAMERA_SQUARE) * gradient.square()
        scale = (square / (1 - _CAMERA_SQUARE**taken)).sqrt() + 1e-8
        direction = mean / (1 - _CAMERA_MEAN**taken) / scale
        moved = self.moved - self.config.camera_step * (1 - 0.9 * share) * direction
        return replace(self, moved=moved, mean=mean, square=square, taken=taken)


def _project(vertices: Tensor, cameras: Camera, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    in_camera = transform_points(vertices, world_to_camera(cameras).to(vertices))
    return project_camera(in_camera, cameras.focal, *size), in_camera


def _rounded(cameras: Camera, like: Tensor) -> Camera:
    """Cameras of double precision in that of a tensor."""
    return replace(
        cameras,
        azimuth_deg=cameras.azimuth_deg.to(like),
        elevation_deg=cameras.elevation_deg.to(like),
        distance=cameras.distance.to(like),
        offset=cameras.offset.to(like),
    )


def _softness(config: RefineConfig, step: int) -> RenderSettings:
    stage = min(step * len(config.softness) // config.steps, len(config.softness) - 1)
    sigmainv, boxlen = config.softness[stage]
    return RenderSettings(sigmainv=sigmainv, boxlen=boxlen)
