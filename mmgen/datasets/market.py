"""Market-1501 and the other published re-id data sets: a scan for `mmgen prepare`."""

from pathlib import Path

from mmgen.core.errors import ItemError
from mmgen.core.listing import display_name
from mmgen.core.reid_problems import reid_problems
from mmgen.datasets.structures import Scan, Skip, SourceImage, truth_of, wrong_layout
from reid.data.layouts import EXPECTED, JUNK, Entry, find_layout, refuse_leak


def scan(source: Path, pattern: str = "") -> Scan:
    """List a data set in one of the layouts of `reid.data.layouts`; `source` may also be the folder that holds it.

    Junk images (-1) are left out, distractors (0000) stay in the gallery. Other folders are passed over.

    Raises:
        FatalError: `dataset_layout`; `identity_leak` where someone is in the training set and in query or gallery; as
            from `find_layout`.
    """
    with reid_problems():
        layout = find_layout(source, pattern)
    if layout is None:
        raise wrong_layout(display_name(source), EXPECTED)
    found = [_entry(layout.root, entry) for entry in layout.entries]
    images = tuple(entry for entry in found if isinstance(entry, SourceImage))
    with reid_problems():
        refuse_leak(
            *([str(one.identity) for one in images if (one.split == "train") is side] for side in (True, False))
        )
    missing = sorted({"train", "gallery", "query"} - {image.split for image in images})
    notes = tuple(f"there are no {split} images" for split in missing)
    return Scan(images, tuple(entry for entry in found if isinstance(entry, Skip)), notes)


def _entry(root: Path, entry: Entry) -> SourceImage | Skip:
    name = display_name(entry.relative)
    if entry.identity is None:
        error = ItemError(
            "market_name",
            f"{name} is not named like 0002_c1s1_000451_03.jpg",
            "Rename it, give a --pattern, or use `mmgen prepare folder`.",
        )
        return Skip.failed(name, entry.part, error)
    if entry.identity == JUNK:
        return Skip(entry.relative, entry.part, "filtered", "junk", f"{name} is marked as junk (-1)", "Nothing to do.")
    truth = truth_of(root, entry.relative)
    return SourceImage(entry.path, entry.relative, entry.part, entry.identity, entry.camera, truth=truth)
