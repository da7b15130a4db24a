"""Single views of assets.

The framing is that of the gallery's viewer (`gallery/viewer.js`): one view drawn here and there covers the same pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from mmgen.assets.asset import Asset
from recon.camera import world_to_camera
from recon.render import render
from recon.structures import Camera, TexturedMesh

FOCAL = 3.5
FILL = 1.0
ELEVATION_DEG = 5.0
SUPERSAMPLE = 2
"""Pictures are rendered this many times larger each way and averaged down."""

SHADOW_REACH = 1.5
SHADOW_DEPTH = 0.34
FEET = 0.05
"""The lowest part of the height, in whose middle the shadow is."""

WALL, FLOOR, HORIZON = (248, 247, 244), (233, 230, 223), 0.62
"""The backdrop: colours at the top and at the bottom, and how far down the wall keeps its colour."""

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """From where an asset is seen.

    Attributes:
        azimuth_deg: 0 sees the front; positive moves the camera towards +x.
        elevation_deg: Positive lifts the camera, -89..89.
        distance_factor: 1 is as near as the whole asset fits, turned any way; 2 twice as far.
        shift: How far the asset stands right of and above the middle, in half heights of the picture.
    """

    azimuth_deg: float = 0.0
    elevation_deg: float = ELEVATION_DEG
    distance_factor: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Room:
    """What a picture is framed for: all that moves in it, so that the camera stands still.

    Attributes:
        low, high: [3] bounds, metres.
        feet: [2] x and z of the shadow's middle.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    feet: NDArray[np.float32]

    @staticmethod
    def of(vertices: NDArray[np.float32]) -> "Room":
        """Of one pose or several, [..., 3] metres."""
        points = vertices.reshape(-1, 3)
        low, high = points.min(axis=0), points.max(axis=0)
        ground = points[points[:, 1] <= low[1] + FEET * (high - low)[1]]
        return Room(low, high, ((ground.min(axis=0) + ground.max(axis=0)) / 2)[[0, 2]])


def render_cutout(
    asset: Asset, azimuth_deg: float, size: tuple[int, int], elevation_deg: float = ELEVATION_DEG
) -> Image8:
    """One view of an asset with its shadow on the floor and nothing behind it; see `View` for the angles.

    Returns:
        [height, width, 4] RGBA, colours not multiplied by alpha.
    """
    return _cutout(asset, View(azimuth_deg, elevation_deg), size, Room.of(asset.vertices))


def _cutout(asset: Asset, view: View, size: tuple[int, int], room: Room) -> Image8:
    height, width = size
    camera, centred = _framed(asset, view, height / width, room)
    drawn = render(centred, camera, (height * SUPERSAMPLE, width * SUPERSAMPLE))
    cover = _averaged((drawn.face_index >= 0).float()[:, None])
    paint = _averaged(drawn.image * (drawn.face_index >= 0)[:, None])
    shadow = torch.from_numpy(_shadow(room, camera, height, width))
    alpha = cover + (1 - cover) * shadow
    colour = paint / alpha.clamp_min(1e-6)
    rgba = torch.cat((colour, alpha), dim=1)[0].permute(1, 2, 0)
    return np.asarray((rgba * 255).round().clamp(0, 255).to(torch.uint8).numpy())


def render_asset(
    asset: Asset, azimuth_deg: float, size: tuple[int, int], elevation_deg: float = ELEVATION_DEG
) -> Image8:
    """`render_cutout` before a plain backdrop: [height, width, 3] RGB."""
    return render_view(asset, View(azimuth_deg, elevation_deg), size)


def render_view(asset: Asset, view: View, size: tuple[int, int], room: Room | None = None) -> Image8:
    """An asset from anywhere before a plain backdrop: [height, width, 3] RGB; framed for itself, or for a room."""
    cutout = _cutout(asset, view, size, room or Room.of(asset.vertices)).astype(np.float32)
    alpha = cutout[..., 3:] / 255
    return np.asarray((cutout[..., :3] * alpha + _backdrop(size) * (1 - alpha)).round(), dtype=np.uint8)


