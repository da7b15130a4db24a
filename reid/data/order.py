"""Which photos a batch holds, as a function of (seed, step) alone: a run can go on anywhere, ranks share one order.

Either all photos in random order, as published, or P identities with K photos each ("PK", for metric losses), with an
optional share of virtual people in every batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
        virtual_share: share of virtual people in every batch, photos or identities.
        virtual_extra: virtual photos on top of `photos`; with neither of the two, all photos are in one order.
        seed: random seed of the order.
        virtual_first: batches at the start that hold virtual people alone.
        virtual_steps: batches with virtual people; later ones have real photos alone. None: all of them.
        virtual_fades: the number of virtual people falls to nothing until `virtual_steps`, linearly.
    """

    photos: int
    per_identity: int = 0
    virtual_share: float = 0.0
    virtual_extra: int = 0
    seed: int = 0
    virtual_first: int = 0
    virtual_steps: int | None = None
    virtual_fades: bool = False

    def __post_init__(self) -> None:
        if self.photos < 2 or min(self.per_identity, self.virtual_extra) < 0 or not 0 <= self.virtual_share < 1:
            raise ValueError(
                "photos must be at least 2, per_identity and virtual_extra not negative, "
                "virtual_share in 0..1 (1 excluded)"
            )
        if self.virtual_share and self.virtual_extra:
            raise ValueError("give virtual_share or virtual_extra, not both")
        for count in (self.photos, self.virtual_extra) if self.per_identity else ():
            if count % self.per_identity:
                raise ValueError(f"{count} photos are no multiple of {self.per_identity} per identity")

    @property
    def separates(self) -> bool:
        """Whether real photos and virtual people are drawn apart."""
        return self.virtual_share > 0 or self.virtual_extra > 0

    def shares_at(self, step: int) -> tuple[int, int]:
        """Real and virtual units (photos, or identities with K photos each) of one batch."""
        units = self.photos // (self.per_identity or 1)
        if step < self.virtual_first:
            return 0, units
        if not self.separates or (self.virtual_steps is not None and step >= self.virtual_steps):
            return units, 0
        left = 1.0
        if self.virtual_fades and self.virtual_steps is not None:
            left = 1 - (step - self.virtual_first) / (self.virtual_steps - self.virtual_first)
        if self.virtual_extra:
            return units, round(left * self.virtual_extra / (self.per_identity or 1))
        virtual = min(max(1, round(left * units * self.virtual_share)), units - 1)
        return units - virtual, virtual

    def real_photos(self, steps: int) -> int:
        """Real photos that a run of so many steps looks at; where photos are not drawn apart, all count as real."""
        return (self.per_identity or 1) * sum(self.shares_at(step)[0] for step in range(steps))


class Shuffled:
    """Endless passes over `count` items, each in an order of its own, cut into draws without repeats.

    What is left at the end of a pass and fills no draw is left out; it is another rest in every pass.

    Args:
        count: number of items, at least 1.
        key: key of the randomness.
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

    def _split(self, units: list[Rows], is_virtual: list[bool]) -> tuple[list[Rows], list[Rows]]:
        if not units:
            raise ReidError("no_photos", "there are no photos to train on", "Check the data set folder.")
        if not self._plan.separates:
            return units, []
        real = [unit for unit, made in zip(units, is_virtual, strict=True) if not made]
        virtual = [unit for unit, made in zip(units, is_virtual, strict=True) if made]
        if not real or not virtual:
            raise ReidError(
                "no_virtual",
                f"batches shall hold virtual people, but there are {len(real)} real and {len(virtual)} virtual photos "
                "or identities",
                "Give shards with virtual people, or set batch.virtual_share and batch.virtual_extra to 0.",
            )
        return real, virtual

    def draw(self, step: int) -> Rows:
        """Photos of batch number `step`, [photos]; those of one identity stand together."""
        chosen: list[Rows] = []
        for pool, order, share in zip(self._pools, self._orders, self._plan.shares_at(step), strict=False):
            for number in order.take(step, share).tolist() if share else ():
                chosen.append(self._pick(pool[number], step) if self._plan.per_identity else pool[number])
        return np.concatenate(chosen)

    @property
    def batches_per_pass(self) -> int:
        """Steps after which every real photo was drawn about once."""
        rows = sum(len(rows) for rows in self._pools[0])
        always = replace(self._plan, virtual_first=0, virtual_steps=None, virtual_fades=False)
        return max(1, rows // always.real_photos(1))

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
