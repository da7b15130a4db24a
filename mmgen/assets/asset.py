"""The in-memory asset: one textured mesh in metres, ready for any file format."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mmgen.core.errors import ItemError

if TYPE_CHECKING:
    from mmgen.assets.rig import Rig

FOOT_FRACTION = 0.05
"""The lowest part of the body, as a fraction of its height, that counts as feet when the pivot is placed."""

EXPORT_KEY = "export"
"""Provenance key: what an export changed; absent where it changed nothing."""

ORIGINAL_HEIGHT_KEY = "original_height_m"
"""Under `EXPORT_KEY`: the height before an export changed it."""


@dataclass(frozen=True)
class Asset:
    """One textured mesh: metres, +Y up, front to +Z, feet on y = 0, pivot between the feet.

    Attributes:
        name: Shown by importers; any text, made ASCII-safe in files.
        vertices: [V, 3] float32, metres.
        faces: [F, 3] integer vertex indices, counter-clockwise seen from outside.
        face_uv: [F, 3, 2] float32 per face corner; u right, v up (v = 1 is the upper edge of texture row 0); v may
            leave 0..1 and wraps, u clamps.
        texture: [H, W, 3] uint8, sRGB.
        provenance: Where the asset comes from: a JSON object, kept in `asset.extras.mmgen` of GLB files.
        seen: [V] float32, 1 where the photo showed the surface, 0 where texture and shape are a guess; None where
            nobody knows.
        rig: A skeleton in the mesh's pose, for formats that hold one.

    Raises:
        ValueError: An array has the wrong shape or type.
        ItemError: `mesh_empty`, `mesh_not_finite` or `mesh_index_range`: the content can be no mesh.
    """

    name: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.integer[Any]]
    face_uv: NDArray[np.float32]
    texture: NDArray[np.uint8]
    provenance: dict[str, Any] = field(default_factory=dict)
    seen: NDArray[np.float32] | None = None
    rig: "Rig | None" = None

    def __post_init__(self) -> None:
        _require(self.vertices, "vertices", "[V, 3] float32", np.float32, self.vertices.shape[1:] == (3,))
        _require(self.faces, "faces", "[F, 3] integers", np.integer, self.faces.shape[1:] == (3,))
        _require(
            self.face_uv, "face_uv", "[F, 3, 2] float32", np.float32, self.face_uv.shape == (len(self.faces), 3, 2)
        )
        texture_fits = self.texture.ndim == 3 and self.texture.shape[2] == 3 and self.texture.size > 0
        _require(self.texture, "texture", "[H, W, 3] uint8", np.uint8, texture_fits)
        if self.seen is not None:
            _require(self.seen, "seen", "[V] float32", np.float32, self.seen.shape == (len(self.vertices),))
        if len(self.vertices) == 0 or len(self.faces) == 0:
            raise ItemError(
                "mesh_empty",
                f"asset {self.name!r} has {len(self.vertices)} vertices and {len(self.faces)} faces",
                "Make the mesh again; there is nothing in it.",
            )
        if not (np.isfinite(self.vertices).all() and np.isfinite(self.face_uv).all()):
            raise ItemError(
                "mesh_not_finite",
                f"asset {self.name!r} has vertices or texture coordinates that are no finite numbers",
                "Make the mesh again; the fit that made it diverged.",
            )
        if self.faces.min() < 0 or self.faces.max() >= len(self.vertices):
            raise ItemError(
                "mesh_index_range",
                f"asset {self.name!r} has a face that points outside its {len(self.vertices)} vertices",
                "Make the mesh again; its faces belong to another vertex list.",
            )

    @property
    def export_changes(self) -> dict[str, Any]:
        """What earlier exports changed, as the provenance says; empty where what it says is no object."""
        changes = self.provenance.get(EXPORT_KEY)
        return dict(changes) if isinstance(changes, dict) else {}

    @property
    def height_m(self) -> float:
        """Extent along +Y in metres."""
        return float(np.ptp(self.vertices[:, 1]))


def place_on_ground(vertices: NDArray[np.floating[Any]], height_m: float) -> NDArray[np.float32]:
    """Scale a body to a stated height, put its feet on y = 0 and the origin between them.

    Args:
        vertices: [V, 3], any unit, +Y up.
        height_m: The height to reach, metres, > 0.

    Returns:
        [V, 3] float32. The origin's x and z are the middle of the bounds of the lowest 5 %.

    Raises:
        ItemError: `height_invalid`, or `mesh_flat` if the body has no height to scale.
    """
    if not (np.isfinite(height_m) and height_m > 0):
        raise ItemError(
            "height_invalid", f"height {height_m} m is not above 0", "Give a height in metres, such as 1.70."
        )
    points = np.asarray(vertices, dtype=np.float64)
    height = float(np.ptp(points[:, 1]))
    if not (np.isfinite(height) and height > 0):
        raise ItemError(
            "mesh_flat", "the mesh has no height to scale", "Make the mesh again; it is flat or not finite."
        )
    feet = points[points[:, 1] <= points[:, 1].min() + FOOT_FRACTION * height]
    middle = (feet.min(axis=0) + feet.max(axis=0)) / 2
    origin = np.array([middle[0], points[:, 1].min(), middle[2]])
    return np.asarray((points - origin) * (height_m / height), dtype=np.float32)


def with_height(asset: Asset, height_m: float) -> Asset:
    """The same asset scaled to a height that the user gave, recorded as such in its provenance."""
    provenance = asset.provenance | {"height_m": height_m, "height_source": "given"}
    return replace(asset, vertices=place_on_ground(asset.vertices, height_m), provenance=provenance)


def _require(array: NDArray[Any], name: str, expected: str, kind: type, fits: bool) -> None:
    if not (isinstance(array, np.ndarray) and np.issubdtype(array.dtype, kind) and fits):
        raise ValueError(f"{name} must be {expected}, got {array.dtype} {list(array.shape)}")
