"""The state behind the page: one run folder, its photos, its jobs, and what a person said."""

import io
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from PIL import Image

from mmgen.assets.container import parse_glb
from mmgen.assets.formats import ExportOptions, export_glb
from mmgen.assets.glb import asset_from_container, read_file
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import write_bytes_atomic
from mmgen.core.listing import MASK_FOLDER, list_images, path_of_name
from mmgen.core.outputs import image_bytes
from mmgen.gallery.figures import details
from mmgen.gallery.pictures import home_view
from mmgen.masks.finding import find_mask
from mmgen.masks.structures import MaskSource
from mmgen.photos.images import read_image
from mmgen.previews import View
from mmgen.reconstruction.job import utc_now
from mmgen.review import limits, region, versions
from mmgen.review.entries import Entry, Folder, State, entries_of, key_of
from mmgen.review.jobs import Setting, Workshop
from mmgen.review.worker import masks_of, photo_name, worker_main
from mmgen.templates import named_template
from mmgen.work.records import Choices, Record, Review, append_record

PHOTO_FOLDER = "photos"
"""Where dropped photos go, inside the run folder."""

Verdict = Literal["accepted", "rejected"]


class Conflict(Exception):
    """Somebody else changed the asset meanwhile.

    Attributes:
        entry: the asset as it is now.
    """

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name)
        self.entry = entry


