"""A whole data set: scan, prepare every image, write the index and the account of what was left out."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import collision_key, sha256_file, write_text_atomic
from mmgen.core.listing import display_name
from mmgen.datasets import atr, cub, folder, market
from mmgen.datasets.index import INDEX_NAME, IndexRow, write_index
from mmgen.datasets.journal import JOURNAL, journal_path, read_journal
from mmgen.datasets.preparing import Outcome, Preparer, Settings, mask_name
from mmgen.datasets.structures import PROFILES, Foreground, Scan, Skip, SourceImage
from mmgen.datasets.upscaling import check_upscaler
from mmgen.masks.structures import MaskSource
from mmgen.work.callbacks import SILENT, RunCallbacks
from mmgen.work.engine import Callbacks, Ending, into_chunks, run_chunks
from mmgen.work.locks import run_lock
from mmgen.work.records import Shard

SKIPPED_NAME = "skipped.jsonl"
SUMMARY_NAME = "dataset.json"
SCHEMA = "mmgen.dataset/1"
CHUNK_IMAGES = 16

FINISHED = Ending()

_SCANNERS: dict[str, Callable[[Path], Scan]] = {
    "market": market.scan,
    "atr": atr.scan,
    "cub": cub.scan,
    "folder": folder.scan,
}


@dataclass(frozen=True)
class PrepareConfig:
    """What to prepare, and how.

    Attributes:
        kind: `market`, `atr`, `cub` or `folder`.
        source: the data set as published; never changed, unless it is `out`.
        out: the data set folder to write; images are copied unless it is `source`.
        masks: where masks are looked for (`market`, `folder`; the others bring their own).
        min_foreground: replaces the published lower limit of the training split; exclusive.
        max_foreground: replaces the upper one; exclusive.
        limit: only so many images, in sorted order.
        upscale: enlarge images and masks by this whole factor.
        upscaler: weights of a super-resolution network that enlarges the images; None: Lanczos.
        pattern: regular expression for file names, see `reid.data.layouts.find_layout`; for `market`.
    """

    kind: str
    source: Path
    out: Path
    masks: MaskSource = field(default_factory=MaskSource)
    min_foreground: float | None = None
    max_foreground: float | None = None
    limit: int | None = None
    upscale: int = 1
    upscaler: Path | None = None
    workers: int = 1
    pattern: str = ""


@dataclass(frozen=True)
class Summary:
    """What became of a data set.

    Attributes:
        images: rows of the index, per split.
        identities: known identities per split.
        clean: clean images in the training split.
        mask_sources: images per mask source.
        filtered: images left out by rule, per rule.
        failed: images with an error, per error class.
        notes: remarks on the data set as a whole.
        skips: every image left out.
        ending: whether and why it ended early.
    """

    images: dict[str, int]
    identities: dict[str, int]
    clean: int
    mask_sources: dict[str, int]
    filtered: dict[str, int]
    failed: dict[str, int]
    notes: tuple[str, ...]
    skips: tuple[Skip, ...] = ()
    ending: Ending = FINISHED

    @property
    def exit_code(self) -> int:
        """0 all good, 3 some images failed, 4 none is usable, 130 interrupted."""
        if self.ending.interrupted:
            return 130
        if not self.images:
            return 4
        return 3 if self.failed or self.ending.fatal else 0

    def as_data(self) -> dict[str, Any]:
        """For JSON: counts and notes."""
        data = asdict(self)
        return {name: value for name, value in data.items() if name not in ("skips", "ending")}


def plan(order: PrepareConfig) -> Scan:
    """List what would be prepared; writes nothing.

    Raises:
        FatalError: `dataset_layout` and others of the scanners; `out_is_source` where images would have to be replaced.
    """
    reader = partial(market.scan, pattern=order.pattern) if order.pattern else _SCANNERS[order.kind]
    scan = _without_collisions(reader(order.source))
    if _in_place(order) and (order.kind == "cub" or order.upscale > 1):
        raise FatalError(
            "out_is_source",
            f"--out {display_name(order.out)} is the source, whose images would change",
            "Choose another.",
        )
    if order.upscaler is not None:
        check_upscaler(order.upscaler)
    return replace(scan, images=scan.images[: order.limit])


def prepare(order: PrepareConfig, listener: RunCallbacks = SILENT) -> Summary:
    """Prepare a data set: copy images, find or make masks, filter, write index, skips and summary.

    The same order gives the same bytes. An interrupted run writes no index; the next one goes on where it stopped.

    Raises:
        FatalError: as from `plan`; another run works in `out`.
    """
    scan = plan(order)
    unreadable = [skip for skip in scan.skips if skip.status == "failed"]
    listener.stage("prepare", len(scan.images) + len(unreadable))
    for skip in unreadable:
        listener.finished(Outcome(skip=skip))
    with run_lock(order.out, Shard()):
        outcomes, ending = _work(scan, order, listener)
        done = [outcome.done for outcome in outcomes if outcome.done]
        rows = sorted((entry.row for entry in done), key=lambda row: row.path)
        skips = [*scan.skips, *(outcome.skip for outcome in outcomes if outcome.skip)]
        notes = (*scan.notes, *_clean_note(rows, PROFILES[order.kind].clean))
        summary = _summary(rows, sorted(skips, key=lambda skip: skip.path), notes, ending)
        if not ending.interrupted and ending.fatal is None:
            _write(order, rows, summary)
            JOURNAL.write(journal_path(order.out), done)
    return summary


def _work(scan: Scan, order: PrepareConfig, listener: RunCallbacks) -> tuple[list[Outcome], Ending]:
    outcomes: list[Outcome] = []
    with JOURNAL.writer(journal_path(order.out)) as journal:

        def deliver(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if outcome.done and not outcome.is_old:
                journal.append(outcome.done)
            listener.finished(outcome)

        def lose(image: SourceImage, error: ItemError) -> None:
            deliver(Outcome(skip=Skip.failed(display_name(image.relative), image.split, error)))

        build = partial(Preparer, _settings(order), read_journal(order.out))
        chunks = into_chunks(scan.images, order.workers, CHUNK_IMAGES)
        return outcomes, run_chunks(chunks, build, order.workers, Callbacks(deliver, lose, listener.stopping))


def _settings(order: PrepareConfig) -> Settings:
    profile = PROFILES[order.kind]
    if order.min_foreground is not None or order.max_foreground is not None:
        published = profile.keep.get("train", Foreground())
        above = published.above if order.min_foreground is None else order.min_foreground
        below = published.below if order.max_foreground is None else order.max_foreground
        changed = [split for split in ("train", "val", "test") if split == "train" or split in profile.keep]
        profile = replace(profile, keep=profile.keep | {split: Foreground(above, below) for split in changed})
    upscaler = None if order.upscaler is None else (order.upscaler, sha256_file(order.upscaler))
    return Settings(order.out, profile, order.masks, order.upscale, upscaler, _in_place(order))


def _in_place(order: PrepareConfig) -> bool:
    return order.out.resolve() == order.source.resolve()


def _without_collisions(scan: Scan) -> Scan:
    """Two images that would share a mask's name (`a.jpg`, `a.png`, `A.jpg`): the first stays."""
    taken: dict[str, str] = {}
    images: list[SourceImage] = []
    skips = list(scan.skips)
    for image in scan.images:
        first = taken.setdefault(collision_key(mask_name(image.relative)), image.relative)
        if first == image.relative:
            images.append(image)
            continue
        name = display_name(image.relative)
        error = ItemError("duplicate_name", f"{name} and {display_name(first)} would share one mask", "Rename one.")
        skips.append(Skip.failed(name, image.split, error))
    return replace(scan, images=tuple(images), skips=tuple(skips))


