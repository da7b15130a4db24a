"""Which file holds which picture: Market-1501 folders and names, known before anything is drawn."""

from collections.abc import Iterator
from dataclasses import dataclass

from mmgen.core.errors import MmgenError
from mmgen.synth.crowd import CrowdOptions, cameras_of
from mmgen.synth.streams import stream

MAX_IDENTITIES = 9999
"""Names have four digits."""

TRAIN_FOLDER, GALLERY_FOLDER, QUERY_FOLDER = "bounding_box_train", "bounding_box_test", "query"


@dataclass(frozen=True)
class CrowdPlan:
    """A whole data set.

    Attributes:
        identities: Number of people in both splits together.
        test_identities: How many of them are test people.
    """

    identities: int
    test_identities: int
    options: CrowdOptions


@dataclass(frozen=True)
class Entry:
    """One identity of a plan.

    Attributes:
        label: Person number in file names, from 1; test people come after train people.
        split: `train` or `test`.
        index: Number within the split, from 0.
    """

    label: int
    split: str
    index: int


def make_plan(identities: int, test_fraction: float, options: CrowdOptions) -> CrowdPlan:
    """Decide the split.

    Args:
        identities: 1..9999.
        test_fraction: Share of test people, 0..1; rounded to whole people, at least one if > 0.

    Raises:
        MmgenError: `too_few_views`, if there are test people but only one view, which cannot be both query and gallery.
    """
    test = min(identities, max(1, round(identities * test_fraction))) if test_fraction > 0 else 0
    if test and options.views < 2:
        raise MmgenError(
            "too_few_views",
            f"{test} test identities with {options.views} view each have nothing to be matched with",
            "use --views 2 or more, or --test-fraction 0",
        )
    return CrowdPlan(identities, test, options)


def entries(plan: CrowdPlan) -> list[Entry]:
    """All identities of a plan, train people first."""
    train = plan.identities - plan.test_identities
    return [
        Entry(label, "train", label - 1) if label <= train else Entry(label, "test", label - 1 - train)
        for label in range(1, plan.identities + 1)
    ]


def image_paths(plan: CrowdPlan, entry: Entry) -> list[str]:
    """Path of every picture of an identity, relative to the data set, by view number."""
    options = plan.options
    cameras = cameras_of(options, entry.split, entry.index)
    generator = stream(options.seed, entry.split, entry.index, "names")
    sequence, first_frame = int(generator.integers(1, 7)), int(generator.integers(1, 90_000))
    queries = set(_queries(cameras)) if entry.split == "test" else set()
    return [
        f"{_folder(entry.split, view in queries)}/{entry.label:04d}_c{camera}s{sequence}_{first_frame + 25 * view:06d}"
        f"_{0 if view in queries else 1:02d}.jpg"
        for view, camera in enumerate(cameras)
    ]


def _folder(split: str, is_query: bool) -> str:
    if split == "train":
        return TRAIN_FOLDER
    return QUERY_FOLDER if is_query else GALLERY_FOLDER


def _queries(cameras: list[int]) -> Iterator[int]:
    """The first view of every camera that has another one; with two views in all, the first."""
    if len(cameras) == 2:
        yield 0
        return
    for view, camera in enumerate(cameras):
        if cameras.index(camera) == view and cameras.count(camera) > 1:
            yield view


def mask_path(image: str) -> str:
    """Where the mask of an image lies."""
    return f"masks/{image.removesuffix('.jpg')}.png"


def truth_path(image: str) -> str:
    """Where the truth of an image lies."""
    return f"truth/{image.removesuffix('.jpg')}.npz"
