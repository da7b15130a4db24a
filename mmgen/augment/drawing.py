"""Second stage: the views of one set. A pure function of the set, its photos' attributes and the options."""

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmgen.augment.compositing import SUPERSAMPLING, finish, sharpened, with_shadow
from mmgen.augment.garments import garment_map
from mmgen.augment.mixing import mixed, textures
from mmgen.augment.plan import Plan, VirtualSet, generator_of
from mmgen.augment.poses import Poser, drawn_phases
from mmgen.augment.store import StoreReader, texture_size
from mmgen.models.weights import Weights
from recon.camera import project
from recon.render.api import rasterize
from recon.render.scene import SLIVER_AREA, gather_corners, shade
from recon.structures import Camera

BANDS = 12
"""Horizontal slices of a person that are compared between views, head to feet."""

COVERED = 0.5


@dataclass(frozen=True)
class View:
    """One picture of a virtual person.

    Attributes:
        image: uint8 [H, W, 3].
        turn_deg: against the source pose.
        camera: `azimuth_deg`, `elevation_deg`, `distance` as used.
        background: index of the photo that lent it.
        phase: of the gait, 0..1; None in the photo's pose.
    """

    image: NDArray[np.uint8]
    turn_deg: int
    camera: dict[str, float]
    background: int
    phase: float | None
    quality: dict[str, float]


class ViewRenderer:
    """Draws sets of a plan."""

    def __init__(self, plan: Plan, reader: StoreReader, weights: Weights) -> None:
        self._plan = plan
        self._reader = reader
        self._mesh = weights.encoder.prototype
        config = weights.encoder.config
        self._ranges, self._crop_size = config.ranges, (config.height, config.width)
        self._poser = Poser(self._mesh.to("cpu"))
        self._usable = np.flatnonzero(reader.usable())
        self._garments = garment_map(self._mesh.to("cpu"), texture_size(plan.options))

    def draw(self, virtual: VirtualSet) -> tuple[View, ...]:
        """All views of one set, in the order of the turns.

        They are always drawn together, so that no view depends on how work is cut up.
        """
        random, look = generator_of(virtual), self._plan.options.look
        record = self._reader[virtual.first]
        own, partner = textures(self._reader, [virtual.first]), textures(self._reader, virtual.partners)
        texture = mixed(own, partner, virtual.outfit, self._garments)
        camera = self._cameras(record, random)
        backgrounds = [self._background(virtual, random) for _ in look.turns_deg]
        stride, phases = drawn_phases(look.poses, len(look.turns_deg), random)
        with torch.inference_mode():
            image, face_index = self._person(record, texture, camera, self._poser(self._body(record), stride, phases))
        plates = np.stack([self._reader[index]["plate"] for index in backgrounds])
        covered = face_index[:, SUPERSAMPLING - 1 :: SUPERSAMPLING, ::SUPERSAMPLING].cpu().numpy() >= 0
        plates = with_shadow(plates, covered, look.shadow) if look.shadow else plates
        images, person, cover = finish(image.cpu().numpy(), face_index.cpu().numpy(), plates)
        if look.sharpening:
            images = sharpened(images, person, cover, look.sharpening)
        scores = view_consistency(person, cover)
        return tuple(
            View(
                images[index],
                turn,
                _camera_at(camera, index),
                backgrounds[index],
                phases[index],
                {
                    "mask_area": round(float(cover[index].mean()), 4),
                    "folded": round(float(record["folded"]), 4),
                    "source_iou": round(float(record["mask_iou"]), 4),
                    "view_consistency": round(scores[index], 4),
                },
            )
            for index, turn in enumerate(look.turns_deg)
        )

    def _cameras(self, record: Any, random: Random) -> Camera:
        """The source's camera turned, and jittered anew in every view; never out of the encoder's own ranges."""
        look, ranges = self._plan.options.look, self._ranges
        elevations, distances = [], []
        for _ in look.turns_deg:
            elevation = float(record["elevation_deg"]) + look.elevation_jitter_deg * random.gauss(0, 1)
            distance = float(record["distance"]) + look.distance_jitter * random.gauss(0, 1)
            elevations.append(min(max(elevation, ranges.elevation_deg[0]), ranges.elevation_deg[1]))
            distances.append(min(max(distance, ranges.distance[0]), ranges.distance[1]))
        azimuth = torch.tensor(look.turns_deg, dtype=torch.float32) + float(record["azimuth_deg"])
        offset = torch.from_numpy(record["offset"].copy()).expand(len(look.turns_deg), 2)
        focal = float(record["focal"])
        return Camera((azimuth + 180) % 360 - 180, torch.tensor(elevations), torch.tensor(distances), offset, focal)

    def _background(self, virtual: VirtualSet, random: Random) -> int:
        drawn = int(self._usable[random.randrange(len(self._usable))])
        return drawn if self._plan.options.look.background == "other" else virtual.first

    def _body(self, record: Any) -> Tensor:
        """[V, 3] in the pose of the photo."""
        return self._mesh.vertices.cpu() + torch.from_numpy(record["offsets"].astype(np.float32))

    def _person(self, record: Any, texture: Tensor, camera: Camera, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, H, W] colours and [N, H, W] face index (-1: nobody) in fine pixels of the whole photo's frame."""
        device = self._mesh.vertices.device
        count, (height, width) = len(camera), self._plan.options.look.size
        ndc, in_camera = project(vertices.to(device), camera.to(device), *self._crop_size)
        scale, shift = torch.from_numpy(record["frame"].copy()).to(device).split(2)
        corners, z, facing = gather_corners(ndc * scale + shift, in_camera, self._mesh.faces, SLIVER_AREA)
        features = self._mesh.face_uv.expand(count, -1, -1, -1).contiguous()
        drawn, face_index = rasterize(SUPERSAMPLING * height, SUPERSAMPLING * width, z, corners, features, facing >= 0)
        assert isinstance(drawn, Tensor)
        return shade(drawn, face_index, texture.to(device).expand(count, -1, -1, -1), None), face_index


