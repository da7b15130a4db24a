"""GLBs of `mmgen reconstruct` put back into the photos they were made from."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from mmgen.assets.asset import Asset
from mmgen.assets.glb import read_glb
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import display_name, path_of_name
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.photos import Loaded
from mmgen.photos.inputs import REJECTED_FOLDER
from mmgen.work.records import PhotoRecord, Record, read_records
from recon.evaluation.predictions import Prediction
from recon.evaluation.surfaces import Surface
from recon.structures import Camera

ASPECT_TOLERANCE = 0.02


class MeshFolder:
    """Finds the asset of a photo: by the run record, else by its name."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FatalError("meshes_missing", f"there is no folder {display_name(folder)}", "Check --meshes.")
        self._folder = folder
        records = read_records(folder)
        self._by_photo: dict[str, tuple[Record, PhotoRecord | None]] = {}
        for one in records.values():
            parts: tuple[Record | PhotoRecord, ...] = one.photos or (one,)
            for part in parts:
                if part.root:
                    shared = part if isinstance(part, PhotoRecord) else None
                    photo = Path(path_of_name(part.root), path_of_name(part.input))
                    self._by_photo[os.path.realpath(photo)] = one, shared
        self._by_name = records

    def answer(self, photo: Loaded) -> Prediction:
        """The asset in the frame of its photo.

        Raises:
            ItemError: `mesh_missing`, the error that the reconstruction had, or as from `read_glb` and `answer_of`.
        """
        path = self.path_of(photo.item)
        try:
            asset = read_glb(path)
            part = self._by_photo.get(os.path.realpath(photo.item.image), (None, None))[1]
            if part is not None:
                asset = replace(asset, provenance={**asset.provenance, **_own_row(asset, part)})
            return answer_of(asset, photo.photo_size)
        except ItemError as error:
            name = display_name(path)
            message = error.message if name in error.message else f"{name}: {error.message}"
            raise ItemError(error.code, message, error.hint) from error

    def path_of(self, item: DataSetPhoto) -> Path:
        """Where the asset of a photo is.

        Raises:
            ItemError: `mesh_missing`, or the error that the reconstruction had.
        """
        record, part = self._record(item)
        failed = part if part is not None and part.error else record if record and record.output is None else None
        if failed is not None:
            message = f"{item.name} was not reconstructed: {failed.message}"
            raise ItemError(failed.error or "not_reconstructed", message, failed.hint or "Reconstruct it again.")
        path = self._by_place(item) if record is None else self._folder / str(record.output)
        if path is None or not path.is_file():
            raise ItemError(
                "mesh_missing",
                f"{display_name(self._folder)} has no mesh of {display_name(item.name)}",
                "Reconstruct this part of the data set, or choose another --split.",
            )
        return path

    def confidence_of(self, item: DataSetPhoto) -> float | None:
        """How sure the run was of the asset of a photo; None where its record does not say."""
        record = self._record(item)[0]
        return None if record is None else record.confidence

    def _record(self, item: DataSetPhoto) -> tuple[Record | None, PhotoRecord | None]:
        found = self._by_photo.get(os.path.realpath(item.image))
        if found is not None:
            return found
        return next((self._by_name[name] for name in _endings(item.name) if name in self._by_name), None), None

    def _by_place(self, item: DataSetPhoto) -> Path | None:
        for name in _endings(item.name):
            for folder in (self._folder, self._folder / REJECTED_FOLDER):
                path = (folder / name).with_suffix(".glb")
                if path.is_file():
                    return path
        return None


def _own_row(asset: Asset, part: PhotoRecord) -> Mapping[str, Any]:
    """What the provenance of an asset of several photos says of one of them: the camera, above all."""
    rows = asset.provenance.get("photos")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and (row.get("input"), row.get("input_sha256")) == (part.input, part.input_sha256):
            return row
    return {"camera": None}


def answer_of(asset: Asset, photo_size: tuple[int, int]) -> Prediction:
    """An asset in the world and under the camera that it was made with, drawn in the frame of its photo.

    Args:
        asset: with provenance; metres, pivot between the feet.
        photo_size: (height, width); another resolution of the same photo is fine.

    Raises:
        ItemError: `asset_camera_missing`, or `photo_size` where the photo has another shape than the asset's.
    """
    try:
        return _answer(asset, asset.provenance, photo_size)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise ItemError(
            "asset_camera_missing",
            f"its provenance does not say how it lies in its photo ({type(error).__name__}: {error})",
            "Make it with `mmgen reconstruct`; exports of other tools drop the camera.",
        ) from error


def _answer(asset: Asset, provenance: Mapping[str, Any], photo_size: tuple[int, int]) -> Prediction:
    height, width = (float(side) for side in provenance["photo_size_px"])
    if abs(height / width * photo_size[1] / photo_size[0] - 1) > ASPECT_TOLERANCE:
        raise ItemError(
            "photo_size",
            f"it was made from a photo of {width:g} x {height:g} pixels, not {photo_size[1]} x {photo_size[0]}",
            "Score it against the photos it was made from.",
        )
    crop = {name: float(provenance["crop_px"][name]) for name in ("left", "top", "width", "height")}
    pose = provenance["camera"]
    names = ("azimuth_deg", "elevation_deg", "distance")
    azimuth, elevation, distance = (torch.tensor([float(pose[name])]) for name in names)
    offset = torch.tensor([[float(value) for value in pose["offset"]]])
    numbers = torch.cat((azimuth, elevation, distance, offset.flatten(), torch.tensor([*crop.values()])))
    if not (numbers.isfinite().all() and offset.shape == (1, 2) and distance > 0 and crop["height"] > 0):
        raise ValueError("the camera is no camera")
    # A crop of the photo with square pixels: the same picture plane, cut differently.
    camera = Camera(azimuth, elevation, distance, offset, float(pose["focal"]) * crop["height"] / height)
    shift = ((2 * crop["left"] + crop["width"]) / width - 1, 1 - (2 * crop["top"] + crop["height"]) / height)
    return Prediction(_surface(asset, provenance["placement"]), camera, shift)


def _surface(asset: Asset, placement: Mapping[str, Any]) -> Surface:
    pivot = np.array([float(value) for value in placement["pivot"]])
    vertices = asset.vertices.astype(np.float64) * (float(placement["height"]) / asset.height_m) + pivot
    texture = torch.from_numpy(asset.texture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    return Surface(
        torch.from_numpy(vertices.astype(np.float32)),
        torch.from_numpy(asset.faces.astype(np.int64)),
        torch.from_numpy(asset.face_uv),
        texture,
    )


def _endings(name: str) -> list[str]:
    """`a/b/c`, `b/c`, `c`."""
    parts = PurePosixPath(name).parts
    return ["/".join(parts[start:]) for start in range(len(parts))]
