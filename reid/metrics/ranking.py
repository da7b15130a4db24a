"""Rank-k, mAP and mINP of a search, exactly and within bounded memory.

Rules (Market-1501): for every query, gallery images of the same person *and* camera take no part (junk, like the -1
images that readers leave out); the rest is ranked by distance, ties by their number in the gallery, so that every run
and machine breaks them alike; right are those of the same person. Only as much of a ranking is sorted as its last right
answer needs, and no matrix of all distances is kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

CHUNK_BYTES = 64 << 20
"""Size of the block of distances that is held at a time."""


@dataclass(frozen=True)
class Members:
    """Who is on one side of a search.

    Attributes:
        person: [N] numbers; equal for the same person on both sides.
        camera: [N].
    """

    person: Numbers
    camera: Numbers

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Scores:
    """Figures of every query; queries without a right answer have `first_rank` 0 and zeros.

    Attributes:
        first_rank: [Q] rank of the first right answer, from 1.
        plain_ap: [Q] average precision: mean over right answers of i / rank.
        trapezoid_ap: [Q] the same by the trapezoid rule, as in Market's own code; never larger.
        inverse_penalty: [Q] number of right answers / rank of the last one (Ye et al. 2021).
        tied: [Q] whether right and wrong answers had equal distances: then the gallery's order decided.
    """

    first_rank: Numbers
    plain_ap: NDArray[np.float64]
    trapezoid_ap: NDArray[np.float64]
    inverse_penalty: NDArray[np.float64]
    tied: NDArray[np.bool_]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """[Q] queries that have a right answer at all."""
        return self.first_rank > 0

    def within(self, k: int) -> NDArray[np.float64]:
        """[Q] 1 where a right answer is among the first k, else 0."""
        return (self.valid & (self.first_rank <= k)).astype(np.float64)

    def summary(self, over_all: bool = False) -> dict[str, float]:
        """Means over the queries with a right answer (as torchreid and most others), or over all (as Market's code)."""
        chosen = np.ones(len(self.first_rank), bool) if over_all else self.valid
        if not chosen.any():
            return {name: 0.0 for name in SUMMARY_NAMES}
        rows = (
            *(self.within(k) for k in (1, 5, 10)),
            self.plain_ap,
            self.trapezoid_ap,
            self.inverse_penalty,
        )
        return {name: float(row[chosen].mean()) for name, row in zip(SUMMARY_NAMES, rows, strict=True)}


SUMMARY_NAMES = ("rank1", "rank5", "rank10", "map_plain", "map_trapezoid", "minp")


def cosine_distances(query: Floats, gallery: Floats, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Floats]:
    """Blocks of rows of 1 - query . gallery, together [Q, G]."""
    rows = max(1, chunk_bytes // (4 * max(1, len(gallery))))
    for start in range(0, len(query), rows):
        yield 1 - query[start : start + rows] @ gallery.T


def score_distances(blocks: Iterator[Floats], query_members: Members, gallery_members: Members) -> Scores:
    """Score a search from blocks of rows of distances, in the order of the queries.

    Args:
        blocks: together [Q, G]; smaller is more alike.

    Raises:
        ReidError: `distances_not_finite`.
    """
    ranks, tied = [], []
    number = 0
    for block in blocks:
        if not np.isfinite(block).all():
            raise ReidError(
                "distances_not_finite",
                f"a distance between query {number} or a later one and the gallery is not a number",
                "The weights or the features are damaged, such as by a training that diverged; train again.",
            )
        for row in block:
            person, camera = query_members.person[number], query_members.camera[number]
            found = _right_ranks(row, gallery_members, int(person), int(camera))
            ranks.append(found[0])
            tied.append(found[1])
            number += 1
    if number != len(query_members):
        raise ValueError(f"{number} rows of distances for {len(query_members)} queries")
    return _scores(ranks, tied)


def _right_ranks(row: Floats, gallery: Members, person: int, camera: int) -> tuple[Numbers, bool]:
    """Ranks of the right answers, from 1, rising; and whether ties had a say."""
    same_person = gallery.person == person
    junk = same_person & (gallery.camera == camera)
    right = same_person & ~junk
    if not right.any():
        return np.zeros(0, np.int64), False
    candidates = np.flatnonzero((row <= row[right].max()) & ~junk)
    distances = row[candidates]
    order = np.argsort(distances, kind="stable")
    is_right, distances = right[candidates][order], distances[order]
    mixed = (distances[1:] == distances[:-1]) & (is_right[1:] != is_right[:-1])
    return np.flatnonzero(is_right) + 1, bool(mixed.any())


def _scores(ranks: list[Numbers], tied: list[bool]) -> Scores:
    first = np.array([found[0] if len(found) else 0 for found in ranks], np.int64)
    figures = np.array([_figures(found) for found in ranks], np.float64).reshape(-1, 3)
    return Scores(first, figures[:, 0], figures[:, 1], figures[:, 2], np.array(tied, bool))


def _figures(ranks: Numbers) -> tuple[float, float, float]:
    """Plain AP, trapezoid AP, inverse negative penalty."""
    if not len(ranks):
        return 0.0, 0.0, 0.0
    number = np.arange(1, len(ranks) + 1)
    precision = number / ranks
    before = np.where(ranks > 1, (number - 1) / np.maximum(ranks - 1, 1), 1.0)
    return float(precision.mean()), float((precision + before).mean() / 2), float(len(ranks) / ranks[-1])


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
