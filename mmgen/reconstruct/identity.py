"""All photos of a person to one asset: every photo answered on its own, then fused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import Any

import torch

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_or_none
from mmgen.core.listing import display_name
from mmgen.photos.inputs import InputItem
from mmgen.reconstruct.job import photos_digest, rounded_quality
from mmgen.reconstruct.network import NetworkReconstructor, light_of
from mmgen.reconstruct.prepare import Prepared
from mmgen.reconstruct.result import (
    Body,
    Reconstructed,
    ReconstructOptions,
    RunContext,
    asset_of,
    measured,
    provenance_of,
)
from mmgen.work.records import PhotoRecord
from recon.batching import joined_cameras
from recon.camera import in_camera_frame
from recon.structures import Attributes, TexturedMesh
from recon.texturing.fuse import FusedShape, TextureFuser, fuse_shapes

MIXED_MASKS = "mixed"
"""Mask source of an asset whose photos' masks were found in different places."""


LEAST_FIT = 0.05
"""A photo that nothing fits still counts a little, so that someone is left where all are like that."""

PHOTO_KEYS = (
    "input",
    "input_sha256",
    "mask_source",
    "mask_sha256",
    "mask_quality",
    "camera",
    "light_predicted",
    "crop_px",
    "photo_size_px",
    "mask_iou",
    "ssim",
)
"""What provenance says of each of several photos, as it does of a single one."""


@dataclass(frozen=True)
class PreparedPerson:
    """The photos of one person, read and cut out.

    Attributes:
        item: who.
        photos: those that can be used, at least one.
        left_out: records of the others.
        person: as of a photo that shows one person.
    """

    item: InputItem
    photos: tuple[Prepared, ...]
    left_out: tuple[PhotoRecord, ...]
    person: tuple[int, int] = (1, 1)


class IdentityReconstructor:
    """Fuses the photos of each person; a result depends on these alone, in their order.

    Raises:
        FatalError: the weights file is missing, damaged, or none of ours.
    """

    def __init__(self, options: ReconstructOptions) -> None:
        self.options = options
        self._single = NetworkReconstructor(options)
        self.weights_sha256 = self._single.weights_sha256

    @cached_property
    def _fuser(self) -> TextureFuser:
        return TextureFuser(self._single.layout)

    def prepare(self, item: InputItem) -> tuple[PreparedPerson]:
        """Read all photos of a person and their masks; those that cannot be used, or show several people, are left out.

        Raises:
            ItemError: what is wrong with the only photo; `no_photo_usable` where there are several.
        """
        photos, left_out, errors = [], [], []
        for photo in item.photos:
            try:
                photos.append(_only_one(self._single.prepare(photo), photo))
            except ItemError as error:
                errors.append(error)
                left_out.append(_left_out(photo, error))
        if not photos:
            raise errors[0] if len(errors) == 1 else _none_usable(item, errors)
        return (PreparedPerson(item, tuple(photos), tuple(left_out)),)

    def reconstruct(self, batch: list[PreparedPerson]) -> Sequence[Reconstructed | ItemError]:
        """One asset per person, in order."""
        answers = iter(self._single.answers([photo for person in batch for photo in person.photos]) if batch else [])
        with torch.no_grad():
            return [self._person(person, [next(answers) for _ in person.photos]) for person in batch]

    def _person(self, person: PreparedPerson, answers: list[Attributes]) -> Reconstructed:
        prototype = self._single.weights.encoder.prototype
        cameras = [in_camera_frame(answer.camera) for answer in answers]
        textures = [self._single.painted(*pair) for pair in zip(person.photos, answers, strict=True)]
        alone = [
            Body(
                TexturedMesh(
                    prototype.vertices + answer.offsets, prototype.faces, prototype.face_uv, baked.texture[None]
                ),
                camera,
                baked.seen_fraction,
                baked.vertex_seen,
                self._single.offsets_source,
                light_of(answer),
            )
            for answer, camera, baked in zip(answers, cameras, textures, strict=True)
        ]
        offsets = torch.cat([answer.offsets for answer in answers])
        fit = offsets.new_tensor([measured(*pair)[0] for pair in zip(person.photos, alone, strict=True)])
        shape = fuse_shapes(offsets, joined_cameras(cameras), fit.clamp(min=LEAST_FIT))
        resolution = offsets.new_tensor([self._resolution(*pair) for pair in zip(person.photos, alone, strict=True)])
        baked = self._fuser(textures, resolution, shape.reference)
        mesh = replace(alone[0].mesh, vertices=(prototype.vertices + shape.offsets)[None], texture=baked.texture[None])
        words = f"{self._single.offsets_source}, from {len(answers)} photos"
        fused = [
            replace(one, mesh=mesh, seen_fraction=baked.seen_fraction, seen=baked.vertex_seen, offsets_source=words)
            for one in alone
        ]
        return finish_person(person, fused, shape, RunContext(self.options, self.weights_sha256))

    def _resolution(self, photo: Prepared, body: Body) -> float:
        """Pixels of the photo along a template unit, as far as the texture has texels for them."""
        pixels = body.camera.focal / 2 * photo.box.height / float(body.camera.distance[0])
        height = float(body.mesh.vertices[0, :, 1].max() - body.mesh.vertices[0, :, 1].min())
        return min(pixels, self.options.texture_size[0] / 2 / height)


