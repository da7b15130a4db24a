"""Which photos a batch holds, as a function of (seed, step) alone: a run can go on anywhere, ranks share one order.

Either all photos in random order, as published, or P identities with K photos each ("PK", for metric losses), with an
optional share of virtual people in every batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.data.photos import Photo
from reid.errors import ReidError

Rows = NDArray[np.int64]

ORDER, VIRTUAL_ORDER, PICK = 11, 12, 13
"""Streams of randomness that must not be equal."""


@dataclass(frozen=True)
class BatchPlan:
    """How batches are drawn.

    Attributes:
        photos: per batch, all processes together.
        per_identity: photos of every identity in a batch (K); 0 draws photos in random order.
        virtual_share: share of virtual people in every batch, photos or identities; 0 puts all photos into one order.
        seed: of the order.
        virtual_steps: batches with virtual people; later ones have real photos alone. None: all of them.
    """

    photos: int
    per_identity: int = 0
    virtual_share: float = 0.0
    seed: int = 0
    virtual_steps: int | None = None

    def __post_init__(self) -> None:
        if self.photos < 2 or self.per_identity < 0 or not 0 <= self.virtual_share < 1:
            raise ValueError("photos must be at least 2, per_identity not negative, virtual_share in 0..1 (1 excluded)")
        if self.per_identity and self.photos % self.per_identity:
            raise ValueError(f"{self.photos} photos are no multiple of {self.per_identity} per identity")


class Shuffled:
    """Endless passes over `count` items, each in an order of its own, cut into draws without repeats.

    What is left at the end of a pass and fills no draw is left out; it is another rest in every pass.

    Args:
        count: number of items, at least 1.
        key: of the randomness.
    """

    def __init__(self, count: int, key: tuple[int, ...]) -> None:
        self._count = count
        self._key = key
        self._passes: dict[int, Rows] = {}

    def take(self, draw: int, length: int) -> Rows:
        """The `length` items of draw number `draw`; items come again only where there are fewer than that."""
        if length > self._count:
            return np.resize(self._pass(draw), length)
        per_pass = self._count // length
        start = draw % per_pass * length
        return self._pass(draw // per_pass)[start : start + length]

    def _pass(self, number: int) -> Rows:
        if number not in self._passes:
            if len(self._passes) > 2:
                self._passes.clear()
            self._passes[number] = np.random.default_rng((*self._key, number)).permutation(self._count)
        return self._passes[number]


class BatchOrder:
    """Draws batches.

    Args:
        photos: to train on.
        plan: how.

    Raises:
        ReidError: `no_photos`, `no_virtual` where a share of virtual people is asked for and there are none.
    """

    def __init__(self, photos: Sequence[Photo], plan: BatchPlan) -> None:
        self._plan = plan
        units = _by_identity(photos) if plan.per_identity else [np.array([row]) for row in range(len(photos))]
        is_virtual = [photos[int(rows[0])].kind == "virtual" for rows in units]
        self._groups = [photo.group for photo in photos]
        real, virtual = self._split(units, is_virtual)
        self._pools = [pool for pool in (real, virtual) if pool]
        keys = ((plan.seed, ORDER), (plan.seed, VIRTUAL_ORDER))
        self._orders = [Shuffled(len(pool), key) for pool, key in zip(self._pools, keys, strict=False)]
        self._shares = self._share_of_pools()

    def _split(self, units: list[Rows], is_virtual: list[bool]) -> tuple[list[Rows], list[Rows]]:
        if not units:
            raise ReidError("no_photos", "there are no photos to train on", "Check the data set folder.")
        if not self._plan.virtual_share:
            return units, []
        real = [unit for unit, made in zip(units, is_virtual, strict=True) if not made]
        virtual = [unit for unit, made in zip(units, is_virtual, strict=True) if made]
        if not real or not virtual:
            raise ReidError(
                "no_virtual",
                f"batch.virtual_share is {self._plan.virtual_share}, but there are {len(real)} real and {len(virtual)} "
                "virtual photos or identities",
                "Give shards with virtual people, or set batch.virtual_share to 0.",
            )
        return real, virtual

    def _share_of_pools(self) -> list[int]:
        units = self._plan.photos // (self._plan.per_identity or 1)
        if len(self._pools) == 1:
            return [units]
        virtual = min(max(1, round(units * self._plan.virtual_share)), units - 1)
        return [units - virtual, virtual]

    def draw(self, step: int) -> Rows:
        """Photos of batch number `step`, [photos]; those of one identity stand together."""
        chosen: list[Rows] = []
        for pool, order, share in zip(self._pools, self._orders, self._shares_at(step), strict=False):
            for number in order.take(step, share).tolist():
                chosen.append(self._pick(pool[number], step) if self._plan.per_identity else pool[number])
        return np.concatenate(chosen)

    def _shares_at(self, step: int) -> list[int]:
        last = self._plan.virtual_steps
        return self._shares if last is None or step < last else [sum(self._shares)]

    @property
    def batches_per_pass(self) -> int:
        """Steps after which every real photo was drawn about once."""
        rows = sum(len(rows) for rows in self._pools[0])
        return max(1, rows // (self._shares[0] * (self._plan.per_identity or 1)))

    def _pick(self, rows: Rows, step: int) -> Rows:
        """K photos of one identity, from as many cameras (or source photos) as there are; again where there are few."""
        rng = np.random.default_rng((self._plan.seed, PICK, step, int(rows[0])))
        groups: dict[str, list[int]] = {}
        for row in rng.permutation(rows).tolist():
            groups.setdefault(self._groups[row], []).append(row)
        waiting = [groups[name] for name in rng.permutation(sorted(groups)).tolist()]
        picked: list[int] = []
        while len(picked) < min(self._plan.per_identity, len(rows)):
            for group in waiting:
                if group:
                    picked.append(group.pop())
        return np.resize(np.array(picked, np.int64), self._plan.per_identity)


def _by_identity(photos: Sequence[Photo]) -> list[Rows]:
    """Rows of every identity, identities sorted."""
    rows: dict[str, list[int]] = {}
    for row, photo in enumerate(photos):
        rows.setdefault(photo.identity, []).append(row)
    return [np.array(rows[name], np.int64) for name in sorted(rows)]


def share_of_rank(rows: Rows, rank: int, processes: int, per_identity: int) -> Rows:
    """The part of a batch that one process works on: whole identities, in order.

    Raises:
        ReidError: `batch_indivisible`.
    """
    unit = per_identity or 1
    if len(rows) % (processes * unit):
        raise ReidError(
            "batch_indivisible",
            f"a batch of {len(rows)} photos ({unit} per identity) cannot be shared by {processes} processes",
            "Change batch.photos, or the number of processes.",
        )
    size = len(rows) // processes
    return rows[rank * size : (rank + 1) * size]
