"""How sure a difference between two searches is, from resampled queries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
COVERAGE = 0.95
CHUNK_DRAWS = 200


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie.

    Attributes:
        low: lower end of the 95 % interval.
    """

    mean: float
    low: float
    high: float

    @property
    def is_clear_of_zero(self) -> bool:
        """Whether both ends have one sign."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    differences: NDArray[np.float64], groups: NDArray[np.int64] | None = None, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Percentile interval of a mean difference.

    Args:
        differences: [S, Q] of S pairs of runs and Q queries: one minus the other, query by query. Runs are resampled
            with the queries, so that the interval holds for other seeds, too.
        groups: [Q] queries with one number, such as those of one person, are drawn together; None draws each alone.
    """
    runs, queries = differences.shape
    sums, counts = _by_group(differences, np.arange(queries) if groups is None else groups)
    rng = np.random.default_rng(seed)
    means = []
    for start in range(0, draws, CHUNK_DRAWS):
        size = min(CHUNK_DRAWS, draws - start)
        run_weights = rng.multinomial(runs, np.full(runs, 1 / runs), size) / runs
        group_weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size)
        means.append(((run_weights @ sums) * group_weights).sum(axis=1) / (group_weights @ counts))
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(np.concatenate(means), (tail, 1 - tail))
    return Interval(float(differences.mean()), float(low), float(high))


def _by_group(
    differences: NDArray[np.float64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums [S, G] and sizes [G] of the groups."""
    names, numbers = np.unique(groups, return_inverse=True)
    sums = np.stack([np.bincount(numbers, row, len(names)) for row in differences]).astype(np.float64)
    return sums, np.bincount(numbers, minlength=len(names))
