"""Registration: one template bent onto many scanned or generated surfaces, so that vertices correspond between them.

Matches points both ways by place and normal, moves the template to the matches through a smoothing operator, and lets
the smoothing fade: a non-rigid ICP after Amberg, Romdhani and Vetter, "Optimal Step Nonrigid ICP" (2007), with one
linear map per stiffness that is factorised once for all surfaces.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from recon.geometry import face_normals, sample_surface
from recon.template import Template

Features = NDArray[np.float32]
"""[N, 6] places and normals, the latter weighted: rows that are near each other match."""

BLOCK_ROWS = 128


@dataclass(frozen=True)
class RegistrationConfig:
    """How to register.

    Attributes:
        stiffness: of each round, from stiff to soft; factor of the squared graph Laplacian.
        cell: samples that share a cube of this side and face the same way become one, template units: evenly spread
            points let vertices slide along the surface half as much from one draw to the next.
        normal_length: weight of normals beside places, template units: two opposite normals count as twice that far.
        strides: starts that are tried: how far the lower half of the template is sheared along z, the two sides of
            x = 0 opposite ways, template units at the soles. A long step is out of reach for a body that stands.
        trial_rounds: rounds after which the best start is kept.
        trial_stride: every so manyth point takes part in a trial.
    """

    stiffness: tuple[float, ...] = (300.0, 60.0, 15.0, 4.0, 1.2, 0.4)
    steps: int = 4
    samples: int = 12800
    cell: float = 0.06
    normal_length: float = 0.12
    strides: tuple[float, ...] = (0.0, 0.3, -0.3)
    trial_rounds: int = 2
    trial_stride: int = 2


class Registration:
    """Bends a template onto surfaces; building one costs a second, each surface a tenth of that."""

    def __init__(self, template: Template, config: RegistrationConfig = RegistrationConfig()) -> None:
        self._config = config
        count = len(template.vertices)
        laplacian = torch.zeros(count, count, dtype=torch.float64)
        first, second = template.topology.edges.unbind(dim=1)
        laplacian[first, second] = laplacian[second, first] = -1.0
        laplacian.diagonal().copy_(-laplacian.sum(dim=1))
        frequencies, modes = torch.linalg.eigh(laplacian)
        self._smoothers = [
            ((modes / (1 + stiffness * frequencies.square())) @ modes.T).float().numpy()
            for stiffness in config.stiffness
        ]
        self._rest = template.vertices.numpy()
        self._faces = template.faces.numpy()
        corners, face_count = self._faces.ravel(), len(self._faces)
        owners = np.repeat(np.arange(face_count), 3)
        self._face_sums = csr_array((np.ones(len(corners), np.float32), (corners, owners)), shape=(count, face_count))
        self._starts = [_striding(template, stride).numpy() for stride in config.strides]

    def __call__(
        self, vertices: Float[Tensor, "N 3"], faces: Int[Tensor, "F 3"], generator: torch.Generator
    ) -> Float[Tensor, "V 3"]:
        """Template vertices on a surface that is already in the template's place, size and orientation.

        Args:
            vertices: vertices of the surface, world frame, template units.
            faces: faces of the surface, counter-clockwise from outside.
        """
        points, owner = sample_surface(vertices.double(), faces, self._config.samples, generator)
        normals = face_normals(vertices[None].double(), faces)[0, owner]
        features = _evenly_spread(points.numpy(), normals.numpy(), self._config.cell)
        features[:, 3:] *= self._config.normal_length
        trial_rounds = self._config.trial_rounds
        coarse = features[:: self._config.trial_stride]
        trials = [self._bent(start, coarse, 0, trial_rounds) for start in self._starts]
        moved = min(trials, key=lambda trial: self._misfit(trial, coarse))
        return torch.from_numpy(self._bent(moved, features, trial_rounds, len(self._smoothers)))

    def _bent(self, moved: NDArray[np.float32], surface: Features, first: int, last: int) -> NDArray[np.float32]:
        """After the rounds `first` to `last`."""
        for smoother in self._smoothers[first:last]:
            for _ in range(self._config.steps):
                moved = self._rest + smoother @ (self._matches(moved, surface) - self._rest)
        return moved

    def _misfit(self, moved: NDArray[np.float32], surface: Features) -> float:
        """Mean distance of matches, both ways."""
        features = self._features(moved)
        there = surface[_nearest(features, surface)] - features
        back = features[_nearest(surface, features)] - surface
        return float(sum(np.linalg.norm(side, axis=1).mean() for side in (there, back)))

    def _features(self, moved: NDArray[np.float32]) -> Features:
        """[V, 6] vertices and their weighted normals."""
        a, b, c = (moved[self._faces[:, corner]] for corner in range(3))
        normals = self._face_sums @ np.cross(b - a, c - a)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        return np.concatenate((moved, self._config.normal_length * normals / np.maximum(lengths, 1e-12)), axis=1)

    def _matches(self, moved: NDArray[np.float32], surface: Features) -> NDArray[np.float32]:
        """[V, 3] where each vertex should go: the mean of its own nearest point and of the points nearest to it."""
        features, points = self._features(moved), surface[:, :3]
        there, nearest = points[_nearest(features, surface)], _nearest(surface, features)
        count = np.bincount(nearest, minlength=len(moved))[:, None]
        pulled = np.stack([np.bincount(nearest, axis, len(moved)) for axis in points.T], axis=1)
        met = (there + pulled / np.maximum(count, 1)) / 2
        return np.where(count > 0, met, there).astype(np.float32)


def _evenly_spread(points: NDArray[np.float64], normals: NDArray[np.float64], cell: float) -> Features:
    """Mean place and unit normal of the points in every cube of a grid, apart for normals of different octants."""
    keys = np.concatenate((np.floor(points / cell), normals > 0), axis=1).astype(np.int64)
    keys -= keys.min(axis=0)
    numbers = np.ravel_multi_index(tuple(keys.T), tuple(keys.max(axis=0) + 1))
    _, group, count = np.unique(numbers, return_inverse=True, return_counts=True)
    place, normal = (np.stack([np.bincount(group, axis) for axis in each.T], axis=1) for each in (points, normals))
    lengths = np.linalg.norm(normal, axis=1, keepdims=True)
    return np.concatenate((place / count[:, None], normal / np.maximum(lengths, 1e-12)), axis=1).astype(np.float32)


def _nearest(queries: Features, targets: Features) -> NDArray[np.int64]:
    """[N] row of the nearest target for every query; some rows at a time, whose distances stay in the cache."""
    own = np.concatenate((queries, np.ones((len(queries), 1), np.float32)), axis=1)
    theirs = np.concatenate((-2 * targets, (targets * targets).sum(axis=1, keepdims=True)), axis=1).T
    starts = range(0, len(own), BLOCK_ROWS)
    return np.concatenate([(own[start : start + BLOCK_ROWS] @ theirs).argmin(axis=1) for start in starts])


def _striding(template: Template, stride: float) -> Float[Tensor, "V 3"]:
    """The template's vertices in a step."""
    x, y, z = template.vertices.unbind(dim=1)
    low, high = y.min(), y.max()
    below = (1 - 2 * (y - low) / (high - low)).clamp(min=0)
    return torch.stack((x, y, z + stride * below * x.sign()), dim=1)
