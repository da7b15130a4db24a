"""What a reconstruction run is: its options, its content keys, and the records that it writes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mmgen.assets.asset import Asset
from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_bytes, sha256_file, sha256_or_none
from mmgen.core.limits import PHOTO_BYTES
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from mmgen.masks import lookup
from mmgen.masks.maskers import masker_title
from mmgen.masks.network import network_sha256
from mmgen.masks.structures import LOW_CONFIDENCE_QUALITY, MaskSource
from mmgen.photos.inputs import REJECTED_FOLDER, InputItem, with_person
from mmgen.work.records import LOW_CONFIDENCE, NO_CHOICES, Facing, PersonRecord, PhotoRecord, Record

NO_WEIGHTS = "none"
"""In place of the hash of the weights where no networks are asked."""

POOR_FIT_IOU = 0.75
"""A guessed outline that the body meets worse than this may not be that of a whole person."""

RESULT_FORMAT = 8
"""Raised by hand whenever the same photo and options shall give other bytes than before; old ones are then redone."""


class ReconstructedLike(Protocol):
    """What a reconstruction gives for one photo; see `mmgen.reconstruction.result.Reconstructed`."""

    @property
    def asset(self) -> Asset:
        """The mesh."""

    @property
    def mask_iou(self) -> float:
        """Overlap of the silhouette with the mask, 0..1."""

    @property
    def ssim(self) -> float:
        """Likeness of the rendered to the real photo."""

    @property
    def mask_source(self) -> str:
        """Where the mask came from."""

    @property
    def input_sha256(self) -> str:
        """Of the photo's bytes, as read."""

    @property
    def mask_sha256(self) -> str:
        """Of the mask that was used."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the record."""

    @property
    def mask_quality(self) -> float | None:
        """How far to trust a guessed mask, 0..1; None for a given one."""

    @property
    def person(self) -> tuple[int, int]:
        """Number, from the left, of how many people in the photo."""

    @property
    def facing(self) -> Facing:
        """Whether the person in the photo is seen from the front or from behind."""

    @property
    def photos(self) -> tuple[PhotoRecord, ...]:
        """All photos of an asset of several, those that were left out too; empty for an asset of one."""


class ReconstructorLike(Protocol):
    """Turns photos into assets; see `fit.FitReconstructor`. A result must not depend on its batch."""

    def prepare(self, item: InputItem) -> Sequence[Any]:
        """Read the photo and its mask; one for each person, from left to right; raises ItemError."""

    def reconstruct(self, batch: list[Any]) -> Sequence[ReconstructedLike | ItemError]:
        """One outcome per prepared person, in order."""


@dataclass(frozen=True)
class Job:
    """What every item of a run has in common; picklable.

    Attributes:
        build: Makes the reconstructor; called once in each process.
        options: The options that change the bytes, JSON values only; `texture_codec` among them says how textures are
            stored, png where it is missing.
        min_iou: Assets whose MaskIoU is below go to `rejected/`.
        log: File for the tracebacks of unexpected errors.
        weights_sha256: SHA-256 of the weights file, or `none`.
        is_strict: Assets of low confidence go to `rejected/` too.
        replaces_foreign: Results may replace files that mmgen did not write.
    """

    out: Path
    build: Callable[[], ReconstructorLike]
    options: Mapping[str, Any]
    masks: MaskSource
    min_iou: float
    log: Path
    weights_sha256: str = NO_WEIGHTS
    is_strict: bool = False
    replaces_foreign: bool = False

    @property
    def options_sha256(self) -> str:
        """Hash of the options that change the bytes."""
        return options_digest(self.options)

    def content_key(self, item: InputItem, input_sha256: str) -> str:
        """Hash of all that decides the item's bytes; the mask files are read for it.

        Args:
            input_sha256: SHA-256 of the photo's bytes, or `photos_digest`.
        """
        if item.photos:
            keys = [self.content_key(photo, "") for photo in item.photos]
            return _hash_json({"photos": input_sha256, "keys": keys})
        mask, masker = self._mask_file(item), masker_title(self.masks)
        return _hash_json(
            {
                "format": RESULT_FORMAT,
                "input": input_sha256,
                "mask_kind": self.masks.kind,
                "mask": sha256_file(mask) if mask else None,
                "mask_network": network_sha256() if mask is None and self.masks.may_ask_network else None,
                "facing_network": network_sha256() if self._asks_facing else None,
                "weights": self.weights_sha256,
                "options": self.options_sha256,
                **({} if masker is None else {"masker": masker}),
                **({} if item.height_m is None else {"height_m": item.height_m}),
                **({} if item.choices == NO_CHOICES else {"choices": asdict(item.choices)}),
            }
        )

    @property
    def _asks_facing(self) -> bool:
        return self.options.get("method") == "network" and "facing" not in self.options

    def _mask_file(self, item: InputItem) -> Path | None:
        if self.masks.folder is not None:
            return lookup.in_tree(self.masks.folder, item.relative)
        return lookup.beside(item.path) if self.masks.kind == "auto" else None


def failure_record(job: Job, item: InputItem, error: ItemError, seconds: float | None) -> Record:
    """The record of an item that gave no file."""
    record = Record(
        input=item.name,
        status="failed",
        error=error.code,
        hint=error.hint,
        message=error.message,
        input_sha256=sha256_or_none(item.path, PHOTO_BYTES),
        options_sha256=job.options_sha256,
        root=display_name(item.root),
        mask_root=_mask_root(job),
    )
    return stamped(record, seconds)


