"""Run records: one JSON line per input in `manifest.jsonl`, or in one file per part.

The store is `mmgen.work.record_file`. A run that does part i of n writes `manifest-<i>-of-<n>.jsonl`; readers take all
record files of a folder together. Every path in a record is checked when it is read: `output` stays inside the folder
and leads through no link, `input` stays below `root`.
"""

import json
import os
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

from mmgen.core.errors import FatalError
from mmgen.core.limits import REFINE_STEPS, TEXTURE_SIDE
from mmgen.core.listing import display_name, path_of_name
from mmgen.core.places import PlaceError, check_relative, place_below
from mmgen.work.record_file import DamagedLine, RecordFile, rewriting_lock

STATE_FOLDER = ".mmgen"
LEAST_TEXTURE_ROWS = 32
MANIFEST_NAME = re.compile(r"^manifest(-\d{1,6}-of-\d{1,6})?\.jsonl$")

Status = Literal["ok", "rejected", "failed"]
Facing = Literal["front", "back", "left", "right"]
"""Towards the camera, away from it, or to the picture's left or right."""

Verdict = Literal["accepted", "rejected"]


LOW_CONFIDENCE = 0.5
"""Somebody should look at assets whose confidence is below."""


@dataclass(frozen=True)
class Choices:
    """What a person chose for one asset in place of the run's options; None leaves the run's.

    Attributes:
        facing: where the person in the photo faces.
        refine_steps: steps through the renderer.
        texture_rows: height of the texture, texels; the width is half of it.
    """

    facing: Facing | None = None
    refine_steps: int | None = None
    texture_rows: int | None = None

    def updated(self, newer: "Choices") -> "Choices":
        """These, with what `newer` says."""
        return replace(self, **{name: value for name, value in asdict(newer).items() if value is not None})


NO_CHOICES = Choices()


