"""Who is mixed with whom: a pure function of the listing, the options and the seed.

Randomness comes from SHA-256 and from Python's own generator, whose streams do not change between library versions.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from random import Random
from typing import Any, TypeVar

from mmgen.augment.options import AugmentOptions, MixMode
from mmgen.augment.sources import Source
from mmgen.core.files import sha256_bytes

SCHEMA = "mmgen.augment.plan/2"
Item = TypeVar("Item")

PAIRING_BATCH = 64
"""Photos among which the hardest half is sought, as published."""


@dataclass(frozen=True)
class Pair:
    """A photo and a drawn partner, which may turn out to be of the same person.

    Attributes:
        number: unique; its views' seed comes from it.
        first: index of the photo that lends shape and camera.
        second: index of the photo that was drawn as partner.
    """

    number: int
    first: int
    second: int


@dataclass(frozen=True)
class Outfit:
    """What a virtual person wears; the same in all of their sets.

    Attributes:
        mode: as `MixOptions.mix`.
        own_weight: own weight of a blend: weight of the first parent's texture, 0..1.
        swapped: of regions: "upper" or "lower", the half that the second parent lends.
    """

    mode: MixMode
    own_weight: float | None = None
    swapped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, without what the mode does not have."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class VirtualSet:
    """All views of one mix.

    Attributes:
        partners: indices of the photos whose textures are averaged and mixed in.
        key: key of its samples, without the turn.
    """

    number: int
    first: int
    partners: tuple[int, ...]
    pid: str
    outfit: Outfit
    key: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """What a shard folder will hold.

    Attributes:
        photos: the training photos, sorted by path.
    """

    options: AugmentOptions
    photos: tuple[Source, ...]

    @cached_property
    def sha256(self) -> str:
        """Hash of all that decides the shards, but pixels and weights."""
        return sha256_bytes(json.dumps(self.to_dict(), sort_keys=True).encode())

    def to_dict(self) -> dict[str, object]:
        """As plain JSON values."""
        return {
            "schema": SCHEMA,
            "options": self.options.to_dict(),
            "photos": [asdict(photo) for photo in self.photos],
        }

    @cached_property
    def identities(self) -> tuple[str, ...]:
        """Real people, sorted."""
        return tuple(sorted({photo.pid for photo in self.photos}))

    @cached_property
    def photos_of(self) -> dict[str, tuple[int, ...]]:
        """Indices of every person's photos."""
        found: dict[str, list[int]] = {}
        for index, photo in enumerate(self.photos):
            found.setdefault(photo.pid, []).append(index)
        return {pid: tuple(indices) for pid, indices in found.items()}

    @cached_property
    def _label_width(self) -> int:
        return max(len(pid) for pid in self.identities)

    @property
    def pass_count(self) -> int:
        """How many partners every photo draws."""
        return 2 if self.options.draw.selection == "hardest-half" else 1

    @cached_property
    def candidates(self) -> tuple[Pair, ...]:
        """Every photo with a partner per pass; in a pass each photo is partner once."""
        pairs = []
        for drawn in range(self.pass_count):
            order = _shuffled(range(len(self.photos)), f"{self.options.draw.seed}/partners/{drawn}")
            pairs += [Pair(drawn * len(self.photos) + first, first, second) for first, second in enumerate(order)]
        return tuple(pairs)

    def is_same_person(self, pair: Pair) -> bool:
        """Whether there is nobody to mix with."""
        return self.photos[pair.first].pid == self.photos[pair.second].pid

    def virtual_pid(self, first: int, second: int) -> str:
        """Who lends the body, then who lends clothes, filled up to equal length so that no two pairs share a number.

        The published script puts the smaller label first and so gives one number to two bodies.
        """
        return "".join(self.photos[index].pid.zfill(self._label_width) for index in (first, second))

    def outfit(self, pid: str) -> Outfit:
        """What a virtual person wears: drawn once per person, not per set, so that a number never changes clothes."""
        draw = self.options.draw
        random = Random(_number(f"{draw.seed}/outfit/{pid}"))
        if draw.mix == "regions":
            return Outfit("regions", swapped=random.choice(("upper", "lower")))
        return Outfit("blend", own_weight=round(random.uniform(*draw.own_weight), 6))

    def virtual_set(self, pair: Pair, unusable: frozenset[int] = frozenset()) -> VirtualSet:
        """The set of a pair of different people; photos that are `unusable` lend no texture."""
        first, second = self.photos[pair.first], self.photos[pair.second]
        by_identity = self.options.draw.partners == "identity"
        pid = self.virtual_pid(pair.first, pair.second)
        lenders = self.photos_of[second.pid] if by_identity else (pair.second,)
        name = second.pid if by_identity else second.stem
        return VirtualSet(
            number=pair.number,
            first=pair.first,
            partners=tuple(index for index in lenders if index not in unusable),
            pid=pid,
            outfit=self.outfit(pid),
            key=f"virtual/{pid}/{first.stem}+{name}-{pair.number:06d}",
            seed=_number(f"{self.options.draw.seed}/set/{pair.number}"),
        )