def _mask_root(job: Job) -> str:
    return "" if job.masks.folder is None else display_name(job.masks.folder.absolute())


def success_record(job: Job, item: InputItem, made: Sequence[tuple[ReconstructedLike, str]]) -> Record:
    """The record of finished assets, with their places as `job.min_iou` decides; not yet stamped.

    Args:
        made: its people from left to right, at least one, and the hashes of their GLBs.
    """
    people = tuple(_person_record(item, result, digest) for result, digest in made)
    first = made[0][0]
    record = Record(
        input=item.name,
        status="ok",
        mask_source=first.mask_source,
        key=job.content_key(item, _input_digest(item, first)),
        input_sha256=first.input_sha256,
        options_sha256=job.options_sha256,
        weights_sha256=job.weights_sha256,
        notes=tuple(dict.fromkeys(note for result, _ in made for note in result.notes)),
        people=people if first.person[1] > 1 else (),
        root=display_name(item.root),
        mask_root=_mask_root(job),
        photos=first.photos,
    )
    return apply_quality_gate(record if record.people else record.about(people[0]), item, job)


def _person_record(item: InputItem, result: ReconstructedLike, output_sha256: str) -> PersonRecord:
    return PersonRecord(
        number=result.person[0],
        status="ok",
        output=item.output_of(result.person),
        mask_iou=round(float(result.mask_iou), 6),
        ssim=round(float(result.ssim), 6),
        mask_quality=rounded_quality(result.mask_quality),
        mask_sha256=result.mask_sha256,
        output_sha256=output_sha256,
        facing=result.facing,
        confidence=result.asset.provenance.get("confidence"),
        doubts=tuple(result.asset.provenance.get("doubts", ())),
    )


def _input_digest(item: InputItem, result: ReconstructedLike) -> str:
    if not item.photos:
        return result.input_sha256
    hashes = {(photo.root, photo.input): photo.input_sha256 for photo in result.photos}
    return photos_digest([hashes[display_name(photo.root), photo.name] for photo in item.photos])


def photos_digest(hashes: Sequence[str | None]) -> str:
    """Hash of the hashes of a person's photos, in order; None for one that cannot be read."""
    return _hash_json(list(hashes))


def rounded_quality(quality: float | None) -> float | None:
    """As it stands in records."""
    return None if quality is None else round(quality, 4)


def low_confidence_reason(asset: Record | PersonRecord) -> str | None:
    """Why somebody should look at an asset, and what to do; None where nothing speaks against it."""
    if asset.confidence is not None:
        return "; ".join(asset.doubts) if asset.confidence < LOW_CONFIDENCE else None
    if asset.mask_quality is None or asset.mask_iou is None:
        return None
    if asset.mask_quality < LOW_CONFIDENCE_QUALITY:
        return f"its guessed outline has low confidence, quality {asset.mask_quality:.2f}"
    if asset.mask_iou < POOR_FIT_IOU:
        return f"the body does not fit its guessed outline, MaskIoU {asset.mask_iou:.2f}: is that a whole person?"
    return None


def apply_quality_gate(record: Record, item: InputItem, job: Job) -> Record:
    """The record of finished assets with status, place and reason as `min_iou` and `strict` decide, for each person."""
    if not record.people:
        return _gated(record, item.name, item.output, job)
    people = tuple(
        _gated(person, f"person {person.number} of {item.name}", with_person(item.output, person.number), job)
        for person in record.people
    )
    best = max(people, key=lambda person: person.mask_iou)
    return replace(record.about(best), people=people)


Judged = TypeVar("Judged", Record, PersonRecord)


def _gated(record: Judged, name: str, output: str, job: Job) -> Judged:
    iou, doubts = record.mask_iou, low_confidence_reason(record) if job.is_strict else None
    if doubts is not None:
        return replace(
            record,
            status="rejected",
            output=f"{REJECTED_FOLDER}/{output}",
            error="low_confidence",
            message=f"{name}: {doubts}",
            hint="Look at it; without --strict it is kept.",
        )
    if iou is None or iou >= job.min_iou:
        return replace(record, status="ok", output=output, error=None, message=None, hint=None)
    return replace(
        record,
        status="rejected",
        output=f"{REJECTED_FOLDER}/{output}",
        error="weak_silhouette",
        message=f"MaskIoU {iou:.3f} of {name} is below {job.min_iou:g}",
        hint="Check its mask, raise --refine, or lower --min-iou.",
    )


def stamped(record: Record, seconds: float | None) -> Record:
    """The record with its duration, the time and the version."""
    rounded = None if seconds is None else round(seconds, 4)
    return replace(record, seconds=rounded, finished_at=utc_now(), version=__version__)


def utc_now() -> str:
    """UTC, ISO 8601, to the millisecond; sorts as text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def options_digest(options: Mapping[str, Any]) -> str:
    """Hash of options, as it stands in run records and in the provenance of assets."""
    return _hash_json(dict(options))


def _hash_json(value: Any) -> str:
    return sha256_bytes(json.dumps(value, sort_keys=True, allow_nan=False).encode())
