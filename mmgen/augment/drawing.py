"""Second stage: the views of one set. A pure function of the set, its photos' attributes and the options."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmgen.augment.capture import Compression, added_noise, light_of
from mmgen.augment.compositing import SUPERSAMPLING, developed, finish, with_shadow
from mmgen.augment.garments import garment_map
from mmgen.augment.mixing import mixed, textures
from mmgen.augment.options import CameraTrait
from mmgen.augment.plan import Plan, VirtualSet, generator_of
from mmgen.augment.poses import Poser, drawn_phases
from mmgen.augment.rendering import BodyRenderer, source_camera
from mmgen.augment.store import StoreReader, texture_size
from mmgen.models.weights import Weights
from recon.structures import Camera

BANDS = 12
"""Horizontal slices of a person that are compared between views, head to feet."""

COVERED = 0.5

NOISE_SPARE_PX = 64
"""How much larger than a picture the noise is that pictures are cut from, each at a place of its own."""


@dataclass(frozen=True)
class View:
    """One picture of a virtual person.

    Attributes:
        image: uint8 [H, W, 3].
        turn_deg: against the source pose.
        camera: `azimuth_deg`, `elevation_deg`, `distance` as used.
        background: index of the photo that lent it.
        phase: of the gait, 0..1; None in the photo's pose.
        compression: of the file that the picture goes to.
    """

    image: NDArray[np.uint8]
    turn_deg: int
    camera: dict[str, float]
    background: int
    phase: float | None
    quality: dict[str, float]
    compression: Compression


class ViewRenderer:
    """Draws sets of a plan."""

    def __init__(self, plan: Plan, reader: StoreReader, weights: Weights) -> None:
        self._plan = plan
        self._reader = reader
        self._mesh = weights.encoder.prototype
        config = weights.encoder.config
        self._ranges = config.ranges
        self._person = BodyRenderer(self._mesh, (config.height, config.width), plan.options.look.size)
        self._poser = Poser(self._mesh.to("cpu"))
        self._usable = np.flatnonzero(reader.usable())
        photos, colours = plan.photos, reader.colours()
        people, cameras = [photo.pid for photo in photos], [photo.camid for photo in photos]
        self._light = light_of(colours if self._takes("light") else 0 * colours, people, cameras, reader.usable())
        self._noise = _white_noise(*plan.options.look.size)
        self._garments = garment_map(self._mesh.to("cpu"), texture_size(plan.options))

    def draw(self, virtual: VirtualSet) -> tuple[View, ...]:
        """All views of one set, in the order of the turns.

        They are always drawn together, so that no view depends on how work is cut up.
        """
        random, look = generator_of(virtual), self._plan.options.look
        record = self._reader[virtual.first]
        own, partner = textures(self._reader, [virtual.first]), textures(self._reader, virtual.partners)
        partner = (partner * torch.from_numpy(self._gain(virtual.partners, virtual.first))[:, None, None]).clamp(max=1)
        texture = mixed(own, partner, virtual.outfit, self._garments)
        camera = self._cameras(record, random)
        backgrounds = [self._background(virtual, random) for _ in look.turns_deg]
        stride, phases = drawn_phases(look.poses, len(look.turns_deg), random)
        with torch.inference_mode():
            image, face_index = self._person(record, texture, camera, self._poser(self._body(record), stride, phases))
        gains = np.stack([self._gain([virtual.first], index) for index in backgrounds])
        plates = np.stack([self._reader[index]["plate"] for index in backgrounds])
        covered = face_index[:, SUPERSAMPLING - 1 :: SUPERSAMPLING, ::SUPERSAMPLING].cpu().numpy() >= 0
        plates = with_shadow(plates, covered, look.shadow) if look.shadow else plates
        images, person, cover = finish(image.cpu().numpy(), face_index.cpu().numpy(), plates, gains)
        sharpening = float(record["sharpening"]) if self._takes("sharpness") else 0.0
        images = developed(images, person, cover, sharpening, self._grain(virtual.first, backgrounds, random))
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
                self._compression(backgrounds[index]),
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
        camera = source_camera(record, look.turns_deg)
        return replace(camera, elevation_deg=torch.tensor(elevations), distance=torch.tensor(distances))

    def _takes(self, trait: CameraTrait) -> bool:
        return trait in self._plan.options.look.like_camera

    def _gain(self, sources: Sequence[int], place: int) -> NDArray[np.float32]:
        """[3] what colours of these photos are multiplied by, to be seen in the light of the photo `place`."""
        gain: NDArray[np.float32] = np.exp(self._light[place] - self._light[list(sources)].mean(axis=0))
        return gain

    def _grain(self, first: int, backgrounds: Sequence[int], random: Random) -> NDArray[np.float32] | None:
        """[N, H, W, 3] noise of the cameras behind, less what came with the texture; grey levels."""
        if not self._takes("noise"):
            return None
        height, width = self._plan.options.look.size
        own = float(self._reader[first]["noise"])
        grain = np.empty((len(backgrounds), height, width, 3), np.float32)
        for view, index in enumerate(backgrounds):
            top, left = random.randrange(NOISE_SPARE_PX), random.randrange(NOISE_SPARE_PX)
            amount = np.float32(added_noise(float(self._reader[index]["noise"]), own))
            np.multiply(self._noise[top : top + height, left : left + width], amount, out=grain[view])
        return grain

    def _compression(self, place: int) -> Compression:
        quality, subsampling = self._reader[place]["compression"].tolist()
        if quality and self._takes("compression"):
            return Compression(quality, subsampling)
        return Compression(self._plan.options.look.jpeg_quality)

    def _background(self, virtual: VirtualSet, random: Random) -> int:
        drawn = int(self._usable[random.randrange(len(self._usable))])
        return drawn if self._plan.options.look.background == "other" else virtual.first

    def _body(self, record: Any) -> Tensor:
        """[V, 3] in the pose of the photo."""
        return self._mesh.vertices.cpu() + torch.from_numpy(record["offsets"].astype(np.float32))


def _white_noise(height: int, width: int) -> NDArray[np.float32]:
    """[H + 64, W + 64, 3] of standard deviation 1, always the same: NumPy has frozen this generator's stream."""
    size = (height + NOISE_SPARE_PX, width + NOISE_SPARE_PX, 3)
    return np.random.RandomState(0).standard_normal(size).astype(np.float32)


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