@dataclass(frozen=True)
class ResolvedPlan:
    """A plan after its pairs were chosen."""

    plan: Plan
    pairs: tuple[Pair, ...]
    unusable: frozenset[int] = frozenset()

    @cached_property
    def sets(self) -> tuple[VirtualSet, ...]:
        """What is drawn, in the order of the shards: shuffled, so that any shard is a fair sample of the whole."""
        sets = [
            self.plan.virtual_set(pair, self.unusable)
            for pair in self.pairs
            if not self.plan.is_same_person(pair) and pair.first not in self.unusable
        ]
        return tuple(_shuffled([one for one in sets if one.partners], f"{self.plan.options.draw.seed}/order"))

    @cached_property
    def classes(self) -> dict[str, int]:
        """Class number per label: real people in sorted order, then the virtual ones of the plan in sorted order."""
        virtual = {
            self.plan.virtual_pid(pair.first, pair.second) for pair in self.pairs if not self.plan.is_same_person(pair)
        }
        return {pid: number for number, pid in enumerate([*self.plan.identities, *sorted(virtual)])}

    @property
    def sets_per_shard(self) -> int:
        """Sets in a tar; their views stay together."""
        options = self.plan.options
        return max(1, options.samples_per_shard // len(options.look.turns_deg))

    @cached_property
    def virtual_shards(self) -> tuple[tuple[VirtualSet, ...], ...]:
        """The sets of every virtual tar."""
        return tuple(_blocks(self.sets, self.sets_per_shard))

    @cached_property
    def real_shards(self) -> tuple[tuple[int, ...], ...]:
        """The photos of every real tar, shuffled; none where they were not asked for."""
        if not self.plan.options.with_real:
            return ()
        order = _shuffled(range(len(self.plan.photos)), f"{self.plan.options.draw.seed}/real")
        return tuple(_blocks(order, self.plan.options.samples_per_shard))


def fixed_pairs(plan: Plan) -> tuple[Pair, ...] | None:
    """The pairs where no texture decides; None with `hardest-half`."""
    return plan.candidates if plan.pass_count == 1 else None


def choose_hardest_half(plan: Plan, changes: Sequence[float]) -> tuple[Pair, ...]:
    """Of every 64 photos and both passes the pairs whose texture changes most.

    Each pass gives half of its pairs, as published; of an odd number the first pass gives the greater half, so that
    there are exactly as many pairs as photos.

    Args:
        plan: with `selection` hardest-half.
        changes: per candidate how much the first photo's texture changes; ties go to the earlier one.
    """
    count = len(plan.photos)
    chosen: list[Pair] = []
    for start in range(0, count, PAIRING_BATCH):
        size = min(PAIRING_BATCH, count - start)
        for drawn, keep in enumerate((size - size // 2, size // 2)):
            begin = drawn * count + start
            ranked = sorted(range(begin, begin + size), key=lambda index: (-changes[index], index))
            chosen += [plan.candidates[index] for index in sorted(ranked[:keep])]
    return tuple(sorted(chosen, key=lambda pair: pair.number))


def generator_of(virtual: VirtualSet) -> Random:
    """All randomness of one set."""
    return Random(virtual.seed)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _shuffled(items: Sequence[Item], salt: str) -> list[Item]:
    """In the order of hashes of their positions."""
    order = sorted(range(len(items)), key=lambda position: hashlib.sha256(f"{salt}/{position}".encode()).digest())
    return [items[position] for position in order]


def _blocks(items: Sequence[Item], size: int) -> Iterator[tuple[Item, ...]]:
    for start in range(0, len(items), size):
        yield tuple(items[start : start + size])