@dataclass(frozen=True)
class Review:
    """What a person decided about an asset.

    Attributes:
        verdict: `accepted`, `rejected`, or None where nothing is decided.
        time: UTC, ISO 8601.
        corrected: what was corrected by hand, such as `mask` or `facing`, in order.
        choices: what was chosen for this asset.
    """

    verdict: Verdict | None = None
    note: str = ""
    time: str = ""
    corrected: tuple[str, ...] = ()
    choices: Choices = NO_CHOICES


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count` of a run, 0 <= index < count."""

    index: int = 0
    count: int = 1

    @property
    def manifest_name(self) -> str:
        """The record file of this part."""
        return "manifest.jsonl" if self.count == 1 else f"manifest-{self}.jsonl"

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


@dataclass(frozen=True)
class PersonRecord:
    """One of several people in a photo; fields as in `Record`.

    Attributes:
        number: From the left, from 1; the name of the GLB ends with it.
    """

    number: int
    status: Status
    output: str
    mask_iou: float
    ssim: float
    mask_quality: float | None
    mask_sha256: str
    output_sha256: str
    error: str | None = None
    hint: str | None = None
    message: str | None = None
    review: Review | None = None
    facing: Facing | None = None
    confidence: float | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhotoRecord:
    """What became of one of several photos that make one asset.

    Attributes:
        input: Path relative to its input folder, as `mmgen.core.listing.display_name` writes it.
        root: That folder, as an absolute path.
        input_sha256: SHA-256 of the photo's bytes; None if it could not be read.
        mask_source: Where the mask came from; None where the photo was left out.
        mask_sha256: SHA-256 of the mask that was used.
        mask_quality: How far to trust a guessed mask, 0..1; None for a given one.
        mask_iou: Overlap of the asset's silhouette with this photo's mask.
        ssim: Likeness of the rendered asset to this photo.
        error: Error class where the photo was left out; None where it has a part in the asset.
        message: What is wrong with it.
        hint: What to do about it.
    """

    input: str
    root: str
    input_sha256: str | None = None
    mask_source: str | None = None
    mask_sha256: str | None = None
    mask_quality: float | None = None
    mask_iou: float | None = None
    ssim: float | None = None
    error: str | None = None
    message: str | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """What became of one input.

    Where a photo shows several people, `people` has their assets, and the record's own fields are those of the one
    that fits its outline best.

    Attributes:
        input: Path relative to the input folder, as `mmgen.core.listing.display_name` writes it; one record per input.
            Where several photos make one asset, the name of the person.
        status: `ok`, `rejected` (written, but to `rejected/`: too weak), `failed`.
        error: Error class of a failure or a rejection; None when ok.
        hint: What to do about it.
        message: What is wrong, one line.
        output: Path of the GLB relative to the run folder; None when failed.
        mask_source: Where the mask came from, such as `sibling`, `alpha`, `network`.
        mask_iou: Overlap of the silhouette with the mask, 0..1.
        ssim: Likeness of the rendered to the real photo inside the crop, 0..1.
        seconds: Time this item took.
        key: Hash of all that decides the result; equal key means equal bytes.
        input_sha256: SHA-256 of the photo's bytes; None if it could not be read.
        mask_sha256: SHA-256 of the mask that was used.
        mask_quality: How far to trust a guessed mask, 0..1; None for a given one.
        output_sha256: SHA-256 of the GLB's bytes.
        options_sha256: SHA-256 of the options that decide the result.
        weights_sha256: SHA-256 of the weights file; `none` where none is used.
        notes: Remarks, such as `first of 12 frames`.
        people: From left to right; empty where the photo shows one.
        root: Input folder, as an absolute path.
        mask_root: Folder that `--masks` named, as an absolute path; empty where it named none.
        finished_at: UTC time, ISO 8601.
        photos: Where several photos make one asset: each of them, the one that says the pose first. Hashes of photo and
            mask are then of the hashes of all that have a part in it, MaskIoU and SSIM their means, weighted as in the
            shape.
        facing: Whether the asset has the person seen from the front or from behind.
        confidence: How far to trust the asset, 0..1; None in records of older versions.
        doubts: Why it is low and what to do, the worst first.
    """

    input: str
    status: Status
    error: str | None = None
    hint: str | None = None
    message: str | None = None
    output: str | None = None
    mask_source: str | None = None
    mask_iou: float | None = None
    ssim: float | None = None
    seconds: float | None = None
    key: str | None = None
    input_sha256: str | None = None
    mask_sha256: str | None = None
    mask_quality: float | None = None
    output_sha256: str | None = None
    options_sha256: str | None = None
    weights_sha256: str = "none"
    notes: tuple[str, ...] = ()
    people: tuple[PersonRecord, ...] = ()
    root: str = ""
    mask_root: str = ""
    finished_at: str = ""
    version: str = ""
    photos: tuple[PhotoRecord, ...] = ()
    review: Review | None = None
    facing: Facing | None = None
    confidence: float | None = None
    doubts: tuple[str, ...] = ()

    @property
    def assets(self) -> "tuple[Record, ...]":
        """One record per asset, without `people`: this one, or one for each person."""
        if not self.people:
            return (self,) if self.output is not None else ()
        return tuple(replace(self.about(person), people=()) for person in self.people)

    @property
    def is_accepted(self) -> bool:
        """Whether somebody accepted the asset; of a photo of several people see `assets`."""
        return self.review is not None and self.review.verdict == "accepted"

    def about(self, person: PersonRecord) -> "Record":
        """With the status, place and figures of one of the people as its own."""
        values = {field.name: getattr(person, field.name) for field in fields(person) if field.name != "number"}
        return replace(self, **values)

    def to_line(self) -> str:
        """One JSON line, with its line end; without the key `photos` where there are none."""
        row = asdict(self)
        if not self.photos:
            del row["photos"]
        for part in (row, *row["people"]):
            if part["review"] is None:
                del part["review"]
        return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def manifest_files(folder: Path) -> list[Path]:
    """The record files of a run folder, sorted by name; empty where there was no run."""
    if not folder.is_dir():
        return []
    return [folder / name for name in sorted(os.listdir(folder)) if MANIFEST_NAME.match(name)]


def read_records(folder: Path) -> dict[str, Record]:
    """All records of a run folder by input, sorted by input; the newest one where an input has several.

    Within a file the later line counts, whatever the clock said when it was written; between files the clock decides.

    Raises:
        FatalError: `manifest_damaged`, naming file and line; `manifest_unreadable`.
    """
    newest: dict[str, Record] = {}
    for path in manifest_files(folder):
        for record in read_manifest(path).values():
            other = newest.get(record.input)
            if other is None or other.finished_at <= record.finished_at:
                newest[record.input] = record
    return dict(sorted(newest.items()))


def read_manifest(path: Path) -> dict[str, Record]:
    """The records of one file by input, sorted; the last one of each. A last line that was cut off is passed over.

    Raises:
        FatalError: as from `read_records`.
    """
    try:
        return MANIFEST.newest(path)
    except DamagedLine as error:
        raise _damaged(error) from error
    except OSError as error:
        what = f"{path.name} of {display_name(path.parent)} cannot be read: {error.strerror}"
        raise FatalError("manifest_unreadable", what, "Check its rights, and that it is a file.") from error


def compact_manifest(path: Path, dropped: Collection[str]) -> None:
    """Rewrite a file of records sorted, with the last one of each input only, and without some inputs.

    Raises:
        FatalError: `manifest_damaged`; nothing is rewritten then.
        OSError: it cannot be written.
    """
    try:
        MANIFEST.compact(path, dropped)
    except DamagedLine as error:
        raise _damaged(error) from error


def _damaged(error: DamagedLine) -> FatalError:
    what = f"{error.where}, is no run record: {error.cause}"
    return FatalError("manifest_damaged", what, "Delete that line; its input will be done again.")


def record_from_line(folder: Path, line: bytes) -> Record:
    """One record of a run folder from its JSON line.

    Raises:
        ValueError: it is none, or names places that must not be followed.
    """
    return MANIFEST.parse(folder, line)


def append_record(folder: Path, record: Record) -> None:
    """Add one line to a run folder's record, also while a run is writing there.

    Raises:
        OSError: the folder takes no more.
    """
    path = folder / Shard().manifest_name
    with rewriting_lock(path), MANIFEST.writer(path) as writer:
        writer.append(record)


def _check(folder: Path, record: Record) -> None:
    """Raises ValueError where a path in a record must not be followed, or a choice is out of bounds."""
    inputs: tuple[Record | PhotoRecord, ...] = (record, *record.photos)
    for one in inputs:
        check_relative(path_of_name(one.input))
        path_of_name(one.root)
    for output in (record.output, *(person.output for person in record.people)):
        if output is not None:
            if not output.endswith((".glb", ".png")) or output.split("/")[0].lower() == STATE_FOLDER:
                raise PlaceError(f"{output!r:.200} is no place for a mesh or a mask")
            place_below(folder, output)
    for review in (record.review, *(person.review for person in record.people)):
        if review is not None:
            _check_choices(review.choices)


def _check_choices(choices: Choices) -> None:
    if choices.refine_steps is not None and not 0 <= choices.refine_steps <= REFINE_STEPS:
        raise ValueError(f"{choices.refine_steps} refinement steps are not possible")
    if choices.texture_rows is not None and not LEAST_TEXTURE_ROWS <= choices.texture_rows <= TEXTURE_SIDE:
        raise ValueError(f"a texture of {choices.texture_rows} rows is not possible")


MANIFEST = RecordFile(Record, key=lambda record: record.input, to_line=Record.to_line, check=_check)
"""How run records are kept."""
