"""First stage: every training photo to its attributes, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mmgen.augment.backgrounds import without_person
from mmgen.augment.plan import Plan
from mmgen.augment.sources import Source
from mmgen.augment.store import BLOCK_PHOTOS, Lens, PhotoNote, Store, block_type, mask_source
from mmgen.core.errors import ItemError
from mmgen.masks import MaskSource, find_mask
from mmgen.models.weights import Weights, load_weights
from mmgen.photos.images import read_image
from recon.geometry import face_normals
from recon.metrics import mask_iou
from recon.render.scene import render
from recon.structures import Attributes, Sample, TexturedMesh

MASK_THRESHOLD = 127


@dataclass(frozen=True)
class BlockReport:
    """What became of one block: how many photos it has, and whether they were not there already."""

    photos: int
    is_new: bool


@dataclass(frozen=True)
class EncodingJob:
    """What a process needs to reconstruct blocks; picklable.

    Attributes:
        plan: the photos.
        root: of the data set.
        store: where blocks go.
        weights: file.
        device: `cpu` or `cuda:N`.
    """

    plan: Plan
    root: Path
    store: Store
    weights: Path
    device: str

    def __call__(self) -> "BlockEncoder":
        """Load the networks."""
        return BlockEncoder(self, load_weights(self.weights, self.device))


@dataclass(frozen=True)
class _Read:
    """Photo and mask as [H, W, 4], the photo without its person at the size of the views, and a note."""

    pixels: NDArray[np.uint8]
    plate: NDArray[np.uint8] | None
    note: PhotoNote


class BlockEncoder:
    """Reconstructs blocks of photos; a block is a pure function of its photos, masks and weights."""

    def __init__(self, job: EncodingJob, weights: Weights) -> None:
        self._job = job
        self._weights = weights

    def __call__(self, blocks: Sequence[int]) -> Iterator[tuple[int, BlockReport]]:
        """Reconstruct and write the blocks that another part of the run has not written meanwhile."""
        store = self._job.store
        for position, block in enumerate(blocks):
            is_new = not store.has(block)
            if is_new:
                store.write(block, *self.encode(store.range_of(block)))
            yield position, BlockReport(len(store.range_of(block)), is_new)

    def encode(self, photos: Sequence[int]) -> tuple[NDArray[Any], Lens, list[PhotoNote]]:
        """Attributes of photos, what their cameras share, and notes; unusable photos are all zeros."""
        config = self._weights.encoder.config
        size, look = (config.height, config.width), self._job.plan.options.look
        read = [self._read(self._job.plan.photos[index], size) for index in photos]
        kept = [index for index, one in enumerate(read) if one.note.error is None]
        values = np.zeros(
            len(photos), block_type(len(self._weights.encoder.prototype.vertices), config.texture_size, look.size)
        )
        pixels = np.zeros((BLOCK_PHOTOS, *size, 4), np.uint8)  # always a full batch: rounding depends on its size
        for row, index in enumerate(kept):
            pixels[row] = read[index].pixels
        sample = _sample(pixels, self._job.device)
        with torch.no_grad():
            attributes = self._weights.encoder(sample)
            measured = self._measure(sample, attributes)
        for row, index in enumerate(kept):
            _fill(values[index], attributes, measured, row)
            values[index]["plate"] = read[index].plate
        camera = attributes.camera
        return values, Lens(float(camera.focal), camera.offset_frame), [one.note for one in read]

    def _read(self, photo: Source, size: tuple[int, int]) -> "_Read":
        path, masks = photo.path, MaskSource.parse(self._job.plan.options.masks)
        try:
            image = read_image(self._job.root / path)
            found = find_mask(image, mask_source(self._job.root, photo, masks), PurePath(path))
        except ItemError as error:
            return _Read(np.zeros((*size, 4), np.uint8), None, PhotoNote(path, error.code, error.message))
        rgb, mask = Image.fromarray(image.rgb), Image.fromarray(found.mask)
        pixels = np.dstack([_resized(rgb, size, Image.Resampling.BICUBIC), _outline(mask, size)])
        view = self._job.plan.options.look.size
        plate = without_person(_resized(rgb, view, Image.Resampling.BICUBIC), _outline(mask, view) > 0)
        return _Read(pixels, plate, PhotoNote(path, None, None, image.sha256, found.source, found.sha256))

    def _measure(self, sample: Sample, attributes: Attributes) -> dict[str, torch.Tensor]:
        """Share of faces turned inside out against the prototype, and overlap of silhouette and mask."""
        prototype = self._weights.encoder.prototype
        vertices = prototype.vertices + attributes.offsets
        mesh = TexturedMesh(vertices, prototype.faces, prototype.face_uv, attributes.texture)
        size = (sample.image.shape[2], sample.image.shape[3])
        drawn = render(mesh, attributes.camera, size).mask
        along = (face_normals(vertices, prototype.faces) * face_normals(prototype.vertices[None], prototype.faces)).sum(
            -1
        )
        return {
            "folded": (along < 0).float().mean(dim=1),
            "source_iou": mask_iou((drawn > 0.5).float(), sample.mask),
        }


def _sample(pixels: NDArray[np.uint8], device: str) -> Sample:
    values = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255
    return Sample(values[:, :3].contiguous(), values[:, 3].contiguous())


def _resized(image: Image.Image, size: tuple[int, int], filter_: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(image if image.size == (size[1], size[0]) else image.resize((size[1], size[0]), filter_))


def _outline(mask: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """As the networks were trained: hard, nearest pixel."""
    return np.where(_resized(mask, size, Image.Resampling.NEAREST) > MASK_THRESHOLD, np.uint8(255), np.uint8(0))


def _fill(record: Any, attributes: Attributes, measured: dict[str, torch.Tensor], row: int) -> None:
    camera, light = attributes.camera, attributes.light
    assert light is not None, "encoders always give a light"
    record["usable"] = 1
    record["azimuth_deg"] = camera.azimuth_deg[row].item()
    record["elevation_deg"] = camera.elevation_deg[row].item()
    record["distance"] = camera.distance[row].item()
    record["offset"] = camera.offset[row].cpu().numpy()
    record["light"] = light[row].cpu().numpy()
    record["offsets"] = attributes.offsets[row].cpu().numpy()
    record["texture"] = (attributes.texture[row].clamp(0, 1) * 255).round().byte().cpu().numpy()
    for name, values in measured.items():
        record[name] = values[row].item()
