"""All photos of a person to one asset: every photo answered on its own, then fused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import torch

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_or_none
from mmgen.core.listing import display_name
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.job import photos_digest, rounded_quality
from mmgen.reconstruction.network import NetworkReconstructor
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.reconstruction.prepare import Prepared
from mmgen.reconstruction.result import (
    Body,
    Reconstructed,
    RunContext,
    asset_of,
    provenance_of,
)
from mmgen.work.records import PhotoRecord
from recon.fitting.stretch import stretched_triangles
from recon.predict import PhotoFit, PredictedPerson, photo_fit
from recon.structures import Camera, TexturedMesh
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

    def prepare(self, item: InputItem) -> tuple[PreparedPerson]:
        """Read all photos of a person and their masks; those that cannot be used, or show several people, are left out.

        Raises:
            ItemError: what is wrong with the only photo; `no_photo_usable` where there are several.
        """
        photos, left_out, errors, single = [], [], [], self._single.chosen_for(item)
        for photo in item.photos:
            try:
                photos.append(_only_one(single.prepare(photo), photo))
            except ItemError as error:
                errors.append(error)
                left_out.append(_left_out(photo, error))
        if not photos:
            raise errors[0] if len(errors) == 1 else _none_usable(item, errors)
        finest = max(photo.texture_size for photo in photos)
        photos = [replace(photo, texture_size=finest) for photo in photos]
        return (PreparedPerson(item, tuple(photos), tuple(left_out)),)

    def reconstruct(self, batch: list[PreparedPerson]) -> Sequence[Reconstructed | ItemError]:
        """One asset per person, in order."""
        made: dict[int, Reconstructed] = {}
        for single, places in self._single.shared([person.item for person in batch]):
            people = [batch[place] for place in places]
            predicted = iter(single.predict([photo for person in people for photo in person.photos]))
            for place, person in zip(places, people, strict=True):
                made[place] = self._person(single, person, [next(predicted) for _ in person.photos])
        return [made[place] for place in range(len(batch))]

    @torch.no_grad()
    def _person(
        self, single: NetworkReconstructor, person: PreparedPerson, predicted: Sequence[PredictedPerson]
    ) -> Reconstructed:
        prototype = single.predict.weights.encoder.prototype
        alone = [single.body(one) for one in predicted]
        offsets = torch.cat([one.attributes.offsets for one in predicted])
        fit = offsets.new_tensor([one.fit.mask_iou for one in predicted])
        cameras = Camera.joined([one.camera for one in predicted])
        shape = fuse_shapes(offsets, cameras, fit.clamp(min=LEAST_FIT))
        resolution = offsets.new_tensor([self._resolution(*pair) for pair in zip(person.photos, alone, strict=True)])
        fuse = TextureFuser(single.predict.predictor.layout(person.photos[0].texture_size))
        baked = fuse([one.baked for one in predicted], resolution, shape.reference)
        mesh = replace(alone[0].mesh, vertices=(prototype.vertices + shape.offsets)[None], texture=baked.texture[None])
        words = f"{single.offsets_source}, from {len(predicted)} photos"
        fused = [
            replace(
                one,
                mesh=mesh,
                seen_fraction=baked.seen_fraction,
                seen=baked.vertex_seen,
                offsets_source=words,
                fit=_fit(mesh, one.camera, photo),
                stretched_triangles=stretched_triangles(mesh.vertices[0], prototype),
            )
            for photo, one in zip(person.photos, alone, strict=True)
        ]
        return finish_person(person, fused, shape, RunContext(single.options, self.weights_sha256))

    @staticmethod
    def _resolution(photo: Prepared, body: Body) -> float:
        """Pixels of the photo along a template unit, as far as the texture has texels for them."""
        pixels = body.camera.focal / 2 * photo.box.height / float(body.camera.distance[0])
        height = float(body.mesh.vertices[0, :, 1].max() - body.mesh.vertices[0, :, 1].min())
        return min(pixels, photo.texture_size[0] / 2 / height)


def _fit(mesh: TexturedMesh, camera: Camera, photo: Prepared) -> PhotoFit:
    crop = photo.tensors().to(mesh.vertices.device)
    return photo_fit(mesh, camera, crop.image, crop.mask)


def finish_person(
    person: PreparedPerson, bodies: Sequence[Body], shape: FusedShape, origin: RunContext
) -> Reconstructed:
    """The asset of a fused body, measured against every photo.

    Args:
        bodies: the body under the camera and in the light of each photo.
        shape: which photo says the pose, and how much each counts.
        origin: what all results of a run have in common.
    """
    order = sorted(range(len(bodies)), key=lambda index: index != shape.reference)
    records = tuple(_used(person.photos[index], bodies[index].fit) for index in order)
    figures = shape.weights.new_tensor([(body.fit.mask_iou, body.fit.ssim) for body in bodies])
    mask_iou, ssim = (shape.weights @ figures).tolist()
    reference, body = person.photos[shape.reference], bodies[shape.reference]
    overall = _overall(person, shape.reference)
    rows = [
        _photo_row(person.photos[index], bodies[index], origin) | {"share": _share(shape, index)}
        for index in range(len(bodies))
    ]
    whole = replace(body, fit=PhotoFit(mask_iou, ssim))
    provenance = provenance_of(reference, whole, origin) | overall | {"photos": rows}
    return Reconstructed(
        asset_of(PurePath(person.item.name).stem, body, provenance["height_m"], provenance, origin.options.rig),
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


def _photo_row(photo: Prepared, body: Body, origin: RunContext) -> dict[str, Any]:
    """One photo in the provenance of the asset."""
    whole = provenance_of(photo, body, origin)
    return {name: whole[name] for name in PHOTO_KEYS if name in whole}


def _share(shape: FusedShape, index: int) -> float:
    """How large a photo's part in the shape is."""
    return round(float(shape.weights[index]), 6)


def _used(photo: Prepared, fit: PhotoFit) -> PhotoRecord:
    return PhotoRecord(
        input=photo.item.name,
        root=display_name(photo.item.root),
        input_sha256=photo.input_sha256,
        mask_source=photo.found.source,
        mask_sha256=photo.found.sha256,
        mask_quality=rounded_quality(photo.found.quality),
        mask_iou=round(fit.mask_iou, 6),
        ssim=round(fit.ssim, 6),
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