def _camera_at(camera: Camera, index: int) -> dict[str, float]:
    return {
        "azimuth_deg": round(camera.azimuth_deg[index].item(), 3),
        "elevation_deg": round(camera.elevation_deg[index].item(), 3),
        "distance": round(camera.distance[index].item(), 4),
    }


def view_consistency(person: NDArray[np.float32], cover: NDArray[np.float32]) -> list[float]:
    """How much every view of one person shows the same clothes: 1 - distance to the mean of all views.

    Each view becomes a profile: the mean colours of 12 equal slices between the person's own top and bottom. The
    distance is the mean absolute difference of profiles, colours in 0..1. A back that was painted with background
    scores low, whatever the silhouette. A view without a person scores 0.

    Args:
        person: [N, H, W, 3] colours times coverage, 0..1.
        cover: [N, H, W] coverage, 0..1.
    """
    profiles = [_profile(*pair) for pair in zip(person, cover, strict=True)]
    seen = [profile for profile in profiles if profile is not None]
    if not seen:
        return [0.0] * len(profiles)
    mean = np.mean(seen, axis=0)
    return [0.0 if one is None else 1 - float(np.abs(one - mean).mean()) for one in profiles]


def _profile(person: NDArray[np.float32], cover: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """[12, 3] mean colours from top to bottom; None without a person."""
    rows = np.flatnonzero((cover > COVERED).any(axis=1))
    if not len(rows):
        return None
    top, bottom = rows[0], rows[-1] + 1
    sums = np.concatenate((np.einsum("hwc->hc", person), np.einsum("hw->h", cover)[:, None]), axis=1, dtype=np.float64)
    until = np.concatenate((np.zeros((1, 4)), sums.cumsum(axis=0)))
    bands = np.diff(until[top + (bottom - top) * np.arange(BANDS + 1) // BANDS], axis=0)
    return bands[:, :3] / np.maximum(bands[:, 3:], 1e-6)
