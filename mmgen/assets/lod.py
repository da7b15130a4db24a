"""Levels of detail: fewer vertices under the same texture, seams kept.

Edges are collapsed onto one of their two ends, the least harmful first (quadric error). Vertices never move, so texture
coordinates stay those of the full mesh; a vertex on a texture seam only slides along the seam; the outermost vertices
stay, and with them height and feet. Edges far from each other are collapsed together, in rounds.

Source of the error measure: Garland and Heckbert, Surface Simplification Using Quadric Error Metrics, 1997.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from mmgen.assets.asset import EXPORT_KEY, Asset
from mmgen.assets.seams import tidy, unique_rows
from mmgen.core.errors import ItemError

SHARE_PER_ROUND = 0.3
"""Of the collapses that are possible, the cheapest that one round may choose from."""

SEAM_WEIGHT = 4.0
LEAST_FACING = 0.2
"""Cosine between a face's normals before and after a collapse."""

LEAST_UV_AREA = 0.02
"""Of a face's doubled area in the texture, compared with before: a collapse must neither fold nor crush it."""


def level_of_detail(asset: Asset, level: int) -> Asset:
    """The asset with about a quarter of the faces per level; level 0 is the asset itself.

    A mesh that was subdivided `level` times had as many vertices before.

    Raises:
        ItemError: `lod_impossible`: nothing is left to collapse before that without folding the surface.
    """
    asset = tidy(asset)
    for _ in range(level):
        asset = simplified(asset, (len(asset.vertices) + 6) // 4)
    return asset


FEWEST_FACES = 4
"""Of a closed surface."""


def exported_level(asset: Asset, level: int) -> Asset:
    """`level_of_detail`, said in the provenance as one of the changes of an export.

    Raises:
        ItemError: `lod_impossible`.
    """
    changes = asset.export_changes | {"lod": level}
    return replace(level_of_detail(asset, level), provenance=asset.provenance | {EXPORT_KEY: changes})


def simplified(asset: Asset, vertex_count: int) -> Asset:
    """The asset with at most `vertex_count` vertices.

    Args:
        asset: Tidy (`wedges.tidy`). Open edges stay as they are.

    Raises:
        ItemError: `lod_impossible`.
    """
    if len(asset.faces) < FEWEST_FACES:
        what = f"{asset.name!r} has {len(asset.faces)} faces and cannot be simplified"
        raise ItemError("lod_impossible", what, "Export it without --lod.")
    uv_rows, corner_uv = unique_rows(asset.face_uv.reshape(-1, 2).view(np.int32))
    uv = asset.face_uv.reshape(-1, 2)[uv_rows]
    state = _State(asset.vertices.astype(np.float64), asset.faces.astype(np.int64), uv, corner_uv.reshape(-1, 3))
    quadrics = _quadrics(state)
    while (surplus := len(np.unique(state.faces)) - vertex_count) > 0:
        chosen = _choose(state, quadrics, surplus)
        if len(chosen.removed) == 0:
            raise ItemError(
                "lod_impossible",
                f"{asset.name!r} cannot be simplified to {vertex_count} vertices; {vertex_count + surplus} remain",
                "Ask for fewer --lod levels.",
            )
        np.add.at(quadrics, chosen.kept, quadrics[chosen.removed])
        state = _collapsed(state, chosen)
    used, faces = np.unique(state.faces, return_inverse=True)
    return replace(
        asset,
        vertices=asset.vertices[used],
        faces=faces.reshape(-1, 3),
        face_uv=uv[state.uv_index],
        seen=None if asset.seen is None else asset.seen[used],
    )


@dataclass(frozen=True)
class _State:
    """[V, 3] places, [F, 3] faces, [T, 2] texture coordinates, [F, 3] which of them each corner has."""

    points: NDArray[np.float64]
    faces: NDArray[np.int64]
    uv: NDArray[np.float32]
    uv_index: NDArray[np.int64]


@dataclass(frozen=True)
class _Collapses:
    """[N] vertices to remove and to keep in their place; per collapse its two faces' coordinates, [N, 2] each."""

    removed: NDArray[np.int64]
    kept: NDArray[np.int64]
    removed_uv: NDArray[np.int64]
    kept_uv: NDArray[np.int64]

    def at(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "_Collapses":
        return _Collapses(self.removed[index], self.kept[index], self.removed_uv[index], self.kept_uv[index])


def _quadrics(state: _State) -> NDArray[np.float64]:
    """[V, 4, 4] squared distances to the planes of the faces around, and to planes upright on seams."""
    a, b, c = state.points[state.faces].transpose(1, 0, 2)
    area = np.cross(b - a, c - a)
    doubled = np.linalg.norm(area, axis=1, keepdims=True)
    normals = area / np.maximum(doubled, 1e-20)
    total = np.zeros((len(state.points), 4, 4))
    _add_planes(total, state.faces, normals, a, doubled[:, 0])
    edges = _candidates(state)
    seam = edges.removed_uv[:, 0] != edges.removed_uv[:, 1]
    ends = np.stack([edges.removed, edges.kept], axis=1)[seam]
    if len(ends):
        along = state.points[ends[:, 1]] - state.points[ends[:, 0]]
        upright = np.cross(along, normals[_first_face(state, ends)])
        lengths = np.linalg.norm(upright, axis=1, keepdims=True)
        weight = SEAM_WEIGHT * (along**2).sum(axis=1)
        _add_planes(total, ends, upright / np.maximum(lengths, 1e-20), state.points[ends[:, 0]], weight)
    return total


def _add_planes(
    total: NDArray[np.float64],
    vertices: NDArray[np.int64],
    normals: NDArray[np.float64],
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> None:
    planes = np.concatenate([normals, -(normals * points).sum(axis=1, keepdims=True)], axis=1)
    products = weights[:, None, None] * planes[:, :, None] * planes[:, None, :]
    for corner in range(vertices.shape[1]):
        np.add.at(total, vertices[:, corner], products)


def _first_face(state: _State, ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """[N] the face left of each directed edge."""
    starts, stops = state.faces.reshape(-1), np.roll(state.faces, -1, axis=1).reshape(-1)
    count = len(state.points)
    keys = starts * count + stops
    order = np.argsort(keys)
    return order[np.searchsorted(keys[order], ends[:, 0] * count + ends[:, 1])] // 3


def _candidates(state: _State) -> _Collapses:
    """All directed edges between two faces: from the vertex to remove to the one to keep."""
    count = len(state.points)
    starts, stops = state.faces.reshape(-1), np.roll(state.faces, -1, axis=1).reshape(-1)
    start_uv, stop_uv = state.uv_index.reshape(-1), np.roll(state.uv_index, -1, axis=1).reshape(-1)
    forward, backward = starts * count + stops, stops * count + starts
    order = np.argsort(forward)
    place = np.minimum(np.searchsorted(forward[order], backward), len(order) - 1)
    twin = order[place]
    paired = forward[twin] == backward
    twin = twin[paired]
    return _Collapses(
        starts[paired],
        stops[paired],
        np.stack([start_uv[paired], stop_uv[twin]], axis=1),
        np.stack([stop_uv[paired], start_uv[twin]], axis=1),
    )


def _choose(state: _State, quadrics: NDArray[np.float64], surplus: int) -> _Collapses:
    """At most `surplus` collapses that keep surface and texture sound and do not touch each other, cheap ones first."""
    edges = _candidates(state)
    neighbours = _neighbours(state)
    edges = edges.at(_may_collapse(state, edges, neighbours))
    place = np.concatenate([state.points[edges.kept], np.ones((len(edges.kept), 1))], axis=1)
    cost = np.einsum("ni,nij,nj->n", place, quadrics[edges.removed] + quadrics[edges.kept], place)
    length = ((state.points[edges.removed] - state.points[edges.kept]) ** 2).sum(axis=1)
    order = np.lexsort((edges.kept, edges.removed, length, np.round(cost, 12)))
    # Folding is the dear test: only for what this round may choose from, and for all where nothing of that is left.
    for share in (SHARE_PER_ROUND, 1.0):
        ranked = edges.at(order[: max(1, round(share * len(order)))])
        ranked = ranked.at(~_folds(state, ranked))
        chosen = _apart(ranked, neighbours, surplus)
        if len(chosen):
            return ranked.at(chosen)
    return edges.at(np.zeros(0, dtype=np.int64))


def _neighbours(state: _State) -> csr_array:
    """[V, V] 1 between vertices that share an edge."""
    starts, stops = state.faces.reshape(-1), np.roll(state.faces, -1, axis=1).reshape(-1)
    rows, columns = np.concatenate([starts, stops]), np.concatenate([stops, starts])
    count = len(state.points)
    linked = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    linked.data[:] = 1
    return linked


def _may_collapse(state: _State, edges: _Collapses, neighbours: csr_array) -> NDArray[np.bool_]:
    """[N] edges whose collapse keeps the surface a surface, its seams and its outermost vertices."""
    count = len(state.points)
    seam = (edges.removed_uv[:, 0] != edges.removed_uv[:, 1]) | (edges.kept_uv[:, 0] != edges.kept_uv[:, 1])
    seam_edges = np.bincount(edges.removed[seam], minlength=count)
    fixed = np.ones(count, dtype=bool)
    fixed[edges.removed] = False
    open_ends = np.bincount(edges.removed, minlength=count) != np.bincount(state.faces.reshape(-1), minlength=count)
    fixed |= open_ends
    used = np.unique(state.faces)
    for axis in range(3):
        fixed[used[[state.points[used, axis].argmin(), state.points[used, axis].argmax()]]] = True
    both_sides = edges.removed_uv[:, 0] != edges.removed_uv[:, 1]
    along = np.where(seam, (seam_edges[edges.removed] == 2) & both_sides, seam_edges[edges.removed] == 0)
    shared = (neighbours @ neighbours)[edges.removed, edges.kept]
    return np.asarray(along & ~fixed[edges.removed] & (np.asarray(shared).ravel() == 2))


def _folds(state: _State, edges: _Collapses) -> NDArray[np.bool_]:
    """[N] edges whose collapse would turn a face over, in space or in the texture."""
    owner, face, corner = _faces_around(state, edges.removed)
    stays = ~(state.faces[face] == edges.kept[owner][:, None]).any(axis=1)
    owner, face, corner = owner[stays], face[stays], corner[stays]
    before, uv_before = state.points[state.faces[face]], state.uv[state.uv_index[face]].astype(np.float64)
    after, uv_after = before.copy(), uv_before.copy()
    rows = np.arange(len(owner))
    after[rows, corner] = state.points[edges.kept[owner]]
    uv_after[rows, corner] = state.uv[_new_uv(edges, owner, state.uv_index[face, corner])]
    old, new = (np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]) for p in (before, after))
    lengths = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
    bad = (old * new).sum(axis=1) <= LEAST_FACING * lengths
    old_area, new_area = _uv_area(uv_before), _uv_area(uv_after)
    bad |= new_area * np.sign(old_area) <= LEAST_UV_AREA * np.abs(old_area)
    return np.bincount(owner[bad], minlength=len(edges.removed)) > 0


def _uv_area(uv: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])


def _new_uv(edges: _Collapses, owner: NDArray[np.int64], old: NDArray[np.int64]) -> NDArray[np.int64]:
    """The coordinate that a corner of the removed vertex gets: the kept vertex's on the same side of the seam."""
    second = old == edges.removed_uv[owner, 1]
    first = old == edges.removed_uv[owner, 0]
    return np.where(first | ~second, edges.kept_uv[owner, 0], edges.kept_uv[owner, 1])


def _faces_around(
    state: _State, vertices: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(position in `vertices`, face, corner) of every face around every one of `vertices`."""
    corners = state.faces.reshape(-1)
    order = np.argsort(corners, kind="stable")
    starts = np.searchsorted(corners[order], vertices)
    counts = np.searchsorted(corners[order], vertices, side="right") - starts
    owner = np.repeat(np.arange(len(vertices)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    flat = order[starts[owner] + within]
    return owner, flat // 3, flat % 3


def _apart(edges: _Collapses, neighbours: csr_array, limit: int) -> NDArray[np.int64]:
    """Positions of collapses, in order, none of which changes the surroundings of another."""
    blocked = np.zeros(neighbours.shape[0], dtype=bool)
    starts, stops = neighbours.indptr[:-1], neighbours.indptr[1:]
    chosen: list[int] = []
    for position, (removed, kept) in enumerate(zip(edges.removed.tolist(), edges.kept.tolist(), strict=True)):
        if blocked[removed] or blocked[kept]:
            continue
        chosen.append(position)
        if len(chosen) == limit:
            break
        for vertex in (removed, kept):
            blocked[vertex] = True
            blocked[neighbours.indices[starts[vertex] : stops[vertex]]] = True
    return np.array(chosen, dtype=np.int64)


def _collapsed(state: _State, chosen: _Collapses) -> _State:
    owner, face, corner = _faces_around(state, chosen.removed)
    faces, uv_index = state.faces.copy(), state.uv_index.copy()
    uv_index[face, corner] = _new_uv(chosen, owner, state.uv_index[face, corner])
    faces[face, corner] = chosen.kept[owner]
    a, b, c = faces.T
    alive = (a != b) & (b != c) & (c != a)
    return replace(state, faces=faces[alive], uv_index=uv_index[alive])
