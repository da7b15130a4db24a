"""A training step with truth: camera, shape and texture of generated people are known, so each encoder is told.

The camera encoder learns cameras and nothing else. Shape and texture see the photo through the predicted camera, or the
*true* one a little off: neither can hide an error of its own behind a wrong camera. Shapes learn from registered
vertices alone, what corrects a predicted camera from the true one, textures and light from drawings under the exact
camera, and from a side that the photo does not show, compared with the truth drawn from there.
Not in the paper, which has no truth.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from recon.camera import world_to_camera
from recon.encoders import ALL_GROUPS, AttributeEncoder, fixed_statistics
from recon.encoders.alignment import moved
from recon.encoders.camera import CameraPrediction, bin_centres_deg
from recon.losses import LossWeights
from recon.metrics import azimuth_error_deg
from recon.render import RenderSettings, render
from recon.render.scene import Rendering
from recon.structures import Attributes, Camera, Sample, TexturedMesh
from recon.template import Template
from recon.training.config import OptimiserConfig, StepConfig
from recon.training.learner import Learner
from recon.training.step import Batch, GroundTruth, StepReport, TrainProgress, draw, train_step, update
from recon.training.terms import colour_terms, weighted_sum

BIN_SHARPNESS = 30.0
"""Concentration (von Mises) of the azimuth's target over the bins: about one bin to either side."""

BIN_SHARE = 0.5
PLACE_SHARE = 0.3
PLACE_UNITS = (2.0, 0.1, 0.02, 0.02)
"""What counts as one unit of error: elevation in degrees, distance, offset x and y in template units."""

CAMERA_NOISE = (6.0, 2.0, 0.02, 0.01)
"""Standard deviations, as a trained encoder errs: azimuth and elevation in degrees, distance as a share, offset."""

TURNS_DEG = (30.0, 330.0)
"""How far from the photo's azimuth the body is looked at once more."""

ACROSS_VIEW_WEIGHT = 1.0
"""How much the part of a vertex' error across the view counts beside the whole."""

EXACT_SHARE = 0.25
"""Share of photos whose camera is given exactly."""

CORRECTION_UNITS = (2.0, *PLACE_UNITS)
"""What counts as one unit of error of corrected cameras: azimuth in degrees, then as above."""

PREDICTED_SHARE = 0.75
LOST_DEG = 20.0
"""Share of photos whose camera is the predicted one, if its azimuth is not further off than this."""


@dataclass(frozen=True)
class ToldCamera:
    """Cameras that condition the shape and texture encoders, and which of them were predicted."""

    camera: Camera
    is_predicted: Bool[Tensor, " B"]


def training_step(
    learner: Learner, batch: Batch, config: StepConfig, optimiser: OptimiserConfig, moment: TrainProgress
) -> StepReport:
    """One training step, with truth where the batch has it; see `train_step` and `supervised_step`."""
    step = train_step if batch.known is None else supervised_step
    with fixed_statistics(learner.encoder) if config.fixed_statistics else nullcontext():
        return step(learner, batch, config, optimiser, moment)


def supervised_step(
    learner: Learner, batch: Batch, config: StepConfig, optimiser: OptimiserConfig, moment: TrainProgress
) -> StepReport:
    """Learn from one batch with truth: all randomness from the learner, all changes to the learner.

    Args:
        learner: networks and optimisers; changed in place.
        batch: photos with truth, on the learner's device.
        config: weights of the terms; those that compare colours count too, those that compare outlines or
            keep shapes smooth or symmetric do not.

    Raises:
        ValueError: the batch has no truth.
    """
    known = batch.known
    if known is None:
        raise ValueError("a supervised step needs a batch with truth")
    encoder, weights = learner.encoder, config.losses
    terms: dict[str, Tensor] = {}
    if weights.camera:
        terms["camera"] = camera_truth_loss(encoder.predict_camera(batch.sample), known.camera)
    if weights.vertices or _draws(weights):
        told = conditioning_camera(learner, batch.sample, known.camera)
        if weights.vertices:
            terms |= _shape_terms(encoder, batch.sample, known, told, weights)
        if _draws(weights):
            terms |= _colour_terms(learner, batch.sample, known, told.camera, config)

    loss = weighted_sum(terms, weights)
    learner.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm, applied = update(encoder, learner.optimiser, optimiser, moment)
    report: Mapping[str, Tensor] = {f"truth_{name}": term.detach() for name, term in terms.items()}
    return StepReport(report, loss.detach(), norm, None, applied)