def finish_person(
    person: PreparedPerson, bodies: Sequence[Body], shape: FusedShape, origin: RunContext
) -> Reconstructed:
    """The asset of a fused body, measured against every photo.

    Args:
        person: its photos.
        bodies: the body under the camera and in the light of each photo.
        shape: which photo says the pose, and how much each counts.
        origin: what all results of a run have in common.
    """
    order = sorted(range(len(bodies)), key=lambda index: index != shape.reference)
    figures = [measured(photo, body) for photo, body in zip(person.photos, bodies, strict=True)]
    records = tuple(_used(person.photos[index], figures[index]) for index in order)
    mask_iou, ssim = (shape.weights @ shape.weights.new_tensor(figures)).tolist()
    reference, body = person.photos[shape.reference], bodies[shape.reference]
    overall = _overall(person, shape.reference)
    rows = [
        _photo_row(person.photos[index], bodies[index], origin, figures[index]) | {"share": _share(shape, index)}
        for index in range(len(bodies))
    ]
    provenance = provenance_of(reference, body, origin, (mask_iou, ssim)) | overall | {"photos": rows}
    return Reconstructed(
        asset_of(PurePath(person.item.name).stem, body, provenance["height_m"], provenance),
        mask_iou,
        ssim,
        overall["mask_source"],
        overall["input_sha256"],
        overall["mask_sha256"],
        (),
        overall["mask_quality"],
        photos=records + person.left_out,
    )


def _overall(person: PreparedPerson, reference: int) -> dict[str, Any]:
    """Input and mask of an asset, as provenance and run record have them for one photo; photos in their own order."""
    found = [photo.found for photo in person.photos]
    sources = sorted({one.source for one in found})
    qualities = [one.quality for one in found if one.quality is not None]
    return {
        "input": person.item.name,
        "input_sha256": photos_digest([photo.input_sha256 for photo in person.photos]),
        "mask_source": sources[0] if len(sources) == 1 else MIXED_MASKS,
        "mask_sha256": photos_digest([one.sha256 for one in found]),
        "mask_quality": min(qualities, default=None),
        "pose_from": person.photos[reference].item.name,
    }


def _photo_row(photo: Prepared, body: Body, origin: RunContext, figures: tuple[float, float]) -> dict[str, Any]:
    """One photo in the provenance of the asset."""
    whole = provenance_of(photo, body, origin, figures)
    return {name: whole[name] for name in PHOTO_KEYS if name in whole}


def _share(shape: FusedShape, index: int) -> float:
    """How large a photo's part in the shape is."""
    return round(float(shape.weights[index]), 6)


def _used(photo: Prepared, figures: tuple[float, float]) -> PhotoRecord:
    return PhotoRecord(
        input=photo.item.name,
        root=display_name(photo.item.root),
        input_sha256=photo.input_sha256,
        mask_source=photo.found.source,
        mask_sha256=photo.found.sha256,
        mask_quality=rounded_quality(photo.found.quality),
        mask_iou=round(figures[0], 6),
        ssim=round(figures[1], 6),
        notes=photo.notes,
    )


def _only_one(people: Sequence[Prepared], photo: InputItem) -> Prepared:
    if len(people) > 1:
        raise ItemError(
            "several_people",
            f"{display_name(photo.path)} shows {len(people)} people, and cannot say which of them is meant",
            "Cut the photo, or give it a mask of one person.",
        )
    return people[0]


def _left_out(photo: InputItem, error: ItemError) -> PhotoRecord:
    return PhotoRecord(
        input=photo.name,
        root=display_name(photo.root),
        input_sha256=sha256_or_none(photo.path),
        error=error.code,
        message=error.message,
        hint=error.hint,
    )


def _none_usable(item: InputItem, errors: Sequence[ItemError]) -> ItemError:
    return ItemError(
        "no_photo_usable",
        f"none of the {len(errors)} photos of {item.name} can be used; the first: {errors[0].message}",
        errors[0].hint,
    )
