"""Wasserstein GAN with gradient penalty (paper section 3, adversarial; Gulrajani et al. 2017)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def critic_loss(fake_scores: Float[Tensor, "*B"], real_scores: Float[Tensor, "*R"]) -> Float[Tensor, ""]:
    """`mean D(fake) - mean D(real)`, which the critic minimises. The fakes must be detached from the encoders."""
    return fake_scores.mean() - real_scores.mean()


def generator_loss(fake_scores: Float[Tensor, "*B"]) -> Float[Tensor, ""]:
    """`-mean D(fake)`, which the encoders minimise."""
    return -fake_scores.mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "B C H W"],
    fake: Float[Tensor, "B C H W"],
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """`mean (|grad D(x)|_2 - 1)^2` at points x mixed uniformly, per sample, from real and fake.

    Args:
        critic: maps [B, C, H, W] to one score per sample.
        real: photos with mask, as the critic sees them.
        fake: drawings with mask; detached here.
        generator: source of the mixing weights; may live on another device than the images.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=generator, device=generator.device).to(real)
    points = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_()
    scores = critic(points)
    (slope,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