def _draws(weights: LossWeights) -> bool:
    """Whether bodies must be painted and drawn: cameras and shapes alone learn several times as fast."""
    return any((weights.image, weights.structure, weights.texels, weights.identity))


def _shape_terms(
    encoder: AttributeEncoder, sample: Sample, known: GroundTruth, told: ToldCamera, weights: LossWeights
) -> dict[str, Tensor]:
    """What every look at a photo says of shapes, and the further ones of cameras."""
    answers = encoder.shape_answers(sample, told.camera)
    bodies = [encoder.prototype_vertices + each.offsets for each in answers]
    errors = [vertices_truth_loss(each, known.vertices, known.camera) for each in bodies]
    terms = {"vertices": torch.stack(errors).mean()}
    if weights.correction and encoder.config.corrects_camera:
        cameras = [moved(told.camera, each.camera_steps) for each in answers[1:]]
        misses = [corrected_camera_loss(each, known.camera, told.is_predicted) for each in cameras]
        terms["correction"] = torch.stack(misses).mean()
    return terms


def _colour_terms(
    learner: Learner, sample: Sample, known: GroundTruth, told: Camera, config: StepConfig
) -> dict[str, Tensor]:
    """Texture and light, seen through the cameras that were told and drawn under the true ones.

    Shapes have their truth; drawings moved them towards what a soft silhouette rewards, which is thinner than anybody
    is.
    """
    encoder, weights = learner.encoder, config.losses
    template = encoder.prototype
    own = encoder.encode_groups(sample, ALL_GROUPS - {"shape"}, told)
    terms: dict[str, Tensor] = {}
    if weights.texels:
        terms["texels"] = texels_truth_loss(own.texture, known.texture)
    settings = RenderSettings(shade_background=config.shade_background)
    painted = replace(own, camera=known.camera)
    # Colours where nothing stands before the person and nothing was added to it.
    drawn = draw(painted, template, sample, settings)
    terms |= colour_terms(drawn, Sample(sample.image, sample.mask * known.mask), weights)
    if weights.identity:
        turned = turned_camera(known.camera, learner.generator)
        terms["identity"] = turned_view_loss(painted, known, template, turned, settings, weights)
    return terms


def turned_camera(camera: Camera, generator: torch.Generator) -> Camera:
    """The cameras, gone round the body by a random angle within `TURNS_DEG`."""
    low, high = TURNS_DEG
    share = torch.rand(len(camera), generator=generator, device=generator.device).to(camera.azimuth_deg)
    return replace(camera, azimuth_deg=camera.azimuth_deg + low + (high - low) * share)


def turned_view_loss(
    own: Attributes,
    known: GroundTruth,
    template: Template,
    camera: Camera,
    settings: RenderSettings,
    weights: LossWeights,
) -> Float[Tensor, ""]:
    """Predicted shape and texture against the true ones, drawn without light from sides that the photos do not show.

    Args:
        own: predictions; camera and light are not used.
    """
    size = (known.mask.shape[1], known.mask.shape[2])

    def seen(vertices: Tensor, texture: Tensor) -> Rendering:
        mesh = TexturedMesh(vertices, template.faces, template.face_uv, texture)
        return render(mesh, camera, size, settings=settings)

    with torch.no_grad():
        truth = seen(known.vertices, known.texture)
    outline = (truth.face_index >= 0).to(truth.mask)
    drawn = seen(template.vertices + own.offsets, own.texture)
    return weighted_sum(colour_terms(drawn, Sample(truth.image, outline), weights), weights)


def camera_truth_loss(predicted: CameraPrediction, true: Camera) -> Float[Tensor, ""]:
    """Error of predicted cameras.

    Squared error of the un-normalised (cos, sin) of the azimuth, cross-entropy to a smooth bump over the bins where
    there are bins, and smooth L1 of elevation, distance and offset in `PLACE_UNITS`.

    Args:
        predicted: with gradient.
    """
    radians = torch.deg2rad(true.azimuth_deg)
    circle = torch.stack((radians.cos(), radians.sin()), dim=1)
    loss = (predicted.azimuth_vector - circle).square().sum(dim=1).mean()
    if predicted.azimuth_logits is not None:
        target = torch.softmax(
            BIN_SHARPNESS * (radians[:, None] - torch.deg2rad(bin_centres_deg(radians))).cos(), dim=1
        )
        loss = loss + BIN_SHARE * functional.cross_entropy(predicted.azimuth_logits, target)
    units = true.distance.new_tensor(PLACE_UNITS)
    error = (_place(predicted.camera) - _place(true)) / units
    return loss + PLACE_SHARE * functional.smooth_l1_loss(error, torch.zeros_like(error)) * len(PLACE_UNITS)


