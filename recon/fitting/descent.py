"""Descent on smoothed gradients (Nicolet et al., Large Steps in Inverse Rendering of Geometry, 2021).

A surface moves as a whole first and in detail later, and does not fold. Everything here treats the images of a batch
apart: what one of them does changes no bit of the others.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from recon.template import Template

_NEGLIGIBLE = 0.003
_COLUMNS = 24
"""Of eight images, three coordinates each."""


class SurfaceSmoother:
    """Smooths vertex fields over a template: `(1 + strength L)^-2` with L the graph Laplacian, in a few strengths.

    Building one takes about half a second for 1300 vertices; reuse it for every fit of the same template.

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
        frequencies, modes = torch.linalg.eigh(laplacian)
        self._factors = [_filter(modes, (1 + strength * frequencies) ** -2) for strength in strengths]

    def __call__(self, field: Float[Tensor, "B V 3"], share: float) -> Float[Tensor, "B V 3"]:
        """Smoothed copy; `share` of the fit that is done, 0..1, picks the strength."""
        factors = self._factors[min(int(share * len(self._factors)), len(self._factors) - 1)]
        columns = field.transpose(0, 1).flatten(1)
        smoothed = []
        # Products always have the same shape, because others round differently: one image's result knows no company.
        for part in columns.split(_COLUMNS, dim=1):
            whole = functional.pad(part, (0, _COLUMNS - part.shape[1]))
            for factor in factors:
                whole = factor @ whole
            smoothed.append(whole[:, : part.shape[1]])
        return torch.cat(smoothed, dim=1).unflatten(1, (len(field), 3)).transpose(0, 1).contiguous()


def _filter(modes: Tensor, gains: Tensor) -> tuple[Tensor, ...]:
    """Matrices whose product, last one first, scales every mode by its gain: two thin ones where few modes survive."""
    kept = gains > _NEGLIGIBLE
    half = modes[:, kept] * gains[kept].sqrt()
    if 2 * half.shape[1] < len(modes):
        return half.T.contiguous(), half
    return ((modes * gains) @ modes.T,)


@dataclass(frozen=True)
class Descent:
    """Adam with one scale per image: the longest vertex step is about one step size.

    Attributes:
        mean: [B, V, 3] running mean of the gradients.
        square: [B, 1, 1] running mean of the largest squared vertex gradient.
    """

    mean: Float[Tensor, "B V 3"]
    square: Float[Tensor, "B 1 1"]
    taken: int

    @staticmethod
    def start(vertices: Float[Tensor, "B V 3"]) -> "Descent":
        """Before the first step."""
        return Descent(torch.zeros_like(vertices), vertices.new_zeros(len(vertices), 1, 1), 0)

    def after(self, gradient: Float[Tensor, "B V 3"]) -> "Descent":
        """One gradient later."""
        largest = gradient.square().sum(dim=2).amax(dim=1)[:, None, None]
        return Descent(0.9 * self.mean + 0.1 * gradient, 0.99 * self.square + 0.01 * largest, self.taken + 1)

    def direction(self) -> Float[Tensor, "B V 3"]:
        """Where to go; vertex steps of length 1 at most, more or less."""
        scale = (self.square / (1 - 0.99**self.taken)).sqrt() + 1e-12
        return -self.mean / (1 - 0.9**self.taken) / scale


@dataclass(frozen=True)
class BestShape:
    """The best shape of every image so far; final once it has not improved for a while.

    Attributes:
        vertices: [B, V, 3].
        quality: [B] of these vertices.
        step: [B] when they were found.
        final: [B] the search is over; nothing changes any more, whatever the other images do.
    """

    vertices: Float[Tensor, "B V 3"]
    quality: Float[Tensor, " B"]
    step: Float[Tensor, " B"]
    final: Bool[Tensor, " B"]

    @staticmethod
    def start(vertices: Float[Tensor, "B V 3"]) -> "BestShape":
        """State before the first evaluation."""
        count = len(vertices)
        never = torch.zeros(count, dtype=torch.bool, device=vertices.device)
        return BestShape(vertices, vertices.new_full((count,), -1.0), vertices.new_zeros(count), never)

    def updated(
        self, vertices: Float[Tensor, "B V 3"], quality: Float[Tensor, " B"], step: int, patience: int
    ) -> "BestShape":
        """After judging the vertices of one step."""
        final = self.final | (step - self.step > patience)
        better = (quality > self.quality) & ~final
        return BestShape(
            torch.where(better[:, None, None], vertices, self.vertices),
            torch.where(better, quality, self.quality),
            torch.where(better, torch.full_like(self.step, step), self.step),
            final,
        )