class Desk:
    """All that the page can ask for. Methods may be called from several threads.

    Args:
        meshes: run folder; made if missing.
        device: `cpu` or `cuda:N`.
        worker: what the worker process runs; another one in tests.

    Attributes:
        is_ending: set when the server shuts down, so that pages which wait for news are let go.
    """

    def __init__(self, meshes: Path, device: str, worker: Callable[..., None] = worker_main) -> None:
        self.meshes = meshes
        self.photos = meshes / PHOTO_FOLDER
        self._folder = Folder(meshes)
        self._lock = threading.RLock()
        self._events = 0
        self._stamp: tuple[Any, ...] = ()
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self._shown: dict[str, tuple[int, dict[str, Any]]] = {}
        self._gone: dict[str, int] = {}
        self._trouble: dict[str, str] = {}
        self.is_ending = threading.Event()
        self.workshop = Workshop(Setting(meshes, device), self._hear, worker)

    # --- looking ---------------------------------------------------------------------------------------------------

    def entries(self) -> dict[str, Entry]:
        """All cards by key, sorted by name; built anew only after something happened."""
        with self._lock:
            self._refresh()
            return self._entries

    def entry(self, key: str) -> Entry:
        """One card.

        Raises:
            ItemError: `asset_unknown`.
        """
        found = self.entries().get(key)
        if found is None:
            raise ItemError("asset_unknown", "there is no such asset", "Load the page again.")
        return found

    def changes(self, since: int) -> dict[str, Any]:
        """What changed after revision `since`; costs next to nothing where nothing happened."""
        with self._lock:
            self._refresh()
            items = [shown for revision, shown in self._shown.values() if revision > since]
            gone = [key for key, revision in self._gone.items() if revision > since]
            return {"revision": self._revision, "items": items, "gone": gone, "queue": len(self.workshop.doing())}

    def photo_file(self, entry: Entry) -> Path:
        """Where the photo of an asset is.

        Raises:
            ItemError: `photo_missing`.
        """
        return self._photo_of(entry)[0]

    def details(self, entry: Entry) -> dict[str, Any]:
        """Figures of one asset as (label, value), from where its photo sees it (degrees), and its older versions."""
        item, pairs, view = entry.item, [], View()
        if item is not None and item.glb is not None:
            try:
                glb = read_file(item.glb)
                asset = asset_from_container(parse_glb(glb))
                pairs, view = details(item, asset, glb), home_view(asset, has_photo=item.photo is not None)
            except ItemError as error:  # an older version can take its place
                pairs = [("Mesh", error.message), *details(item, None, None)]
        old = [] if entry.record is None else versions.kept(self.meshes, key_of(entry.record.input, None))
        seen_from = {"azimuth": view.azimuth_deg, "elevation": view.elevation_deg}
        return {"figures": pairs, "view": seen_from, "versions": [versions.described(one) for one in old]}

    def walk(self, entry: Entry) -> bytes:
        """What `mmgen export --animation walk` writes: a GLB.

        Raises:
            ItemError: there is no mesh, or it has not the faces of the person template.
        """
        if entry.item is None or entry.item.glb is None:
            raise ItemError("mesh_missing", f"{entry.name} has no mesh", "Reconstruct it first.")
        options = ExportOptions(rig=True, animation="walk")
        files = export_glb(read_file(entry.item.glb), "walk", "glb", options, template=named_template("person"))
        return files["walk.glb"]

    def mask(self, entry: Entry) -> bytes:
        """The mask in use, as large as the photo: PNG.

        Raises:
            ItemError: there is no photo, or no mask can be found or guessed.
        """
        photo, relative = self._photo_of(entry)
        source = "auto" if entry.record is None else masks_of(entry.record)
        found = find_mask(read_image(photo), MaskSource.parse(source), relative)
        return image_bytes(found.mask, "PNG")

    # --- deciding --------------------------------------------------------------------------------------------------

    def decide(self, key: str, version: str, verdict: Verdict | None, note: str) -> Entry:
        """Write a person's word into the run's record.

        Raises:
            Conflict: the asset is not the one that the person saw.
            ItemError: it has no mesh to accept, or a job is at it.
        """
        with self._lock:
            entry = self._expected(key, version)
            if entry.record is None or entry.state in ("waiting", "working"):
                raise ItemError("asset_busy", f"{entry.name} is being computed", "Decide when it is done.")
            if verdict == "accepted" and (entry.item is None or entry.item.glb is None):
                raise ItemError("mesh_missing", f"{entry.name} has no mesh to accept", "Correct its mask first.")
            before = entry.review or Review()
            review = replace(before, verdict=verdict, note=note[: limits.NOTE_CHARACTERS], time=utc_now())
            self._append(_with_review(entry.record, entry.person, review))
            return self.entry(key)

    def correct(self, key: str, version: str, choices: Choices, corrected: str) -> Entry:
        """Compute an asset again with what a person chose; the old result is kept.

        Args:
            key: key of the asset.
            version: the person saw.
            choices: facing, steps, size; what is None stays as it was.
            corrected: what was corrected, in a word, for the record.

        Raises:
            Conflict: the asset is not the one that the person saw.
            ItemError: its photo is gone.
        """
        with self._lock:
            entry = self._expected(key, version)
            if choices.facing is not None and entry.record is not None and entry.record.photos:
                what = f"{entry.name} is of several photos, and each has a facing of its own"
                raise ItemError("facing_of_several", what, "Correct it on the photos' own cards, then join them again.")
            job = self._job_of(entry)
            self._keep(entry, choices, corrected)
            self._submit(*job)
            return self.entry(key)

    def correct_mask(self, key: str, version: str, png: bytes) -> Entry:
        """Save a mask that a person drew into the photos' `masks/`, and compute the asset again.

        Raises:
            Conflict: the asset is not the one that the person saw.
            ItemError: the mask is no PNG of the photo's size, or is empty.
        """
        with self._lock:
            entry = self._expected(key, version)
            photo, relative = self._photo_of(entry)
            mask, job = _mask_from(png, read_image(photo).size), self._job_of(entry)
            self._keep(entry, Choices(), "mask")
            write_bytes_atomic(_mask_place(photo, relative), image_bytes(mask, "PNG"))
            self._submit(*job)
            return self.entry(key)

    def join(self, key: str, partner: str) -> Entry:
        """Make one asset of two photos of a person: the first says the pose, the other has sides that it lacks.

        Raises:
            ItemError: the photos are not below one folder, or one is gone.
        """
        with self._lock:
            entries = [self.entry(one) for one in (key, partner)]
            photos = [self._photo_of(one) for one in entries]
            roots = {_root(*one) for one in photos}
            if len(roots) > 1 or key == partner:
                raise ItemError("photos_apart", "two photos below one folder are needed", "Drop both here.")
            places = tuple(relative.as_posix() for _, relative in photos)
            name = f"{photos[0][1].with_suffix('').as_posix()}+{photos[1][1].stem}"
            self._submit(roots.pop(), places, name)
            return self.entry(key)

    def grow(self, entry: Entry, mask: bytes, scribble: bytes, is_person: bool) -> bytes:
        """«This region too»; see `mmgen.review.region.grown`. All PNGs of the photo's size."""
        photo, _ = self._photo_of(entry)
        image = read_image(photo)
        masks = [_mask_from(one, image.size, may_be_empty=True) for one in (mask, scribble)]
        return image_bytes(region.grown(image.rgb, masks[0], masks[1], is_person), "PNG")

    def bring_back(self, key: str, version: str, number: int) -> Entry:
        """An older result in place of today's, which is kept in its turn.

        Raises:
            Conflict: the asset is not the one that the person saw.
            ItemError: `version_missing`, or a job is at it.
        """
        with self._lock:
            entry = self._expected(key, version)
            if entry.record is None or entry.state in ("waiting", "working"):
                raise ItemError("asset_busy", f"{entry.name} is being computed", "Wait until it is done.")
            own, is_there = key_of(entry.record.input, None), entry.item is not None and entry.item.photo is not None
            place = _mask_place(*self._photo_of(entry)) if is_there else None
            versions.keep(self.meshes, own, entry.record, place)
            old = versions.bring_back(self.meshes, own, number, place)
            self._append(replace(old, input=entry.record.input, finished_at=utc_now()))
            return self.entry(key)

    # --- taking in -------------------------------------------------------------------------------------------------

    def take_in(self, relatives: Iterable[str]) -> None:
        """Put files of the desk's own folder into the queue; masks beside their photos stay what they are."""
        photos = set(self._dropped().values()) if relatives else set()
        for relative in relatives:
            if relative in photos:
                self._submit(self.photos, (relative,), photo_name(self.photos, relative))

    def resume(self) -> int:
        """Put every photo of the desk's folder that has no record into the queue; how many."""
        waiting = self._unrecorded(self._folder.records())
        self.take_in(waiting.values())
        return len(waiting)

    def cancel(self, entry: Entry) -> bool:
        """Forget the job of an asset, or stop it; whether there was one."""
        return self.workshop.cancel(entry.input)

    def close(self) -> None:
        """End the worker; the folder stands as it is."""
        self.workshop.close()

    # --- inside ----------------------------------------------------------------------------------------------------

    def _dropped(self) -> dict[str, str]:
        """Name to place of the photos in the desk's folder."""
        if not self.photos.is_dir():
            return {}
        try:
            found = list_images([self.photos])
        except FatalError:
            return {}
        return {photo_name(self.photos, one.relative.as_posix()): one.relative.as_posix() for one in found}

    def _unrecorded(self, records: dict[str, Record]) -> dict[str, str]:
        return {name: relative for name, relative in self._dropped().items() if name not in records}

    def _expected(self, key: str, version: str) -> Entry:
        entry = self.entry(key)
        if entry.version != version:
            raise Conflict(entry)
        return entry

    def _photo_of(self, entry: Entry) -> tuple[Path, PurePosixPath]:
        """Photo of an asset, and its place below its root; of several, the one that says the pose.

        Raises:
            ItemError: `photo_missing`.
        """
        if entry.record is None:
            relative = self._dropped().get(entry.input)
            path = None if relative is None else self.photos / relative
        else:
            shown = entry.record.photos[0] if entry.record.photos else entry.record
            relative, path = shown.input, None if entry.item is None else entry.item.photo
        if path is None or relative is None:
            raise ItemError("photo_missing", f"the photo of {entry.name} is gone", "Put it back where it was.")
        return path, PurePosixPath(relative)

    def _keep(self, entry: Entry, choices: Choices, corrected: str) -> None:
        """Copy today's result away, and write into the record what is being corrected."""
        if entry.record is None:
            return
        versions.keep(self.meshes, key_of(entry.record.input, None), entry.record, _mask_place(*self._photo_of(entry)))
        review = entry.record.review or Review()
        words = tuple(dict.fromkeys((*review.corrected, corrected)))
        review = replace(review, verdict=None, corrected=words, choices=review.choices.updated(choices), time=utc_now())
        self._append(replace(entry.record, review=review))

    def _job_of(self, entry: Entry) -> tuple[Path, tuple[str, ...], str]:
        """Root, places and name of what makes an asset again.

        Raises:
            ItemError: `photo_missing`, `photos_apart`.
        """
        photo, relative = self._photo_of(entry)
        root = _root(photo, relative)
        if entry.record is None or not entry.record.photos:
            return root, (relative.as_posix(),), photo_name(root, relative.as_posix())
        photos = entry.record.photos
        if len({one.root for one in photos}) > 1:
            what = f"the photos of {entry.name} are in several folders"
            raise ItemError("photos_apart", what, "Run `mmgen reconstruct --by-identity` for them.")
        return root, tuple(path_of_name(one.input) for one in photos), entry.record.input

    def _submit(self, root: Path, relatives: tuple[str, ...], name: str) -> None:
        self._trouble.pop(name, None)
        self.workshop.submit(root, relatives, name)

    def _append(self, record: Record) -> None:
        append_record(self.meshes, record)

    def _hear(self, name: str, trouble: str | None) -> None:
        with self._lock:
            self._events += 1
            if trouble is not None:
                self._trouble[name] = trouble

    def _built(self) -> dict[str, Entry]:
        records = self._folder.records()
        doing: dict[str, tuple[State, str]] = {name: (state, "") for name, state in self.workshop.doing().items()}
        for name, words in self._trouble.items():
            doing.setdefault(name, (records[name].status if name in records else "failed", words))
        joins = {name for name in doing if name not in records}
        return entries_of(self.meshes, records, joins | self._unrecorded(records).keys(), doing)

    def _refresh(self) -> None:
        """Where something happened, build the cards anew and compare them with what the pages were told."""
        photos = self.photos.stat().st_mtime_ns if self.photos.is_dir() else 0
        stamp = (*self._folder.stamp(), photos, self._events)
        if stamp == self._stamp:
            return
        self._stamp, self._entries = stamp, self._built()
        now = {key: entry.as_json() for key, entry in self._entries.items()}
        fresh = {key: shown for key, shown in now.items() if key not in self._shown or self._shown[key][1] != shown}
        gone = self._shown.keys() - now.keys()
        if fresh or gone:
            self._revision += 1
            for key, shown in fresh.items():
                self._shown[key] = self._revision, shown
                self._gone.pop(key, None)
            for key in gone:
                del self._shown[key]
                self._gone[key] = self._revision


