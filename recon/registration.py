"""Registration: one template bent onto many scanned or generated surfaces, so that vertices correspond between them.

Matches points both ways by place and normal, moves the template to the matches through a smoothing operator, and lets
the smoothing fade: a non-rigid ICP after Amberg, Romdhani and Vetter, "Optimal Step Nonrigid ICP" (2007), with one
linear map per stiffness that is factorised once for all surfaces.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.geometry import SparseMap, face_area_vectors, face_means, face_normals
from recon.solid import sample_surface
from recon.template import Template


@dataclass(frozen=True)
class RegistrationConfig:
    """How to register.

    Attributes:
        stiffness: of each round, from stiff to soft; factor of the squared graph Laplacian.
        steps: matches per round.
        points: samples of the surface.
        normal_length: weight of normals beside places, template units: two opposite normals count as twice that far.
        strides: starts that are tried: how far the lower half of the template is sheared along z, the two sides of
            x = 0 opposite ways, template units at the soles. A long step is out of reach for a body that stands.
        trial_rounds: rounds after which the best start is kept.
        trial_stride: every so manyth sample takes part in a trial.
    """

    stiffness: tuple[float, ...] = (300.0, 60.0, 15.0, 4.0, 1.2, 0.4)
    steps: int = 4
    points: int = 1600
    normal_length: float = 0.12
    strides: tuple[float, ...] = (0.0, 0.3, -0.3)
    trial_rounds: int = 2
    trial_stride: int = 2


class Registration:
    """Bends a template onto surfaces; building one costs a second, each surface a fraction of that.

    Args:
        template: what is bent.
        config: how.
    """

    def __init__(self, template: Template, config: RegistrationConfig = RegistrationConfig()) -> None:
        self._template = template
        self._config = config
        count = len(template.vertices)
        laplacian = torch.zeros(count, count, dtype=torch.float64)
        first, second = template.topology.edges.unbind(dim=1)
        laplacian[first, second] = laplacian[second, first] = -1.0
        laplacian.diagonal().copy_(-laplacian.sum(dim=1))
        frequencies, modes = torch.linalg.eigh(laplacian)
        self._smoothers = [
            ((modes / (1 + stiffness * frequencies.square())) @ modes.T).float() for stiffness in config.stiffness
        ]

        means = face_means(template.faces, count)
        self._face_sums = SparseMap(means.transposed_index, means.transposed_weights, means.index, means.weights)
        self._starts = [_striding(template, stride) for stride in config.strides]

    def __call__(
        self, vertices: Float[Tensor, "N 3"], faces: Int[Tensor, "F 3"], generator: torch.Generator
    ) -> Float[Tensor, "V 3"]:
        """Template vertices on a surface that is already in the template's place, size and orientation.

        Args:
            vertices: of the surface, world frame, template units.
            faces: of the surface, counter-clockwise from outside.
            generator: of the surface samples.
        """
        points, owner = sample_surface(vertices.double(), faces, self._config.points, generator)
        normals = face_normals(vertices[None].double(), faces)[0, owner]
        surface = torch.cat((points, self._config.normal_length * normals), dim=1).float()
        trial_rounds = self._config.trial_rounds
        coarse = surface[:: self._config.trial_stride]
        trials = [self._bent(start, coarse, 0, trial_rounds) for start in self._starts]
        moved = min(trials, key=lambda trial: self._misfit(trial, coarse))
        return self._bent(moved, surface, trial_rounds, len(self._smoothers))

    def _bent(self, moved: Tensor, surface: Tensor, first: int, last: int) -> Tensor:
        """After the rounds `first` to `last`."""
        rest = self._template.vertices
        for smoother in self._smoothers[first:last]:
            for _ in range(self._config.steps):
                moved = rest + smoother @ (self._matches(moved, surface) - rest)
        return moved

    def _misfit(self, moved: Tensor, surface: Tensor) -> float:
        """Mean distance of matches, both ways."""
        squared = _squared_distances(self._features(moved), surface)
        nearest = (squared.amin(dim=1), squared.amin(dim=0))
        return float(sum(side.clamp(min=0).sqrt().mean() for side in nearest))

    def _features(self, moved: Tensor) -> Tensor:
        normals = torch.nn.functional.normalize(
            self._face_sums(face_area_vectors(moved[None], self._template.faces))[0], dim=1
        )
        return torch.cat((moved, self._config.normal_length * normals), dim=1)

    def _matches(self, moved: Tensor, surface: Tensor) -> Tensor:
        """Where each vertex should go: the mean of its own nearest point and of the points nearest to it."""
        squared = _squared_distances(self._features(moved), surface)
        points = surface[:, :3]
        there, nearest = points[_smallest(squared)], _smallest(squared.T)
        count = torch.bincount(nearest, minlength=len(moved))[:, None]
        pulled = torch.zeros_like(moved).index_add_(0, nearest, points) / count.clamp(min=1)
        return torch.where(count > 0, (there + pulled) / 2, there)


def _squared_distances(first: Tensor, second: Tensor) -> Float[Tensor, "N M"]:
    """Between all pairs of rows, by one matrix product."""
    squares = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)
    return torch.addmm(squares, first, second.T, alpha=-2)


def _smallest(values: Tensor) -> Tensor:
    """Column of the smallest value of every row; by numpy, which takes a sixth of torch's time on a CPU."""
    return torch.from_numpy(values.contiguous().numpy().argmin(axis=1))


def _striding(template: Template, stride: float) -> Float[Tensor, "V 3"]:
    """The template's vertices in a step."""
    x, y, z = template.vertices.unbind(dim=1)
    low, high = y.min(), y.max()
    below = (1 - 2 * (y - low) / (high - low)).clamp(min=0)
    return torch.stack((x, y, z + stride * below * x.sign()), dim=1)
