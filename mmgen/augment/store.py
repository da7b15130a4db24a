"""Reconstructed photos on disk: blocks of fixed size, written once, mapped into memory by every process.

A block's name holds a hash of all that decided it (photos, masks, weights, options), so that a later run takes it or
makes it again, and two runs never mix. Colours have 8 bits, offsets 16, cameras and figures 32.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mmgen.masks.lookup as lookup
from mmgen.augment.compositing import SUPERSAMPLING
from mmgen.augment.options import AugmentOptions
from mmgen.augment.plan import Plan
from mmgen.augment.sources import Source
from mmgen.core.documents import read_document
from mmgen.core.errors import FatalError
from mmgen.core.files import write_bytes_atomic, write_text_atomic
from mmgen.core.listing import MASK_ENDINGS, MASK_FOLDER
from mmgen.masks.maskers import masker_title
from mmgen.masks.structures import MaskSource
from mmgen.work.locks import STATE_FOLDER

STORE_VERSION = 5
BLOCK_PHOTOS = 64
OPEN_BLOCKS = 4096


@dataclass(frozen=True)
class PhotoNote:
    """What is known about one photo beside its attributes.

    Attributes:
        path: below the data set folder.
        error: class of what made it unusable, or None.
        message: what is wrong with it.
        image_sha256: SHA-256 of the photo's bytes; None if it could not be read.
        mask_source: where its mask came from.
        mask_sha256: SHA-256 of the mask.
    """

    path: str
    error: str | None = None
    message: str | None = None
    image_sha256: str | None = None
    mask_source: str | None = None
    mask_sha256: str | None = None


def texture_size(options: AugmentOptions) -> tuple[int, int]:
    """Rows and columns of the stored textures: the fine pixels that views are drawn in."""
    height, width = options.look.size
    return SUPERSAMPLING * height, SUPERSAMPLING * width


def block_type(vertices: int, texture: tuple[int, int], image: tuple[int, int]) -> np.dtype[Any]:
    """The record of one photo: its camera belongs to the crop around the person.

    `frame` puts that crop into the whole photo: NDC of the crop times `frame[:2]` plus `frame[2:]` are NDC of the photo
    (x, y). `mask_iou` and `ssim` are those of `recon.predict.PhotoFit`; `folded` is the share of faces turned inside
    out. `colour`, `noise`, `sharpening` and `compression` (quality and subsampling) are the photo's as
    `mmgen.augment.capture` measures them.

    Args:
        vertices: vertices of the mesh.
        texture: rows and columns of its map.
        image: height and width of the background, pixels.
    """
    return np.dtype(
        [
            ("usable", "u1"),
            ("azimuth_deg", "<f4"),
            ("elevation_deg", "<f4"),
            ("distance", "<f4"),
            ("offset", "<f4", 2),
            ("focal", "<f4"),
            ("frame", "<f4", 4),
            ("offsets", "<f2", (vertices, 3)),
            ("texture", "u1", (3, *texture)),
            ("plate", "u1", (*image, 3)),
            ("folded", "<f4"),
            ("mask_iou", "<f4"),
            ("ssim", "<f4"),
            ("colour", "<f4", 3),
            ("noise", "<f4"),
            ("sharpening", "<f4"),
            ("compression", "u1", 2),
        ]
    )


@dataclass(frozen=True)
class Store:
    """Where the blocks of a plan are.

    Attributes:
        folder: folder of the blocks.
        names: names of the blocks, in order of the photos.
        photos: number of photos.
    """

    folder: Path
    names: tuple[str, ...]
    photos: int

    def range_of(self, block: int) -> range:
        """The photos of one block."""
        return range(block * BLOCK_PHOTOS, min((block + 1) * BLOCK_PHOTOS, self.photos))

    def has(self, block: int) -> bool:
        """Whether a block is there, whole."""
        return (self.folder / f"{self.names[block]}.npy").is_file()

    def missing(self) -> list[int]:
        """Blocks that are not there yet."""
        return [block for block in range(len(self.names)) if not self.has(block)]

    def write(self, block: int, values: NDArray[Any], notes: Sequence[PhotoNote]) -> None:
        """Write a block; its `.npy` comes last and says that it is whole."""
        name = self.names[block]
        text = json.dumps([vars(note) for note in notes], sort_keys=True)
        write_text_atomic(self.folder / f"{name}.json", text)
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        write_bytes_atomic(self.folder / f"{name}.npy", buffer.getvalue())

    def notes(self) -> Iterator[PhotoNote]:
        """About every photo, in order."""
        for name in self.names:
            path = self.folder / f"{name}.json"
            try:
                notes = read_document(path, list[PhotoNote])
            except (OSError, ValueError) as error:
                hint = f"Delete {path.parent} and run again."
                raise FatalError("store_damaged", f"{path} is damaged", hint) from error
            yield from notes

    def sweep(self) -> int:
        """Remove blocks of other photos, weights or options; returns how many files."""
        wanted = {f"{name}{suffix}" for name in self.names for suffix in (".npy", ".json")}
        stray = [path for path in sorted(self.folder.glob("block-*")) if path.name not in wanted]
        for path in stray:
            path.unlink(missing_ok=True)
        return len(stray)


class StoreReader:
    """Random access to the attributes of photos."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._block = lru_cache(OPEN_BLOCKS)(self._open)

    def __getitem__(self, photo: int) -> Any:
        """The record of one photo (see `block_type`); its arrays lie in the file."""
        return self._block(photo // BLOCK_PHOTOS)[photo % BLOCK_PHOTOS]

    def usable(self) -> NDArray[np.bool_]:
        """[N] which photos can be used."""
        blocks = [self._block(block)["usable"] for block in range(len(self._store.names))]
        return np.concatenate(blocks) > 0

    def colours(self) -> NDArray[np.float64]:
        """[N, 3] mean colour of every photo's person, 0..255; zeros of unusable photos."""
        return np.concatenate([self._block(block)["colour"] for block in range(len(self._store.names))]).astype(float)

    def _open(self, block: int) -> NDArray[Any]:
        path = self._store.folder / f"{self._store.names[block]}.npy"
        try:
            values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise FatalError("store_damaged", f"{path} is damaged", "Delete it; it is made again.") from error
        return values


def store_of(plan: Plan, root: Path, out: Path, weights_sha256: str) -> Store:
    """The store of a plan; looks at sizes and times of photos and masks, not into them."""
    masks = MaskSource.parse(plan.options.masks)
    asked = plan.options.masks if masks.file is None else "onnx"
    options = plan.options
    shared = repr((STORE_VERSION, weights_sha256, asked, options.look.size, options.refine_steps, BLOCK_PHOTOS))
    shared += masker_title(masks) or ""
    names = []
    for block, start in enumerate(range(0, len(plan.photos), BLOCK_PHOTOS)):
        digest = hashlib.sha256(shared.encode())
        for photo in plan.photos[start : start + BLOCK_PHOTOS]:
            digest.update(_fingerprint(root, photo, masks).encode())
        names.append(f"block-{block:06d}-{digest.hexdigest()[:16]}")
    return Store(out / STATE_FOLDER / "sources", tuple(names), len(plan.photos))


def mask_source(root: Path, photo: Source, masks: MaskSource) -> MaskSource:
    """Where the mask of one photo is looked for.

    `auto` tries many names in many folders; in a data set folder with one mask per photo the first look is enough.
    """
    mirrored = (root / MASK_FOLDER / photo.path).with_suffix(".png")
    is_plain = masks.kind == "auto" and not _has_masks_inside(mirrored.parent, (root / photo.path).parent)
    return MaskSource("folder", root / MASK_FOLDER) if is_plain and mirrored.is_file() else masks


@lru_cache
def _has_masks_inside(tree: Path, photos: Path) -> bool:
    """Whether masks stand beside the photos, or there are none in the tree; looked up once per folder."""
    names = os.listdir(photos) if tree.is_dir() and photos.is_dir() else [MASK_FOLDER]
    return any(os.path.splitext(name.lower())[0].endswith((MASK_FOLDER, *MASK_ENDINGS)) for name in names)


def _fingerprint(root: Path, photo: Source, masks: MaskSource) -> str:
    image, source = root / photo.path, mask_source(root, photo, masks)
    mask: Path | None = None
    if source.kind == "folder" and source.folder is not None:
        mask = lookup.in_tree(source.folder, Path(photo.path))
    elif source.kind == "auto":
        mask = lookup.beside(image)
    states = [(file.name, _state(file)) for file in (image, mask) if file is not None]
    return repr((photo.path, states))


def _state(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns
