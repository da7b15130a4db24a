"""What a gallery shows: the GLBs of a folder, joined with the run's records."""

import os
from dataclasses import dataclass
from pathlib import Path

from mmgen.assets.tree import list_glbs
from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.core.places import recorded_input
from mmgen.photos.inputs import with_person
from mmgen.reconstruction.job import low_confidence_reason
from mmgen.work.records import PhotoRecord, Record, Verdict, read_records


@dataclass(frozen=True)
class GalleryItem:
    """One input of a run, or one GLB without a record.

    Attributes:
        status: `ok`, `rejected` or `failed`; `ok` for a GLB without a record.
        glb: Where the mesh is, or None where there is none.
        photo: Where the input photo is, or None where it is not known, gone, or another one now.
        mask_iou: 0..1, or None.
        ssim: 0..1, or None.
        seconds: Time it took, or None.
        mask_source: Where the mask came from, or None.
        mask_quality: How far to trust a guessed mask, 0..1; None for a given one.
        low_confidence: Why somebody should look at it, or None.
        confidence: How far to trust it, 0..1, or None.
        photos: Where several photos made the mesh: each with its error, the one shown first.
        verdict: What somebody decided in a review, or None.
    """

    name: str
    status: str = "ok"
    glb: Path | None = None
    photo: Path | None = None
    error: str | None = None
    message: str | None = None
    hint: str | None = None
    mask_iou: float | None = None
    ssim: float | None = None
    seconds: float | None = None
    mask_source: str | None = None
    mask_quality: float | None = None
    low_confidence: str | None = None
    photos: tuple[PhotoRecord, ...] = ()
    verdict: Verdict | None = None
    confidence: float | None = None

    @property
    def used_photos(self) -> tuple[PhotoRecord, ...]:
        """Those of several photos that have a part in the mesh."""
        return tuple(photo for photo in self.photos if photo.error is None)


def collect_items(meshes: Path) -> list[GalleryItem]:
    """Everything a gallery of `meshes` shows.

    Args:
        meshes: A folder of GLBs, with the record of the run that made them if there is one; or a single GLB.

    Returns:
        Sorted by name: one item per record, or per person where a photo shows several, and one per GLB that no record
        names.

    Raises:
        FatalError: `meshes_missing`, `no_meshes`, or `manifest_damaged` from the run's record.
    """
    records = read_records(meshes)
    recorded = {asset.output for record in records.values() for asset in record.assets}
    try:
        glbs = list_glbs(meshes, with_rejected=True)
    except FatalError:
        if not records:
            raise
        glbs = []  # a run in which everything failed has records all the same
    items = [item for record in records.values() for item, _ in items_of(record, meshes)]
    for glb in glbs:
        if str(glb.relative) not in recorded:
            name = display_name(os.path.splitext(glb.relative)[0])
            items.append(GalleryItem(name=name, glb=glb.path))
    return sorted(items, key=lambda item: item.name)


def items_of(record: Record, meshes: Path) -> list[tuple[GalleryItem, int | None]]:
    """What a gallery shows of one record: an item per asset, with the person's number where the photo shows several."""
    name = record.input if record.photos else os.path.splitext(record.input)[0]
    if not record.people:
        return [(_item(record, name, meshes), None)]
    numbered = zip(record.people, record.assets, strict=True)
    return [(_item(asset, with_person(name, person.number), meshes), person.number) for person, asset in numbered]


def _item(record: Record, name: str, meshes: Path) -> GalleryItem:
    shown = record.photos[0] if record.photos else record
    return GalleryItem(
        name=name,
        status=record.status,
        glb=None if record.output is None else meshes / record.output,
        photo=recorded_input(shown.root, shown.input, shown.input_sha256),
        error=record.error,
        message=record.message,
        hint=record.hint,
        mask_iou=record.mask_iou,
        ssim=record.ssim,
        seconds=record.seconds,
        mask_source=record.mask_source,
        mask_quality=record.mask_quality,
        low_confidence=low_confidence_reason(record),
        photos=record.photos,
        verdict=None if record.review is None else record.review.verdict,
        confidence=record.confidence,
    )
