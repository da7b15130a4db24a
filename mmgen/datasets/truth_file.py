"""`truth/<image>.npz` to the truth of a photo: mesh, colours and camera, by any generator, in any unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmgen.core.arrays import read_arrays
from mmgen.core.errors import ItemError
from mmgen.core.listing import display_name
from recon.evaluation.surfaces import Surface
from recon.evaluation.truth import Truth

SHAPES: dict[str, tuple[int | None, ...]] = {
    "vertices": (None, 3),
    "faces": (None, 3),
    "azimuth_deg": (),
    "elevation_deg": (),
    "world_to_camera": (4, 4),
    "intrinsics": (3, 3),
}
RIGID_TOLERANCE = 1e-3


def read_truth(path: Path, photo_size: tuple[int, int], box: tuple[float, float, float, float]) -> Truth:
    """Read what is known about a photo.

    Args:
        path: npz file; its arrays are those of a data set folder's truth. Nothing in it is unpickled.
        photo_size: (height, width) of the photo, to which the intrinsics belong.
        box: left, top, width, height of the part that is scored, pixels of the photo.

    Raises:
        ItemError: `truth_unreadable` or `truth_invalid`, naming the array.
    """
    arrays = _arrays(path)
    for name, shape in SHAPES.items():
        _check(arrays, name, shape, path)
    intrinsics = arrays["intrinsics"].astype(np.float64).copy()
    left, top, width, height = box
    size = (round(height), round(width))
    intrinsics[0] = (intrinsics[0] - left * intrinsics[2]) * (size[1] / width)
    intrinsics[1] = (intrinsics[1] - top * intrinsics[2]) * (size[0] / height)
    rigid = arrays["world_to_camera"].astype(np.float64)
    if not np.allclose(rigid[:3, :3] @ rigid[:3, :3].T, np.eye(3), atol=RIGID_TOLERANCE):
        raise _invalid(path, "world_to_camera is no rotation with a translation")
    return Truth(
        surface=_surface(arrays, path),
        azimuth_deg=float(arrays["azimuth_deg"].reshape(())),
        elevation_deg=float(arrays["elevation_deg"].reshape(())),
        world_to_camera=torch.from_numpy(rigid),
        intrinsics=torch.from_numpy(intrinsics),
        image_size=size,
    )


@dataclass(frozen=True)
class PlacedTemplate:
    """A template on a person, as `mmgen synth` writes it beside the surface; metres.

    Attributes:
        posed: [V, 3] in the surface's frame.
        rest: [V, 3] at rest; no rows, as of the others, where only `posed` is known.
        joints: [J, 3] at rest, same frame.
        rotations: [J, 3, 3] of each joint against its parent.
    """

    posed: NDArray[np.float64]
    rest: NDArray[np.float64]
    joints: NDArray[np.float64]
    rotations: NDArray[np.float64]


def read_placed_template(path: Path, vertices: int, joints: int) -> PlacedTemplate | None:
    """The template on the person of a truth file; None where there is none with so many vertices and joints.

    Raises:
        ItemError: `truth_unreadable` or `truth_invalid`, naming the array.
    """
    arrays = _arrays(path)
    if "prototype_posed" not in arrays or len(arrays["prototype_posed"]) != vertices:
        return None
    shapes = {"posed": (vertices, 3), "rest": (vertices, 3), "joints": (joints, 3), "rotations": (joints, 3, 3)}
    if "prototype_rotations" not in arrays:
        _check(arrays, "prototype_posed", shapes["posed"], path)
        nothing = np.zeros((0, 3))
        return PlacedTemplate(arrays["prototype_posed"].astype(np.float64), nothing, nothing, np.zeros((0, 3, 3)))
    for name, shape in shapes.items():
        _check(arrays, f"prototype_{name}", shape, path)
    return PlacedTemplate(**{name: arrays[f"prototype_{name}"].astype(np.float64) for name in shapes})


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_arrays(path)
    except (OSError, ValueError) as error:
        raise ItemError(
            "truth_unreadable",
            f"truth {display_name(path)} cannot be read: {error or type(error).__name__}",
            "Write it again with numpy.savez, plain arrays only.",
        ) from error


def _check(arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int | None, ...], path: Path) -> None:
    wanted = "[" + ", ".join("N" if side is None else str(side) for side in shape) + "]"
    if name not in arrays:
        raise _invalid(path, f"it has no {name} {wanted}")
    array = arrays[name]
    found = (1,) * (array.ndim == 1 and array.size == 1 and not shape) + shape  # a scalar may come as [1]
    fits = array.ndim == len(found) and all(
        side in (None, there) for side, there in zip(found, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "iuf" or not np.isfinite(array).all() or not array.size:
        raise _invalid(path, f"{name} must be finite numbers {wanted}, not {array.dtype} {list(array.shape)}")


def _surface(arrays: Mapping[str, NDArray[Any]], path: Path) -> Surface:
    vertices, faces = arrays["vertices"], arrays["faces"]
    if faces.dtype.kind == "f" or faces.min() < 0 or faces.max() >= len(vertices):
        raise _invalid(path, f"faces must be whole numbers from 0 to {len(vertices) - 1}")
    if not np.ptp(vertices[:, 1]) > 0:
        raise _invalid(path, "vertices have no extent along y, the height")
    corners = torch.from_numpy(faces.astype(np.int64))
    points = torch.from_numpy(vertices.astype(np.float64))
    if "colors" in arrays:
        _check(arrays, "colors", (len(vertices), 3), path)
        return Surface(points, corners, torch.from_numpy(_unit(arrays["colors"]))[corners])
    for name in ("uv", "texture"):
        if name not in arrays:
            raise _invalid(path, "it has neither colors [V, 3] nor uv [V, 2] with texture [Ht, Wt, 3]")
    _check(arrays, "uv", (len(vertices), 2), path)
    _check(arrays, "texture", (None, None, 3), path)
    texture = torch.from_numpy(_unit(arrays["texture"])).permute(2, 0, 1)[None]
    return Surface(points, corners, torch.from_numpy(arrays["uv"].astype(np.float32))[corners], texture)


def _unit(colours: NDArray[Any]) -> NDArray[np.float32]:
    """0..1 float32; whole numbers are 0..255."""
    scale = 255.0 if colours.dtype.kind in "iu" else 1.0
    return np.asarray(colours, dtype=np.float32) / np.float32(scale)


def _invalid(path: Path, what: str) -> ItemError:
    return ItemError("truth_invalid", f"truth {display_name(path)}: {what}", "Correct the file, or remove it.")
