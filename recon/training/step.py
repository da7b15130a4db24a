"""One training step (paper section 3; published order of work: encode, draw, mix, judge, update)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from recon.encoders import untracked_statistics
from recon.encoders.model import over_white
from recon.losses import (
    LossWeights,
    attribute_consistency_loss,
    critic_loss,
    generator_loss,
    gradient_penalty,
    identity_loss,
)
from recon.mixing import identity_pairs, random_azimuths_deg, random_mix, seen_as
from recon.prototype import gathered_more
from recon.render import RenderSettings, render
from recon.render.scene import Rendering
from recon.structures import Attributes, Batched, Camera, Sample, TexturedMesh
from recon.template import Template
from recon.training.config import OptimiserConfig, StepConfig
from recon.training.learner import Learner
from recon.training.parallel import average_gradients
from recon.training.schedule import learning_rate, render_settings, trainable_groups
from recon.training.terms import data_terms, mirror_terms, shape_terms, weighted_sum


@dataclass(frozen=True)
class KnownPose(Batched):
    """How the template lies on B people before and after their joints turn.

    Attributes:
        rest: [B, V, 3] vertices at rest, template units, hips at the origin.
        joints: [B, J, 3] in the same frame.
        rotations: [B, J, 3, 3] of each joint against its parent.
    """

    rest: Float[Tensor, "B V 3"]
    joints: Float[Tensor, "B J 3"]
    rotations: Float[Tensor, "B J 3 3"]


@dataclass(frozen=True)
class GroundTruth(Batched):
    """Truth of a batch of photos.

    Attributes:
        mask: [B, H, W] the person without the faults of the photo's own mask, 0..1.
        vertices: [B, V, 3] the template registered on the true surface, world frame, template units.
        texture: [B, 3, h, w] colours without light but as bright as in the photo, any part of the texture's size.
        pose: rest shapes and rotations, where they are known.
    """

    camera: Camera
    mask: Float[Tensor, "B H W"]
    vertices: Float[Tensor, "B V 3"]
    texture: Float[Tensor, "B 3 h w"]
    pose: KnownPose | None = None


PUBLISHED_SETTINGS = RenderSettings()


@dataclass(frozen=True)
class Batch(Batched):
    """What one step learns from.

    Attributes:
        clean: [B] photos that the prototype may follow; None: all.
        known: truth of the photos, or None.
    """

    sample: Sample
    clean: Bool[Tensor, " B"] | None = None
    known: GroundTruth | None = None


@dataclass(frozen=True)
class TrainProgress:
    """Progress of a training before a step.

    Attributes:
        step: number of the step, from 0.
        step_in_epoch: the same within its epoch.
        progress: share of the training that is done, 0..1.
    """

    step: int
    step_in_epoch: int
    progress: float


@dataclass(frozen=True)
class StepReport:
    """What happened in a step; tensors without gradient, on the training device.

    Attributes:
        terms: every loss term that was computed, unweighted.
        loss: their weighted sum.
        gradient_norm: norm of the whole encoder's gradient, before clipping.
        critic_gap: how much better the critic thinks of photos than of drawings, or None without a critic.
        applied: False when the gradient was not finite and the step was left out.
    """

    terms: Mapping[str, Tensor]
    loss: Float[Tensor, ""]
    gradient_norm: Float[Tensor, ""]
    critic_gap: Float[Tensor, ""] | None
    applied: bool


def train_step(
    learner: Learner, batch: Batch, config: StepConfig, optimiser: OptimiserConfig, moment: TrainProgress
) -> StepReport:
    """Learn from one batch: all randomness from the learner, all changes to the learner.

    Args:
        learner: networks and optimisers; changed in place.
        batch: photos, on the learner's device.
    """
    sample, weights = batch.sample, config.losses
    settings = render_settings(config.soft_mask, moment.progress, config.shade_background)
    groups = trainable_groups(moment.step_in_epoch, config.encoder_loop)
    template = learner.encoder.prototype

    own = learner.encoder.encode_groups(sample, groups)
    _smooth_gradient(own.offsets, learner.smoother)
    drawn = draw(own, template, sample, settings)
    terms = data_terms(drawn, sample, weights)
    terms |= _identity_terms(own, template, sample, settings, learner.generator, weights)

    mix, again = _consistency(learner, own, template, sample, config, moment)
    offsets = [own.offsets] if mix is None else [own.offsets, mix.offsets]
    terms |= shape_terms(offsets, template, learner.frame, weights)
    terms |= mirror_terms(offsets if again is None else [*offsets, again.offsets], learner.frame, weights)
    if mix is not None and again is not None:
        terms["consistency"] = attribute_consistency_loss(again, mix, template.vertices)

    critic_gap = None
    if weights.adversarial:
        fake = _unseen_side(own, template, sample, settings, learner.generator, config.azimuth_margin_deg)
        critic_gap = _train_critic(learner, _judged_photo(own, sample), fake.detach(), weights, optimiser, moment)
        assert learner.critic is not None
        terms["adversarial"] = generator_loss(learner.critic(fake))

    loss = weighted_sum(terms, weights)
    learner.optimiser.zero_grad(set_to_none=True)
    if loss.requires_grad:
        loss.backward()
    norm, applied = update(learner.encoder, learner.optimiser, optimiser, moment)
    learner.prototype = gathered_more(learner.prototype, own.offsets, batch.clean)
    return StepReport({name: term.detach() for name, term in terms.items()}, loss.detach(), norm, critic_gap, applied)


def draw(
    attributes: Attributes, template: Template, sample: Sample, settings: RenderSettings = PUBLISHED_SETTINGS
) -> Rendering:
    """Draw predictions at the size of their photos."""
    vertices = template.vertices + attributes.offsets
    mesh = TexturedMesh(vertices, template.faces, template.face_uv, attributes.texture)
    size = (sample.image.shape[2], sample.image.shape[3])
    return render(
        mesh, attributes.camera, size, light=attributes.light, background=attributes.background, settings=settings
    )


def _smooth_gradient(offsets: Tensor, smoother: Tensor | None) -> None:
    """Let only smooth motion reach the shape encoder: neighbours move together, the surface does not crumple."""
    if smoother is not None and offsets.requires_grad:
        offsets.register_hook(lambda gradient: smoother @ gradient)


def _identity_terms(
    own: Attributes,
    template: Template,
    sample: Sample,
    settings: RenderSettings,
    generator: torch.Generator,
    weights: LossWeights,
) -> dict[str, Tensor]:
    """Shape and texture of one photo under the camera of another photo of the same person."""
    if not weights.identity or sample.identity is None:
        return {}
    source, target = identity_pairs(sample.identity, generator)
    if not len(source):
        return {}
    other = Sample(sample.image[target], sample.mask[target])
    drawn = draw(seen_as(own, source, target), template, other, settings)
    return {"identity": identity_loss(drawn.image, drawn.mask, other.image, other.mask)}


def _consistency(
    learner: Learner, own: Attributes, template: Template, sample: Sample, config: StepConfig, moment: TrainProgress
) -> tuple[Attributes | None, Attributes | None]:
    """A random mix of the predictions, and what the encoders, all of them trainable, make of its drawing."""
    if not config.losses.consistency or moment.step % config.consistency_every:
        return None, None
    count = max(2, round(config.consistency_share * len(sample)))
    mix = random_mix(own.take(slice(count)), learner.encoder.config.ranges, learner.generator)
    with torch.no_grad():
        # The sharpest silhouette, as at the end of the training: a photo's mask has no halo.
        sharp = render_settings(config.soft_mask, 1.0, config.shade_background)
        drawing = draw(mix, template, sample, sharp)
    seen = Sample(drawing.image, drawing.mask)
    if config.track_drawings:
        return mix, learner.encoder.encode_groups(seen)
    with untracked_statistics(learner.encoder):
        return mix, learner.encoder.encode_groups(seen)


def _unseen_side(
    own: Attributes,
    template: Template,
    sample: Sample,
    settings: RenderSettings,
    generator: torch.Generator,
    margin_deg: float,
) -> Tensor:
    """[B, 4, H, W] drawings from random azimuths, as the critic sees them."""
    azimuth_deg = random_azimuths_deg(len(sample), generator, margin_deg).to(own.camera.azimuth_deg)
    turned = replace(own, camera=replace(own.camera, azimuth_deg=azimuth_deg))
    drawn = draw(turned, template, sample, settings)
    return torch.cat((drawn.image, drawn.mask[:, None]), dim=1)


def _judged_photo(own: Attributes, sample: Sample) -> Tensor:
    """[B, 4, H, W] photos for the critic: on white when drawings are."""
    image = over_white(sample.image, sample.mask) if own.background is None else sample.image
    return torch.cat((image, sample.mask[:, None]), dim=1)


def _train_critic(
    learner: Learner,
    real: Tensor,
    fake: Tensor,
    weights: LossWeights,
    optimiser: OptimiserConfig,
    moment: TrainProgress,
) -> Tensor:
    """One step of the critic; returns the gap between its mean scores of photos and of drawings."""
    critic = learner.critic
    if critic is None or learner.critic_optimiser is None:
        raise ValueError("an adversarial weight needs a learner with a critic")
    distance = critic_loss(critic(fake), critic(real))
    penalty = gradient_penalty(critic, real, fake, learner.generator)
    learner.critic_optimiser.zero_grad(set_to_none=True)
    (weights.adversarial * (distance + weights.gradient_penalty * penalty)).backward()
    update(critic, learner.critic_optimiser, replace(optimiser, gradient_clip=0.0), moment)
    return -distance.detach()


def update(
    model: nn.Module, optimiser: torch.optim.Optimizer, config: OptimiserConfig, moment: TrainProgress
) -> tuple[Tensor, bool]:
    """Average over processes, clip, and step unless the gradient is not finite; (norm before clipping, stepped?)."""
    average_gradients(model.parameters())
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip or float("inf"))
    if not bool(norm.isfinite()):
        return norm, False
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(config, group["factor"], moment.step, moment.progress)
    optimiser.step()
    return norm, True