def _clean_note(rows: list[IndexRow], clean: Foreground) -> tuple[str, ...]:
    trained = [row for row in rows if row.split == "train"]
    if not trained or any(row.clean for row in trained):
        return ()
    return (
        "no image can teach the mean body shape: for that the person must cover more than"
        f" {clean.above:.0%} and less than {clean.below:.0%} of the image. Everything else is learned from all images."
        " Crop them closer or wider, or train with --set data.clean_fraction=[LOW,HIGH]",
    )


def _summary(rows: list[IndexRow], skips: list[Skip], notes: tuple[str, ...], ending: Ending) -> Summary:
    splits = sorted({row.split for row in rows})
    known = {name: {row.identity for row in rows if row.split == name and row.identity is not None} for name in splits}
    return Summary(
        images=_counts(row.split for row in rows),
        identities={name: len(identities) for name, identities in known.items() if identities},
        clean=sum(row.clean and row.split == "train" for row in rows),
        mask_sources=_counts(row.mask_source or "none" for row in rows),
        filtered=_counts(skip.code for skip in skips if skip.status == "filtered"),
        failed=_counts(skip.code for skip in skips if skip.status == "failed"),
        notes=notes,
        skips=tuple(skips),
        ending=ending,
    )


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _write(order: PrepareConfig, rows: list[IndexRow], summary: Summary) -> None:
    lines = "".join(json.dumps(asdict(skip)) + "\n" for skip in summary.skips)
    write_text_atomic(order.out / SKIPPED_NAME, lines)
    keep = _settings(order).profile.keep
    data = {
        "schema": SCHEMA,
        "kind": order.kind,
        "index": INDEX_NAME,
        "masks": order.masks.text,
        "upscale": order.upscale,
        "upscaler": None if order.upscaler is None else display_name(order.upscaler),
        "foreground": {split: [limits.above, limits.below] for split, limits in sorted(keep.items())},
        "limit": order.limit,
        **summary.as_data(),
    }
    write_text_atomic(order.out / SUMMARY_NAME, json.dumps(data, indent=2) + "\n")
    write_index(order.out, rows)