def _framed(asset: Asset, view: View, aspect: float, room: Room) -> tuple[Camera, TexturedMesh]:
    """A camera for a view, and the asset with the room around the origin; `aspect` is height / width."""
    half = (room.high - room.low) / 2
    radius = float(np.hypot(half[0], half[2]))
    widest = float(max(half[0], half[2]))
    distance = view.distance_factor * (radius + FOCAL * max(float(half[1]), widest * aspect) / FILL)
    camera = Camera(
        azimuth_deg=torch.tensor([float(view.azimuth_deg)]),
        elevation_deg=torch.tensor([float(view.elevation_deg)]),
        distance=torch.tensor([distance]),
        offset=torch.tensor([view.shift], dtype=torch.float32) * (distance / FOCAL),
        focal=FOCAL,
    )
    mesh = TexturedMesh(
        vertices=torch.from_numpy(asset.vertices - (room.low + room.high) / 2)[None],
        faces=torch.from_numpy(asset.faces.astype(np.int64)),
        face_uv=torch.from_numpy(asset.face_uv),
        texture=torch.from_numpy(asset.texture.astype(np.float32) / 255).permute(2, 0, 1)[None],
    )
    return camera, mesh


def _averaged(image: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(image, SUPERSAMPLE)


def _shadow(room: Room, camera: Camera, height: int, width: int) -> NDArray[np.float32]:
    """[height, width] darkness of a soft ellipse under the feet: each pixel's ray meets the floor."""
    half = (room.high - room.low) / 2
    x_feet, z_feet = room.feet - ((room.low + room.high) / 2)[[0, 2]]
    rigid = world_to_camera(camera)[0].numpy()
    rotation, centre = rigid[:3, :3], -rigid[:3, :3].T @ rigid[:3, 3]
    x = (2 * np.arange(width) + 1 - width) / height / FOCAL
    y = (height - 1 - 2 * np.arange(height)) / height / FOCAL
    ray = np.stack(np.broadcast_arrays(x[None, :], y[:, None], -1.0), axis=-1) @ rotation
    down = np.minimum(ray[..., 1], -1e-6)
    place = centre + ray * ((-half[1] - centre[1]) / down)[..., None]
    across, along = (place[..., 0] - x_feet) / half[0], (place[..., 2] - z_feet) / half[2]
    fade = 1 - (across**2 + along**2) / SHADOW_REACH**2
    fade = np.where((ray[..., 1] < 0) & (centre[1] > -half[1]), np.maximum(fade, 0), 0)
    return np.asarray(SHADOW_DEPTH * fade**2, dtype=np.float32)


def _backdrop(size: tuple[int, int]) -> NDArray[np.float32]:
    """[height, 1, 3] in 0..255."""
    down = np.clip((np.linspace(0, 1, size[0]) - HORIZON) / (1 - HORIZON), 0, 1)[:, None, None]
    return np.asarray(np.array(WALL) * (1 - down) + np.array(FLOOR) * down, dtype=np.float32)


Sweep = Literal["azimuth", "elevation", "distance", "x", "y"]
SWEEPS: tuple[Sweep, ...] = get_args(Sweep)

ELEVATIONS_DEG = (-20.0, 60.0)
DISTANCE_FACTORS = (0.55, 2.2)
X_REACH, Y_REACH = 0.5, 0.45
"""How far the asset goes to each side: in half widths of the picture, and in half heights."""


def sweep_frames(
    asset: Asset,
    sweep: Sweep,
    start: View,
    count: int,
    size: tuple[int, int],
    poses: NDArray[np.float32] | None = None,
) -> Iterator[Image8]:
    """`count` pictures of one sweep.

    Azimuth goes all the way around from the start. Elevation and distance start at their lower end, x and y in the
    middle; they swing there and back, slow at the ends. Every loop closes without showing a picture twice in a row.

    Args:
        sweep: What changes; everything else stays as in `start`.
        count: Pictures in one loop, at least 2.
        size: Height and width, pixels.
        poses: [count, V, 3] vertices of each picture; None leaves the asset as it stands.
    """
    room = Room.of(asset.vertices if poses is None else poses)
    for index in range(count):
        posed = asset if poses is None else replace(asset, vertices=poses[index])
        yield render_view(posed, _moved(start, sweep, index / count, size[1] / size[0]), size, room)


def _moved(start: View, sweep: Sweep, time: float, aspect: float) -> View:
    """The view at a time of the loop, 0..1; `aspect` is width / height."""
    swing = 0.5 - 0.5 * math.cos(math.tau * time)  # 0 at time 0, 1 at time 1/2, 0 at time 1
    wave = math.sin(math.tau * time)
    match sweep:
        case "azimuth":
            return replace(start, azimuth_deg=start.azimuth_deg + 360 * time)
        case "elevation":
            low, high = ELEVATIONS_DEG
            return replace(start, elevation_deg=low + (high - low) * swing)
        case "distance":
            near, far = DISTANCE_FACTORS
            return replace(start, distance_factor=near * (far / near) ** swing)
        case "x":
            return replace(start, shift=(X_REACH * aspect * wave, 0.0))
        case "y":
            return replace(start, shift=(0.0, Y_REACH * wave))
