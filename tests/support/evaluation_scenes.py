"""Data sets with exact truth that cost nothing to make: photos drawn from a known body by a known camera."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmgen.assets.asset import Asset, place_on_ground
from mmgen.assets.glb import glb_bytes
from mmgen.reconstruction.result import placement
from recon.camera import intrinsics_px, world_to_camera
from recon.evaluation.predictions import Prediction
from recon.evaluation.surfaces import Surface
from recon.evaluation.truth import Truth, true_drawing
from recon.structures import Attributes, Camera
from recon.template import Template, ellipsoid_template

PHOTO = (96, 56)
"""Height and width, pixels."""

CROP = {"left": 9.0, "top": 4.0, "width": 42.0, "height": 84.0}
"""Part of the photo that the camera belongs to; off its centre."""

AZIMUTHS_DEG = (20.0, 160.0, -70.0)
NAMES = (
    "query/0001_c1s1_000001_00.jpg",
    "bounding_box_test/0001_c2s1_000026_01.jpg",
    "bounding_box_test/0002_c2s1_000051_01.jpg",
)
FLOOR = 0.45


@dataclass(frozen=True)
class Person:
    """One body and the camera of its crop."""

    name: str
    vertices: torch.Tensor
    camera: Camera


def template() -> Template:
    """A coarse ellipsoid."""
    return ellipsoid_template(level=2)


def body() -> torch.Tensor:
    """The template with a belly and one shoulder: front and sides can be told apart."""
    vertices = template().vertices
    x, y, z = vertices.unbind(dim=1)
    belly = 0.2 * torch.exp(-8 * (y + 0.1) ** 2) * (z > 0) * z / 0.225
    shoulder = 0.15 * torch.exp(-20 * ((x - 0.3) ** 2 + (y - 0.5) ** 2))
    return vertices + torch.stack((-0.3 * x * torch.exp(-6 * y**2), shoulder, belly), dim=1)


def texture() -> np.ndarray:
    """[64, 32, 3] uint8: stripes that differ between front (lower half) and back."""
    rows, columns = np.mgrid[0:64, 0:32]
    stripes = (rows // 6 % 2) * 110 + (columns // 8 % 2) * 50
    front = rows >= 32
    return np.stack([stripes + 60 * front, 40 + stripes // 2, 150 - stripes // 2 - 60 * front], axis=-1).astype(
        np.uint8
    )


def people() -> list[Person]:
    """One body seen from three sides."""
    return [
        Person(
            name,
            body(),
            Camera(torch.tensor([azimuth]), torch.tensor([7.0]), torch.tensor([2.9]), torch.tensor([[0.04, -0.03]])),
        )
        for name, azimuth in zip(NAMES, AZIMUTHS_DEG, strict=True)
    ]


def truth_arrays(person: Person) -> dict[str, Any]:
    """The arrays of its truth file: every corner a vertex of its own, so that texture coordinates fit."""
    base, camera = template(), person.camera
    inner = intrinsics_px(camera, int(CROP["height"]), int(CROP["width"])).numpy().copy()
    inner[0, 2] += CROP["left"]
    inner[1, 2] += CROP["top"]
    return {
        "vertices": person.vertices[base.faces].reshape(-1, 3).numpy(),
        "faces": np.arange(3 * len(base.faces), dtype=np.int32).reshape(-1, 3),
        "uv": base.face_uv.reshape(-1, 2).numpy(),
        "texture": texture(),
        "azimuth_deg": camera.azimuth_deg[0].numpy(),
        "elevation_deg": camera.elevation_deg[0].numpy(),
        "distance": camera.distance[0].numpy(),
        "world_to_camera": world_to_camera(camera)[0].numpy(),
        "intrinsics": inner,
    }


def drawn(person: Person) -> tuple[np.ndarray, np.ndarray]:
    """Photo [H, W, 3] and mask [H, W], uint8."""
    base, arrays = template(), truth_arrays(person)
    colours = torch.from_numpy(texture()).permute(2, 0, 1)[None].float() / 255
    surface = Surface(person.vertices, base.faces, base.face_uv, colours)
    camera = person.camera
    truth = Truth(
        surface,
        float(camera.azimuth_deg),
        float(camera.elevation_deg),
        world_to_camera(camera)[0],
        torch.from_numpy(arrays["intrinsics"]),
        PHOTO,
    )
    image, mask = true_drawing(truth, PHOTO)
    photo = torch.where(mask > 0, image, torch.full_like(image, FLOOR))
    return (
        (photo.permute(1, 2, 0) * 255).round().byte().numpy(),
        (mask * 255).byte().numpy(),
    )


def write_data(root: Path, names: Callable[[str], str] = str, count: int = len(NAMES)) -> Path:
    """Photos (JPEG), masks and truth in a data set folder.

    Args:
        root: the folder to make.
        names: from the usual name of a photo to the one wanted.
        count: number of photos.
    """
    for person in people()[:count]:
        photo, mask = drawn(person)
        name = Path(names(person.name))
        for path in (root / name, root / "masks" / name, root / "truth" / name):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(root / name, quality=100, subsampling=0)
        Image.fromarray(mask).save(root / "masks" / name.with_suffix(".png"))
        np.savez(root / "truth" / name.with_suffix(".npz"), **truth_arrays(person))
    return root


def asset(person: Person) -> Asset:
    """The body as `mmgen reconstruct` would write it, camera and all."""
    base, camera, points = template(), person.camera, person.vertices.numpy()
    return Asset(
        name=Path(person.name).stem,
        vertices=place_on_ground(points, 1.7),
        faces=base.faces.numpy(),
        face_uv=base.face_uv.numpy(),
        texture=texture(),
        provenance={
            "camera": {
                "azimuth_deg": float(camera.azimuth_deg),
                "elevation_deg": float(camera.elevation_deg),
                "distance": float(camera.distance),
                "offset": camera.offset[0].tolist(),
                "focal": camera.focal,
            },
            "crop_px": CROP,
            "photo_size_px": list(PHOTO),
            "placement": placement(points),
        },
    )


def write_meshes(folder: Path, change: Callable[[Asset], Asset] = lambda one: one) -> Path:
    """One GLB per photo, mirroring the data set."""
    for person in people():
        path = (folder / person.name).with_suffix(".glb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(glb_bytes(change(asset(person))))
    return folder


def with_camera(one: Asset, **changes: Any) -> Asset:
    """The asset with other camera values in its provenance."""
    return replace(one, provenance={**one.provenance, "camera": {**one.provenance["camera"], **changes}})


def predictions_of(attributes: Attributes, template: Template) -> list[Prediction]:
    """Predictions of networks, one by one."""
    vertices, parts = template.vertices + attributes.offsets, (template.faces, template.face_uv)
    return [
        Prediction(Surface(own, *parts, one.texture, one.light), one.camera)
        for own, one in zip(vertices, attributes.separated(), strict=True)
    ]
