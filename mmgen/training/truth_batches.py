"""Training batches with truth: whatever moves or recolours a photo does the same to what is known about it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mmgen.training.degradation import degraded
from mmgen.training.truth_pack import TruthPack
from recon.structures import DEFAULT_FOCAL, Camera
from recon.training.step import GroundTruth, KnownPose

Pictures = NDArray[np.uint8]

FLIP_SHARE = 0.5
ZOOM_SPREAD = 0.07
SHIFT_SPREAD = 0.03
"""Standard deviations of the logarithm of the zoom, and of the shift in half image sides."""

CUT_SHARE = 0.08
CUT_ZOOM = (1.1, 1.35)
CUT_SHIFT = 0.2
"""Photos that a detector cut: head or feet outside."""

PADDING_PX = 24


@dataclass(frozen=True)
class Framing:
    """How photos were flipped, enlarged and moved: `x' = zoom * x + shift` in NDC after the flip.

    Attributes:
        flipped: [B].
        zoom: [B].
        shift: [B, 2] right and up, NDC.
    """

    flipped: NDArray[np.bool_]
    zoom: NDArray[np.float32]
    shift: NDArray[np.float32]


def random_framing(count: int, generator: np.random.Generator) -> Framing:
    """Draw framings for a batch."""
    zoom = np.exp(np.clip(generator.normal(0, ZOOM_SPREAD, count), -0.15, 0.15))
    shift = np.clip(generator.normal(0, SHIFT_SPREAD, (count, 2)), -0.08, 0.08)
    cut = generator.random(count) < CUT_SHARE
    zoom = np.where(cut, generator.uniform(*CUT_ZOOM, count), zoom)
    shift[:, 1] = np.where(cut, generator.uniform(-CUT_SHIFT, CUT_SHIFT, count), shift[:, 1])
    flipped = generator.random(count) < FLIP_SHARE
    return Framing(flipped, zoom.astype(np.float32), shift.astype(np.float32))


def framed_pictures(pictures: Pictures, framing: Framing) -> Pictures:
    """[B, H, W, 4] RGB and mask after flip, zoom, shift; colours continue beyond the border, masks do not."""
    return np.stack([_framed(picture, framing, index) for index, picture in enumerate(pictures)])


def _framed(picture: Pictures, framing: Framing, index: int) -> Pictures:
    height, width = picture.shape[:2]
    if framing.flipped[index]:
        picture = picture[:, ::-1]
    around = ((PADDING_PX, PADDING_PX), (PADDING_PX, PADDING_PX))
    image = Image.fromarray(np.pad(picture[..., :3], (*around, (0, 0)), mode="edge"))
    mask = Image.fromarray(np.pad(picture[..., 3], around))
    zoom, (right, up) = float(framing.zoom[index]), framing.shift[index].tolist()
    # PIL asks where an output pixel comes from.
    left = width / 2 * (1 - (1 + right) / zoom) + PADDING_PX
    top = height / 2 * (1 - (1 - up) / zoom) + PADDING_PX
    numbers = (1 / zoom, 0.0, left, 0.0, 1 / zoom, top)
    size = (width, height)
    moved = image.transform(size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR)
    outline = mask.transform(size, Image.Transform.AFFINE, numbers, Image.Resampling.NEAREST)
    return np.dstack([np.asarray(moved), np.asarray(outline)])


def framed_camera(numbers: NDArray[np.float32], framing: Framing, aspect: float) -> Camera:
    """Cameras that show what the framed photos show.

    Args:
        numbers: [B, 5] as in `TruthPack.camera`.
        aspect: image height / width.
    """
    side = np.where(framing.flipped, -1.0, 1.0)
    azimuth, elevation, distance, right, up = numbers.astype(np.float64).T
    new_distance = distance / framing.zoom
    # NDC of the body's origin, moved, and back to an offset at the new distance.
    x = framing.zoom * (side * right * DEFAULT_FOCAL * aspect / distance) + framing.shift[:, 0]
    y = framing.zoom * (up * DEFAULT_FOCAL / distance) + framing.shift[:, 1]
    offset = np.stack([x * new_distance / (DEFAULT_FOCAL * aspect), y * new_distance / DEFAULT_FOCAL], axis=1)
    return Camera(
        azimuth_deg=torch.from_numpy((side * azimuth).astype(np.float32)),
        elevation_deg=torch.from_numpy(elevation.astype(np.float32)),
        distance=torch.from_numpy(new_distance.astype(np.float32)),
        offset=torch.from_numpy(offset.astype(np.float32)),
    )


def known_batch(
    pictures: Pictures,
    truth: TruthPack,
    degradation: float,
    generator: np.random.Generator,
) -> tuple[Pictures, GroundTruth]:
    """Photos with random framing and faults, and what is then known about them.

    Args:
        pictures: [B, H, W, 4] RGB and mask.
        degradation: strength of the faults, see `mmgen.training.degradation`.
    """
    framing = random_framing(len(pictures), generator)
    framed = framed_pictures(pictures, framing)
    faulty = degraded(framed, degradation, generator)
    return faulty.pictures, known_truth(truth, framing, faulty.gain, framed[..., 3])


def known_truth(truth: TruthPack, framing: Framing, gain: NDArray[np.float32], masks: NDArray[np.uint8]) -> GroundTruth:
    """Truth of framed and recoloured photos with these masks, [B, H, W] 0 or 255."""
    vertices = truth.vertices[truth.mesh].astype(np.float32)
    texels = truth.texels[truth.mesh]
    flipped = framing.flipped
    vertices[flipped] = vertices[flipped][:, truth.partners] * np.array([-1, 1, 1], np.float32)
    texels[flipped] = texels[flipped][:, :, ::-1]
    colours = texels.transpose(0, 3, 1, 2) * (truth.gain * gain / np.float32(255))[:, :, None, None]
    return GroundTruth(
        framed_camera(truth.camera, framing, masks.shape[1] / masks.shape[2]),
        torch.from_numpy(masks.copy()).float().div_(255),
        torch.from_numpy(vertices),
        torch.from_numpy(np.ascontiguousarray(colours, dtype=np.float32)).clamp_(0, 1),
        _known_pose(truth, flipped) if truth.knows_poses else None,
    )


def _known_pose(truth: TruthPack, flipped: NDArray[np.bool_]) -> KnownPose:
    rest, rotations = truth.rest[truth.mesh], truth.rotations[truth.mesh]
    mirror = np.array([-1, 1, 1], np.float32)
    rest[flipped] = rest[flipped][:, truth.rest_partners] * mirror
    rotations[flipped] = rotations[flipped][:, truth.joint_partners] * mirror[:, None] * mirror
    count = len(truth.partners)
    return KnownPose(*(torch.from_numpy(each) for each in (rest[:, :count], rest[:, count:], rotations)))
