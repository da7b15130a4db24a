"""A template from any closed mesh in a file: checked, welded, reduced to a vertex budget, put into template units."""

import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import fast_simplification
import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmgen.assets.seams import has_repeated_corner
from mmgen.core.errors import FatalError
from mmgen.core.files import open_regular
from mmgen.core.limits import GLB_BYTES
from mmgen.core.listing import display_name
from recon.template import Template, template_from_arrays

TEMPLATE_HEIGHT = 1.8
"""Extent along y, template units."""

SUFFIXES = (".glb", ".gltf", ".obj", ".off", ".ply", ".stl")
DEFAULT_VERTEX_BUDGET = 642
SMALLEST_BUDGET = 12
WELD_TOLERANCE = 1e-6
"""Of the mesh's largest extent: vertices nearer than this, copies at a texture seam say, are one."""

AGGRESSIVENESS = (7, 5, 3, 1)
"""Settings of the decimation to try, fastest first; gentler ones are likelier to keep the surface closed."""


@dataclass(frozen=True)
class _Surface:
    """[V, 3] float64 vertices, [F, 3] faces, and [F, 3, 2] texture coordinates (v up) or None."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    face_uv: NDArray[np.float64] | None


def load_template(path: Path, vertex_budget: int = DEFAULT_VERTEX_BUDGET) -> Template:
    """Read a template from a mesh file (+Y up, facing +Z, any unit).

    The file's own texture coordinates are kept if it has them for all corners, with u in 0..1, and needs no decimation;
    else the template gets spherical ones.

    Args:
        path: glb, gltf, obj, off, ply or stl; several parts of a scene are put together.
        vertex_budget: Decimate down to this number of vertices where there are more.

    Returns:
        The template, centred, 1.8 high along y.

    Raises:
        FatalError: The file cannot be read (`template_unreadable`, `template_format`), or the mesh is empty, open, not
            a manifold, of mixed orientation or in several parts, or cannot be decimated; each with its cure.
    """
    if vertex_budget < SMALLEST_BUDGET:
        raise ValueError(f"vertex_budget must be at least {SMALLEST_BUDGET}, not {vertex_budget}")
    surface = _welded(_read(path))
    if len(surface.faces) == 0 or not np.ptp(surface.vertices, axis=0).all():
        raise FatalError("template_empty", f"{display_name(path)} encloses no space", "Take a mesh with a volume.")
    fault = surface_fault(surface.faces)
    if fault is not None:
        code, text, cure = fault
        raise FatalError(code, f"{display_name(path)} {text}", cure)
    if len(surface.vertices) > vertex_budget:
        surface = _decimated(surface, vertex_budget, path)
    return template_from_arrays(
        torch.from_numpy(_normalised(surface.vertices)),
        torch.from_numpy(surface.faces),
        None if surface.face_uv is None else torch.from_numpy(surface.face_uv),
    )


def surface_fault(faces: NDArray[np.integer[Any]]) -> tuple[str, str, str] | None:
    """What keeps faces from being one closed, oriented surface, as (code, text, cure); None if nothing does.

    Args:
        faces: [F, 3] vertex indices, all of them used.
    """
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges, uses = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)
    if (uses == 1).any():
        cure = "Close the holes (fill holes or remesh in a modelling program)."
        return "template_open", f"has {int((uses == 1).sum())} open edges; a template must be closed", cure
    if (uses > 2).any():
        cure = "Remove inner walls and doubled faces, or remesh it."
        return "template_not_manifold", f"has {int((uses > 2).sum())} edges with more than two faces", cure
    if len(np.unique(directed, axis=0)) != len(directed):
        cure = "Recalculate the normals in a modelling program, so that all faces look outward."
        return "template_orientation", "has faces of both orientations", cure
    parts = len(np.unique(_components(int(faces.max()) + 1, edges)))
    if parts > 1:
        cure = "Join them to one surface (boolean union or remesh), or delete all but one."
        return "template_parts", f"has {parts} separate parts", cure
    return None


def _components(count: int, links: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """[count] the lowest number that each one of `count` things is linked to, over any number of links [N, 2]."""
    linked = coo_array((np.ones(len(links)), links.T), shape=(count, count))
    labels = connected_components(linked, directed=False)[1]
    return np.unique(labels, return_index=True)[1][labels]


def _read(path: Path) -> _Surface:
    if path.suffix.lower() not in SUFFIXES:
        raise FatalError(
            "template_format",
            f"{display_name(path)} is of no mesh format that can be read",
            f"Use one of {' '.join(SUFFIXES)}.",
        )
    try:
        with open_regular(path, GLB_BYTES), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks about colours and materials, which a template has no use for
            meshes = [
                mesh
                for mesh in trimesh.load_scene(path, process=False).dump()
                if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces)
            ]
            surface = _joined(meshes)
        if surface.faces.size and not 0 <= surface.faces.min() <= surface.faces.max() < len(surface.vertices):
            raise ValueError("a face names a vertex that is not there")
    except Exception as error:  # parsers of damaged files raise whatever they trip over
        raise FatalError(
            "template_unreadable",
            f"{display_name(path)} cannot be read as a mesh: {type(error).__name__}: {error}"[:300],
            "Check that the file opens in a mesh viewer, or export it again.",
        ) from error
    if not np.isfinite(surface.vertices).all():
        raise FatalError(
            "template_not_finite", f"{display_name(path)} has vertices that are no finite numbers", "Export it again."
        )
    return surface


def _joined(meshes: list[trimesh.Trimesh]) -> _Surface:
    vertices, faces, coordinates, first = [np.zeros((0, 3))], [np.zeros((0, 3), np.int64)], [], 0
    for mesh in meshes:
        vertices.append(np.asarray(mesh.vertices, dtype=np.float64))
        faces.append(np.asarray(mesh.faces, dtype=np.int64) + first)
        first += len(mesh.vertices)
        uv = getattr(mesh.visual, "uv", None)
        if uv is not None and np.shape(uv) == (len(mesh.vertices), 2):
            coordinates.append(np.asarray(uv, dtype=np.float64)[mesh.faces])
    if len(coordinates) != len(meshes) or not meshes:
        return _Surface(np.concatenate(vertices), np.concatenate(faces), None)
    face_uv = np.concatenate(coordinates)
    usable = np.isfinite(face_uv).all() and face_uv[..., 0].min() >= 0 and face_uv[..., 0].max() <= 1
    return _Surface(np.concatenate(vertices), np.concatenate(faces), face_uv if usable else None)


def _welded(surface: _Surface) -> _Surface:
    """Merge vertices at one place, drop faces without area and vertices without faces."""
    if len(surface.faces) == 0:
        return surface
    faces = _near_vertices(surface.vertices)[surface.faces]
    kept = ~has_repeated_corner(faces)
    used, faces = np.unique(faces[kept], return_inverse=True)
    face_uv = None if surface.face_uv is None else surface.face_uv[kept]
    return _Surface(surface.vertices[used], faces.reshape(-1, 3), face_uv)


def _near_vertices(vertices: NDArray[np.float64]) -> NDArray[np.int64]:
    """[V] for each vertex the first one at its place.

    Vertices in one cell of a grid are one; the grid is laid eight ways, so that no place is cut by all of them.
    """
    cell = max(float(np.ptp(vertices, axis=0).max()), 1e-30) * WELD_TOLERANCE
    links = []
    for shift in product((0.0, 0.5), repeat=3):
        cells = np.floor(vertices / cell + shift)
        _, first, inverse = np.unique(cells, axis=0, return_index=True, return_inverse=True)
        links.append(np.column_stack([np.arange(len(vertices)), first[inverse.ravel()]]))
    return _components(len(vertices), np.concatenate(links))


def _decimated(surface: _Surface, vertex_budget: int, path: Path) -> _Surface:
    """Quadric decimation to at most `vertex_budget` vertices that keeps the surface closed and in one part."""
    surplus = len(surface.faces) - 2 * len(surface.vertices)  # -4 for a sphere, more with handles; decimation keeps it
    for budget in (vertex_budget, int(0.97 * vertex_budget), int(0.9 * vertex_budget)):
        for aggressiveness in AGGRESSIVENESS:
            points, triangles = fast_simplification.simplify(
                surface.vertices, surface.faces, target_count=max(4, 2 * budget + surplus), agg=aggressiveness
            )[:2]
            smaller = _welded(_Surface(np.asarray(points, np.float64), np.asarray(triangles, np.int64), None))
            fits = SMALLEST_BUDGET <= len(smaller.vertices) <= vertex_budget
            if fits and surface_fault(smaller.faces) is None:
                return smaller
    raise FatalError(
        "template_decimation",
        f"{display_name(path)} has {len(surface.vertices)} vertices and does not stay closed at {vertex_budget}",
        "Reduce it in a modelling program, or allow more vertices.",
    )


def _normalised(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return np.asarray((vertices - (low + high) / 2) * (TEMPLATE_HEIGHT / (high[1] - low[1])))
