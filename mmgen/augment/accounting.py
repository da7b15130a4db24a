"""The accounting of a shard folder, in the terms of the paper."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from mmgen.augment.plan import Plan, ResolvedPlan


@dataclass(frozen=True)
class Accounting:
    """Counts that belong together: every set has all views, and every image is real or a view.

    Attributes:
        pairs: pairs of a photo and a partner that was drawn for it.
        same_identity: pairs of one person, skipped; None: known once the hardest half is chosen.
        unusable: pairs without a usable photo on one side, skipped.
        virtual_identities: distinct ordered pairs of people (the paper counts a pair once in either order); None as
            above.
    """

    images: int
    identities: int
    pairs: int
    same_identity: int | None
    unusable: int
    views_per_set: int
    virtual_identities: int | None

    @property
    def sets(self) -> int | None:
        """Mixes that are drawn."""
        return None if self.same_identity is None else self.pairs - self.same_identity - self.unusable

    @property
    def views(self) -> int | None:
        """Virtual images."""
        return None if self.sets is None else self.sets * self.views_per_set

    @property
    def all_images(self) -> int | None:
        """Virtual images and the training photos."""
        return None if self.views is None else self.images + self.views

    @property
    def all_identities(self) -> int | None:
        """Virtual and real people."""
        return None if self.virtual_identities is None else self.identities + self.virtual_identities

    def rows(self) -> Iterator[tuple[str, str, int | None]]:
        """(key, what it counts, count), in the order of the paper's arithmetic."""
        yield "images", "training images", self.images
        yield "identities", "training identities", self.identities
        yield "pairs", "pairs of images", self.pairs
        yield "same_identity", "- skipped: same identity", self.same_identity
        yield "unusable", "- skipped: unusable image", self.unusable
        yield "sets", "= sets", self.sets
        yield "views_per_set", "x views", self.views_per_set
        yield "views", "= virtual images", self.views
        yield "virtual_identities", "virtual identities", self.virtual_identities
        yield "all_images", "images in all", self.all_images
        yield "all_identities", "identities in all", self.all_identities

    def to_dict(self) -> dict[str, int | None]:
        """Counts by key."""
        return {key: count for key, _, count in self.rows()}

    @property
    def is_market(self) -> bool:
        """Whether this is the data set of the paper's figures."""
        return (self.images, self.identities) == (PUBLISHED.images, PUBLISHED.identities)


PUBLISHED = Accounting(
    images=12_936,
    identities=751,
    pairs=12_936,
    same_identity=10,
    unusable=0,
    views_per_set=5,
    virtual_identities=12_240,
)
"""Market-1501 in the paper (section 4.3): 77,566 images of 12,991 identities. The number of skipped pairs follows from
these totals; which pairs they were was drawn at random there, as it is here."""


def account(settled: ResolvedPlan) -> Accounting:
    """Count what a settled plan holds."""
    plan = settled.plan
    same = sum(plan.is_same_person(pair) for pair in settled.pairs)
    return Accounting(
        images=len(plan.photos),
        identities=len(plan.identities),
        pairs=len(settled.pairs),
        same_identity=same,
        unusable=len(settled.pairs) - same - len(settled.sets),
        views_per_set=len(plan.options.look.turns_deg),
        virtual_identities=len({one.pid for one in settled.sets}),
    )


def account_before(plan: Plan) -> Accounting:
    """What is known before textures decide which pairs are taken."""
    return Accounting(
        images=len(plan.photos),
        identities=len(plan.identities),
        pairs=len(plan.photos),
        same_identity=None,
        unusable=0,
        views_per_set=len(plan.options.look.turns_deg),
        virtual_identities=None,
    )


def accounting_of(counts: Mapping[str, int | None]) -> Accounting:
    """From what `Accounting.to_dict` gave."""
    return Accounting(**{field.name: counts[field.name] for field in fields(Accounting)})  # type: ignore[arg-type]
