"""One picture of a person: camera, light, background, sensor; with its exact truth."""

import io
from dataclasses import dataclass, fields

import numpy as np
import torch
from PIL import Image
from skimage.filters import gaussian
from skimage.transform import resize

from mmgen.synth.avatar_body import RiggedBody
from mmgen.synth.backdrop import Eye, Scene, draw_backdrop
from mmgen.synth.collage import collage, draw_collage
from mmgen.synth.mesh import BodyMesh
from mmgen.synth.raster import rasterise
from mmgen.synth.shading import Light, draw_person, project_pixels
from mmgen.synth.street import StreetCamera
from recon.camera import intrinsics_px, world_to_camera
from recon.structures import Camera

Body = BodyMesh | RiggedBody

JPEG_QUALITY = 95
"""Loses nothing to speak of."""


@dataclass(frozen=True)
class Frame:
    """What became of a picture that was cut out of the frame of a surveillance camera and then enlarged or reduced.

    Attributes:
        height_px: of the box in the frame.
        jpeg_quality: of the frame.
        smear_px: how far the person moved sideways during the exposure, pixels of the frame.
    """

    height_px: int
    jpeg_quality: int
    smear_px: float


@dataclass(frozen=True)
class View:
    """Where one picture is taken from, and by which light.

    Attributes:
        azimuth_deg: -180..180; 0 sees the front.
        elevation_deg: Positive looks down.
        distance: From the middle of the person, metres.
        offset: Shift of the person in the camera frame, right and up, metres.
        place_m: Where along the street.
        exposure: Brightness of this picture.
        noise_seed: Of the sensor noise, and of the background if it is not the camera's street.
        behind: `street`, or one of `collage.RECIPES`.
        frame: What the picture was cut out of, if anything.
    """

    street: StreetCamera
    azimuth_deg: float
    elevation_deg: float
    distance: float
    offset: tuple[float, float]
    light: Light
    place_m: float
    exposure: float
    noise_seed: int
    behind: str = "street"
    jpeg_quality: int = JPEG_QUALITY
    frame: Frame | None = None


@dataclass(frozen=True)
class Truth:
    """What is exactly known about a picture; see `mmgen.synth.dataset` for the file it goes to.

    Attributes:
        vertices: [V, 3] float32, metres, world frame, +y up, facing +z.
        faces: [F, 3] int32.
        colors: [V, 3] float32 albedo, 0..1.
        azimuth_deg, elevation_deg, distance: Scalars, float32.
        offset: [2] float32, camera frame, metres.
        world_to_camera: [4, 4] float32.
        intrinsics: [3, 3] float32, pixels of this image.
        light_direction_camera: [3] float32, unit, towards the sun.
        light_ambient, light_sun: Scalars, float32.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray
    azimuth_deg: np.ndarray
    elevation_deg: np.ndarray
    distance: np.ndarray
    offset: np.ndarray
    world_to_camera: np.ndarray
    intrinsics: np.ndarray
    light_direction_camera: np.ndarray
    light_ambient: np.ndarray
    light_sun: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Picture:
    """A rendered view.

    Attributes:
        image: [H, W, 3] uint8.
        mask: [H, W] uint8, 255 where at least half of the pixel is person, else 0.
        jpeg_quality: of the file that it goes to.
    """

    image: np.ndarray
    mask: np.ndarray
    truth: Truth
    jpeg_quality: int = JPEG_QUALITY


def render_view(mesh: Body, view: View, height: int = 128, width: int = 64) -> Picture:
    """Draw a person in front of the background."""
    camera = Camera(
        azimuth_deg=torch.tensor([view.azimuth_deg], dtype=torch.float32),
        elevation_deg=torch.tensor([view.elevation_deg], dtype=torch.float32),
        distance=torch.tensor([view.distance], dtype=torch.float32),
        offset=torch.tensor([view.offset], dtype=torch.float32),
        focal=view.street.focal,
    )
    rigid = world_to_camera(camera)[0].numpy()
    intrinsics = intrinsics_px(camera, height, width).numpy()
    samples = 3 if height <= 160 else 2
    drawing = (rigid.astype(np.float64), intrinsics.astype(np.float64), view.light, (height, width, samples))
    colour, coverage = mesh.draw(*drawing) if isinstance(mesh, RiggedBody) else draw_person(mesh, *drawing)
    picture = _behind(mesh, view, rigid.astype(np.float64), intrinsics.astype(np.float64), (height, width))
    picture = picture * (1.0 - coverage[:, :, None]) + colour
    truth = Truth(
        vertices=mesh.vertices,
        faces=mesh.faces,
        colors=mesh.colors,
        azimuth_deg=camera.azimuth_deg.numpy()[0],
        elevation_deg=camera.elevation_deg.numpy()[0],
        distance=camera.distance.numpy()[0],
        offset=camera.offset.numpy()[0],
        world_to_camera=rigid,
        intrinsics=intrinsics,
        light_direction_camera=np.array(view.light.direction_camera, np.float32),
        light_ambient=np.array(view.light.ambient, np.float32),
        light_sun=np.array(view.light.sun, np.float32),
    )
    mask = np.where(coverage >= 0.5, np.uint8(255), np.uint8(0))
    return Picture(_develop(picture, view, height), mask, truth, view.jpeg_quality)


def _behind(mesh: Body, view: View, rigid: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What is behind the person, with their shadow, [H, W, 3], lit like the person."""
    height = size[0]
    if view.behind == "street":
        picture, blur = _street(mesh, view, rigid, intrinsics, size), 0.9 / 128
    else:
        picture, blur = _collage(mesh, view, rigid, intrinsics, size)
    ground, picture = picture[:, :, 3], gaussian(picture[:, :, :3], blur * height, channel_axis=2)
    light = view.light
    shadow = _shadow(mesh, light, rigid, intrinsics, size) * ground
    shadow = gaussian(shadow, 1.1 * height / 128)
    share = 0.75 * light.sun / (light.sun + light.ambient)
    brightness = light.ambient + 0.75 * light.sun
    return picture * (1.0 - share * shadow)[:, :, None] * brightness