def _with_review(record: Record, person: int | None, review: Review) -> Record:
    if person is None:
        return replace(record, review=review)
    people = tuple(replace(one, review=review) if one.number == person else one for one in record.people)
    return replace(record, people=people)


def _root(photo: Path, relative: PurePosixPath) -> Path:
    """The folder that `relative` starts from."""
    return photo.parents[len(relative.parts) - 1]


def _mask_place(photo: Path, relative: PurePosixPath) -> Path:
    """Where training and the next run look for it: `masks/` beside the photos."""
    return _root(photo, relative) / MASK_FOLDER / relative.parent / f"{relative.stem}.png"


def _mask_from(png: bytes, size: tuple[int, int], may_be_empty: bool = False) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A mask from the page.

    Raises:
        ItemError: `mask_unreadable`, `mask_size` or `mask_empty`.
    """
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if image.size != size:
                width, height = image.size
                what = f"the mask has {width} x {height} pixels, the photo {size[0]} x {size[1]}"
                raise ItemError("mask_size", what, "Load the page again.")
            mask = np.where(np.asarray(image.convert("L")) > 127, np.uint8(255), np.uint8(0))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ItemError("mask_unreadable", "the mask is no PNG, or too large a one", "Load the page again.") from error
    if not may_be_empty and not mask.any():
        raise ItemError("mask_empty", "the mask is empty", "Draw the person before saving.")
    return mask
