"""First stage: every training photo to its body and texture, once, as `mmgen reconstruct` predicts them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mmgen.augment.capture import compression_of, mean_colour, noise_level, sharpening_for
from mmgen.augment.compositing import finish
from mmgen.augment.ground import without_person
from mmgen.augment.plan import Plan
from mmgen.augment.rendering import BodyRenderer, source_camera
from mmgen.augment.sources import Source
from mmgen.augment.store import PhotoNote, Store, block_type, mask_source, texture_size
from mmgen.core.errors import ItemError
from mmgen.masks.finding import find_mask
from mmgen.masks.structures import MaskSource
from mmgen.photos.images import Photo, read_image
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.network import PhotoPredictor
from mmgen.reconstruction.prepare import Prepared, cut_out
from recon.geometry import face_normals
from recon.predict import PredictedPerson

MASK_THRESHOLD = 127
SAME_LIGHT = np.ones((1, 3), np.float32)


@dataclass(frozen=True)
class BlockReport:
    """What became of one block: how many photos it has, and whether they were not there already."""

    photos: int
    is_new: bool


@dataclass(frozen=True)
class EncodingJob:
    """What a process needs to reconstruct blocks; picklable.

    Attributes:
        device: `cpu` or `cuda:N`.
    """

    plan: Plan
    root: Path
    store: Store
    weights: Path
    device: str

    def __call__(self) -> "BlockEncoder":
        """Load the networks."""
        options = self.plan.options
        predict = PhotoPredictor(self.weights, self.device, texture_size(options), options.refine_steps)
        return BlockEncoder(self, predict)


@dataclass(frozen=True)
class _SizedPhoto:
    """A photo at the size of the views.

    Attributes:
        rgb: uint8 [H, W, 3].
        mask: [H, W] the person.
        compression: quality and subsampling of its file.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    compression: tuple[int, int]


@dataclass(frozen=True)
class _Read:
    """A photo: its person cut out, itself at the size of the views, and a note; None if unusable."""

    person: Prepared | None
    sized: _SizedPhoto | None
    note: PhotoNote


class BlockEncoder:
    """Reconstructs blocks of photos; a block is a pure function of its photos, masks and weights."""

    def __init__(self, job: EncodingJob, predict: PhotoPredictor) -> None:
        self._job = job
        self.predict = predict
        encoder = predict.weights.encoder
        crop = (encoder.config.height, encoder.config.width)
        self._draw = BodyRenderer(encoder.prototype, crop, job.plan.options.look.size)

    def __call__(self, blocks: Sequence[int]) -> Iterator[tuple[int, BlockReport]]:
        """Reconstruct and write the blocks that another part of the run has not written meanwhile."""
        store = self._job.store
        for position, block in enumerate(blocks):
            is_new = not store.has(block)
            if is_new:
                store.write(block, *self.encode(store.range_of(block)))
            yield position, BlockReport(len(store.range_of(block)), is_new)

    def encode(self, photos: Sequence[int]) -> tuple[NDArray[Any], list[PhotoNote]]:
        """Bodies and textures of photos, and notes; unusable photos are all zeros."""
        options, prototype = self._job.plan.options, self.predict.weights.encoder.prototype
        read = [self._read(self._job.plan.photos[index]) for index in photos]
        found = [(index, one.person, one.sized) for index, one in enumerate(read) if one.person and one.sized]
        values = np.zeros(len(photos), block_type(len(prototype.vertices), texture_size(options), options.look.size))
        people = self.predict([person for _, person, _ in found])
        for (index, person, sized), predicted in zip(found, people, strict=True):
            _fill(values[index], person, predicted)
            values[index]["folded"] = self._folded(predicted)
            self._measure(values[index], sized)
        return values, [one.note for one in read]

    def _read(self, photo: Source) -> "_Read":
        path, masks = photo.path, MaskSource.parse(self._job.plan.options.masks)
        try:
            image = read_image(self._job.root / path)
            found = find_mask(image, mask_source(self._job.root, photo, masks), PurePath(path))
            item = InputItem(image.path, self._job.root, PurePath(path), path)
            person = cut_out(item, image, found, self.predict.framing)
        except ItemError as error:
            return _Read(None, None, PhotoNote(path, error.code, error.message))
        note = PhotoNote(path, None, None, image.sha256, found.source, found.sha256)
        return _Read(person, _sized(image, found.mask, self._job.plan.options.look.size), note)

    def _measure(self, record: Any, photo: _SizedPhoto) -> None:
        """What the camera did, and the place without the person."""
        record["plate"] = without_person(photo.rgb, photo.mask)
        record["colour"] = mean_colour(photo.rgb, photo.mask)
        record["noise"] = noise_level(photo.rgb)
        record["compression"] = photo.compression
        prototype = self.predict.weights.encoder.prototype
        vertices = prototype.vertices + torch.from_numpy(record["offsets"].astype(np.float32)).to(prototype.vertices)
        texture = torch.from_numpy(record["texture"].astype(np.float32) / np.float32(255))
        image, face_index = self._draw(record, texture, source_camera(record), vertices[None])
        _, person, cover = finish(image.cpu().numpy(), face_index.cpu().numpy(), record["plate"][None], SAME_LIGHT)
        record["sharpening"] = sharpening_for(photo.rgb, photo.mask, person[0], cover[0])

    def _folded(self, person: PredictedPerson) -> float:
        """Share of faces turned inside out against the prototype."""
        prototype = self.predict.weights.encoder.prototype
        own = face_normals(person.mesh.vertices, prototype.faces)
        along = (own * face_normals(prototype.vertices[None], prototype.faces)).sum(-1)
        return float((along < 0).float().mean())


def _sized(photo: Photo, mask: NDArray[np.uint8], size: tuple[int, int]) -> _SizedPhoto:
    rgb = _resized(Image.fromarray(photo.rgb), size, Image.Resampling.BICUBIC)
    small = _resized(Image.fromarray(mask), size, Image.Resampling.NEAREST) > MASK_THRESHOLD
    compression = compression_of(photo.path)
    return _SizedPhoto(rgb, small, (compression.quality, compression.subsampling))


def _resized(image: Image.Image, size: tuple[int, int], filter_: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(image if image.size == (size[1], size[0]) else image.resize((size[1], size[0]), filter_))


def _fill(record: Any, source: Prepared, person: PredictedPerson) -> None:
    camera, box, (height, width) = person.camera, source.box, source.photo_size
    record["usable"] = 1
    record["azimuth_deg"] = camera.azimuth_deg[0].item()
    record["elevation_deg"] = camera.elevation_deg[0].item()
    record["distance"] = camera.distance[0].item()
    record["offset"] = camera.offset[0].cpu().numpy()
    record["focal"] = camera.focal
    record["frame"] = (
        box.width / width,
        box.height / height,
        (box.left + box.right) / width - 1,
        1 - (box.top + box.bottom) / height,
    )
    record["offsets"] = person.attributes.offsets[0].detach().cpu().numpy()
    record["texture"] = (person.baked.texture * 255).round().to(torch.uint8).cpu().numpy()
    record["mask_iou"], record["ssim"] = person.fit.mask_iou, person.fit.ssim