def _collage(
    mesh: Body, view: View, rigid: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, float]:
    """A photo-like background with darkness under the feet, and how far it is out of focus in image heights."""
    height, width = size
    feet, _ = project_pixels(mesh.feet(), rigid, intrinsics)
    generator = np.random.Generator(np.random.PCG64([view.noise_seed, 1]))
    chosen = collage(view.behind, generator, width / height, float(feet[:, 1].min()) / height)
    picture = draw_collage(height, width, chosen)
    row, column = np.arange(height)[:, None] + 0.5, np.arange(width)[None] + 0.5
    for x, y in feet:
        near = ((column - x) / (0.05 * height)) ** 2 + ((row - y) / (0.02 * height)) ** 2
        picture[:, :, :3] *= 1.0 - 0.45 * (np.exp(-near) * picture[:, :, 3])[:, :, None]
    return picture, chosen.blur + 0.4 / 128


def _street(mesh: Body, view: View, rigid: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The camera's street, [H, W, 4] as from `draw_backdrop`."""
    height, width = size
    street = view.street
    eye = -rigid[:3, :3].T @ rigid[:3, 3]
    ahead = np.array([-rigid[2, 0], 0.0, -rigid[2, 2]])
    ahead /= np.linalg.norm(ahead)
    feet = mesh.feet()
    scene_feet = np.stack([feet @ rigid[0, :3], feet @ ahead], axis=1) - [eye @ rigid[0, :3], 0.0]
    pitch = np.deg2rad(view.elevation_deg)
    camera = Eye(
        float(eye[1] - mesh.ground_y), float(-eye @ ahead), float(np.sin(pitch)), float(np.cos(pitch)), view.place_m
    )
    scene = Scene(
        np.array(street.ground),
        np.array(street.ground_colours),
        street.kerb_m,
        street.wall,
        np.array(street.wall_colour),
        street.wall_m,
        street.wall_height_m,
        street.things,
        street.variation,
    )
    return draw_backdrop(height, width, intrinsics, camera, scene, scene_feet)


def _shadow(mesh: Body, light: Light, rigid: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W] 1 where the person's shadow falls on the ground plane: a closed surface, so one orientation covers all."""
    sun = rigid[:3, :3].T @ np.array(light.direction_camera)
    vertices = mesh.vertices.astype(np.float64)
    fallen = vertices - sun * ((vertices[:, 1:2] - mesh.ground_y) / max(sun[1], 0.3))
    pixels, depth = project_pixels(fallen, rigid, intrinsics)
    visible = mesh.faces[(depth > 0.3)[mesh.faces].all(axis=1)]
    return (rasterise(pixels, np.maximum(depth, 0.3), visible, *size) >= 0).astype(np.float64)


def _develop(picture: np.ndarray, view: View, height: int) -> np.ndarray:
    """Lens and sensor: blur, gain, curve, noise, 8 bits."""
    street, size = view.street, picture.shape[1::-1]
    picture = gaussian(picture, street.blur_px * height / 128, channel_axis=2)
    if view.frame is not None:
        picture = _in_frame(picture, view.frame)
    picture = np.clip(picture * np.array(street.gain) * view.exposure, 0.0, 1.0) ** street.gamma
    generator = np.random.Generator(np.random.PCG64(view.noise_seed))
    grain = generator.normal(0.0, street.noise, picture.shape)
    developed = (np.clip(picture + grain, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return developed if view.frame is None else _cut_out(developed, view.frame, size)


def _in_frame(picture: np.ndarray, frame: Frame) -> np.ndarray:
    """What a box of the frame shows of the picture: never more than its pixels."""
    picture = gaussian(picture, (0.0, frame.smear_px * picture.shape[0] / frame.height_px / 2), channel_axis=2)
    if frame.height_px >= picture.shape[0]:
        return picture
    height, width = frame.height_px, max(1, round(frame.height_px * picture.shape[1] / picture.shape[0]))
    return np.asarray(resize(picture, (height, width), order=1, anti_aliasing=True))


def _cut_out(developed: np.ndarray, frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """The picture after the frame's compression, (width, height) pixels large."""
    file = io.BytesIO()
    Image.fromarray(developed).save(file, "JPEG", quality=frame.jpeg_quality)
    with Image.open(file) as compressed:
        return np.asarray(compressed.resize(size, Image.Resampling.BICUBIC))