def corrected_camera_loss(corrected: Camera, true: Camera, is_predicted: Bool[Tensor, " B"]) -> Float[Tensor, ""]:
    """Smooth L1 of azimuth, elevation, distance and offset in `CORRECTION_UNITS`, of predicted cameras alone.

    How a camera must be moved back that was put off at random is another lesson than how a predicted one errs.

    Args:
        corrected: with gradient.
        is_predicted: which of them were predicted.
    """
    turn = (corrected.azimuth_deg - true.azimuth_deg + 180).remainder(360) - 180
    error = torch.cat((turn[:, None], _place(corrected) - _place(true)), dim=1) / turn.new_tensor(CORRECTION_UNITS)
    each = functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none").sum(dim=1)
    return (each * is_predicted).sum() / is_predicted.sum().clamp(min=1)


def vertices_truth_loss(
    vertices: Float[Tensor, "B V 3"], true: Float[Tensor, "B V 3"], camera: Camera
) -> Float[Tensor, ""]:
    """Mean distance between corresponding vertices, template units, and once more the part of it across the view.

    A distance pulls as hard whichever way it points, and most of it points along the view, where one photo says least:
    what the photo does show needs a pull of its own.

    Args:
        camera: true cameras, one per body.
    """
    error = (vertices - true) @ world_to_camera(camera)[:, :3, :3].transpose(1, 2)
    return _length(error).mean() + ACROSS_VIEW_WEIGHT * _length(error[..., :2]).mean()


def _length(vectors: Float[Tensor, "B V D"]) -> Float[Tensor, "B V"]:
    return vectors.square().sum(dim=2).add(1e-8).sqrt()


def texels_truth_loss(texture: Float[Tensor, "B 3 H W"], true: Float[Tensor, "B 3 h w"]) -> Float[Tensor, ""]:
    """Mean absolute colour error at the resolution of the truth, front and back alike.

    Raises:
        ValueError: the truth's resolution is no whole part of the texture's.
    """
    factor = texture.shape[2] // true.shape[2]
    if (true.shape[2] * factor, true.shape[3] * factor) != tuple(texture.shape[2:]):
        raise ValueError(f"true texels {list(true.shape[2:])} are no whole part of a texture {list(texture.shape[2:])}")
    return (functional.avg_pool2d(texture, factor) - true).abs().mean()


def conditioning_camera(learner: Learner, sample: Sample, true: Camera) -> ToldCamera:
    """What the camera encoder says of most photos, wherever it is not lost, and the truth, a little off, of the
    others."""
    encoder, generator = learner.encoder, learner.generator
    unsure = jittered_camera(true, generator)
    with torch.no_grad(), fixed_statistics(encoder):
        predicted = encoder.predict_camera(sample).camera
    is_near = azimuth_error_deg(predicted.azimuth_deg, true.azimuth_deg) < LOST_DEG
    chosen = is_near & (torch.rand(len(true), generator=generator, device=generator.device) < PREDICTED_SHARE).to(
        is_near.device
    )
    camera = replace(
        true,
        azimuth_deg=torch.where(chosen, predicted.azimuth_deg, unsure.azimuth_deg),
        elevation_deg=torch.where(chosen, predicted.elevation_deg, unsure.elevation_deg),
        distance=torch.where(chosen, predicted.distance, unsure.distance),
        offset=torch.where(chosen[:, None], predicted.offset, unsure.offset),
    )
    return ToldCamera(camera, chosen)


def jittered_camera(camera: Camera, generator: torch.Generator) -> Camera:
    """The cameras, most of them a little off (`CAMERA_NOISE`), as a predicted camera is."""

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=generator.device).to(camera.distance)

    count = len(camera)
    unsure = (torch.rand(count, generator=generator, device=generator.device) >= EXACT_SHARE).to(camera.distance)
    azimuth, elevation, distance, offset = CAMERA_NOISE
    return replace(
        camera,
        azimuth_deg=camera.azimuth_deg + azimuth * unsure * noise(count),
        elevation_deg=camera.elevation_deg + elevation * unsure * noise(count),
        distance=camera.distance * (1 + distance * unsure * noise(count)),
        offset=camera.offset + offset * unsure[:, None] * noise(count, 2),
    )


def _place(camera: Camera) -> Float[Tensor, "B 4"]:
    return torch.cat((camera.elevation_deg[:, None], camera.distance[:, None], camera.offset), dim=1)
