"""Bodies of the optional package `anny` (MakeHuman data, CC0) under our clothes: real faces, hands and proportions.

The rest shape of anny is bent onto our own skeleton, bone by bone, so that clothes, hair and bags fit; its surface
becomes a distance field in which the body's own solids are replaced.
"""

import importlib.util
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.ndimage import binary_closing, binary_dilation, binary_fill_holes, label
from scipy.spatial import cKDTree

from mmgen.core.errors import FatalError
from mmgen.synth.body import cloth_thickness_m
from mmgen.synth.field import FAR, fill_grid
from mmgen.synth.identity import Build
from mmgen.synth.person import Person
from mmgen.synth.primitives import HEAD, SKIN, TRUNK, Packed
from mmgen.synth.skeleton import BONE, BONES, SIDES, Skeleton

STARTS = {
    "pelvis": ("root", "pelvis", "spine05", "spine04"),
    "chest": ("spine03", "spine02", "spine01", "clavicle", "shoulder", "neck01"),
    "arm": ("upperarm",), "forearm": ("lowerarm",), "hand": ("wrist", "finger", "metacarpal"),
    "thigh": ("upperleg",), "shank": ("lowerleg",), "foot": ("foot", "toe"),
}  # fmt: skip
"""How the names of anny's bones begin, by our bone; all others belong to the head."""

HANDS = [BONE["hand_l"], BONE["hand_r"]]

FOOT_SHRINK = 0.85
"""Feet are made to fit into our shoes."""

CHEST_SHARE = 0.235 / 0.507
"""Where our chest bone begins between hips and shoulders."""


@dataclass(frozen=True)
class RestBody:
    """A naked body at rest in our axes: +y up, facing +z, the person's left at +x; metres.

    Attributes:
        vertices: [V, 3] float64.
        faces: [F, 3] int64.
        weights: [V, 15] float64, share of each of our bones.
        kept: [F] bool, faces that belong to the outside: neither the inside of the mouth nor fingers, which are thinner
            than the grid is wide; our own hands take their place.
    """

    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    joints: dict[str, np.ndarray]
    kept: np.ndarray


def check_installed() -> None:
    """Refuse early if the package is not there.

    Raises:
        FatalError: `no_anny`.
    """
    if importlib.util.find_spec("anny") is None:
        raise FatalError(
            "no_anny",
            "bodies from anny need the package anny, which is not installed",
            'pip install "mmgen[crowd]", or leave out --bodies anny',
        )


@lru_cache(maxsize=1)
def _model() -> Any:
    check_installed()
    import anny

    return anny.Anny()


@lru_cache(maxsize=4)
def rest_body(build: Build, feminine: bool) -> RestBody:
    """The naked body of a build, before it takes a pose."""
    with redirect_stdout(sys.stderr):  # warp greets on stdout, which is for data
        return _rest_body(_model(), build, feminine)


def _rest_body(model: Any, build: Build, feminine: bool) -> RestBody:
    age = {"child": 0.25 + 0.3 * (build.height_m - 1.08), "adult": 0.67, "older": 0.93}[build.age]
    found = model(
        phenotype_kwargs={
            "gender": 0.95 if feminine else 0.05,
            "age": age,
            "muscle": float(np.clip(0.5 + 3.0 * (build.limbs - 1.0), 0.15, 0.85)),
            "weight": float(np.clip(0.5 + 2.2 * (build.girth - 1.0), 0.12, 0.95)),
            "height": 0.5,
            "proportions": float(np.clip(0.5 + 6.0 * (build.legs - 1.0), 0.1, 0.9)),
        }
    )
    names = list(model.bone_labels)
    heads = _in_our_axes(found["rest_bone_heads"][0].numpy())
    bone_of = np.array([_our_bone(name) for name in names])
    shares, bones = model.vertex_bone_weights.numpy(), bone_of[model.vertex_bone_indices.numpy()]
    weights = np.zeros((len(shares), len(BONES)))
    np.add.at(weights, (np.arange(len(shares))[:, None], bones), shares)
    weights /= weights.sum(1, keepdims=True)
    vertices = _in_our_axes(found["rest_vertices"][0].numpy())
    faces = np.asarray(model.get_triangular_faces(), np.int64)
    outside = weights[:, HANDS].sum(1) < 0.5
    head = np.flatnonzero(weights[:, BONE["head"]] > 0.5)
    outside[head[faces_itself(vertices[head], _vertex_normals(vertices, faces)[head])]] = False
    return RestBody(vertices, faces, weights, dict(zip(names, heads, strict=True)), outside[faces].all(1))


def faces_itself(vertices: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """[V] bool: within 4 cm along its normal a point meets surface that looks back, as inside a closed mouth."""
    tree, enclosed = cKDTree(vertices), np.zeros(len(vertices), bool)
    for reach in (0.005, 0.01, 0.02, 0.03, 0.04):
        away, other = tree.query(vertices + reach * normals)
        opposed = np.einsum("nc,nc->n", normals, normals[other]) < -0.3
        enclosed |= opposed & (away < 0.5 * reach)
    return enclosed


def _in_our_axes(points: np.ndarray) -> np.ndarray:
    """From +z up, facing -y."""
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=1).astype(np.float64)


def _our_bone(name: str) -> int:
    for bone, starts in STARTS.items():
        if name.startswith(starts):
            side = f"_{name[-1].lower()}" if bone not in ("pelvis", "chest") else ""
            return BONE[f"{bone}{side}"]
    return BONE["head"]


def posed_vertices(rest: RestBody, skeleton: Skeleton) -> np.ndarray:
    """[V, 3] the body on a posed skeleton, world frame, metres: linear blend skinning with stretched bones."""
    posed = np.zeros_like(rest.vertices)
    lengths = skeleton.proportions
    whole = lengths.scale * 1.75 / float(np.ptp(rest.vertices[:, 1]))
    for bone, (origin, frame, stretch) in _rest_frames(rest, skeleton, whole).items():
        moved = np.flatnonzero(rest.weights[:, bone] > 0)
        local = ((rest.vertices[moved] - origin) @ frame.T) * stretch
        posed[moved] += rest.weights[moved, bone : bone + 1] * skeleton.to_world(bone, local)
    return posed


def _rest_frames(
    rest: RestBody, skeleton: Skeleton, whole: float
) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(origin, axes as rows, stretch along them) of each of our bones in the rest body."""
    joints, lengths, upright = rest.joints, skeleton.proportions, np.eye(3)
    hips = (joints["upperleg01.L"] + joints["upperleg01.R"]) / 2
    shoulders = (joints["upperarm01.L"] + joints["upperarm01.R"]) / 2
    chest = hips + CHEST_SHARE * (shoulders - hips) * [0, 1, 0]
    top = float(rest.vertices[:, 1].max())
    long = lengths.chest / (chest[1] - hips[1])
    long_chest = (lengths.shoulder_up - lengths.shoulder_drop) / (shoulders[1] - chest[1])
    wide_chest = 0.5 * (whole + lengths.shoulder / joints["upperarm01.L"][0])
    wide_hips = 0.5 * (whole + lengths.hip / joints["upperleg01.L"][0])
    half = lengths.head[1]
    head = np.array([0.0, top - half / whole, joints["head"][2] + 0.03 / whole])
    frames = {
        BONE["pelvis"]: (hips, upright, np.array([wide_hips, long, whole])),
        BONE["chest"]: (chest, upright, np.array([wide_chest, long_chest, whole])),
        BONE["head"]: (head, upright, np.full(3, whole)),
    }
    chains = {
        "arm": ("upperarm01", "lowerarm01", lengths.arm),
        "forearm": ("lowerarm01", "wrist", lengths.forearm),
        "hand": ("wrist", "finger3-1", 0.0),
        "thigh": ("upperleg01", "lowerleg01", lengths.thigh),
        "shank": ("lowerleg01", "foot", lengths.shank),
    }
    for name in SIDES:
        end = f".{name.upper()}"
        for bone, (first, second, length) in chains.items():
            along = joints[first + end] - joints[second + end]
            far = float(np.linalg.norm(along))
            stretch = np.array([whole, length / far if length else whole, whole])
            frames[BONE[f"{bone}_{name}"]] = (joints[first + end], _frame(along / far), stretch)
        foot = joints["foot" + end]
        frames[BONE[f"foot_{name}"]] = (foot, upright, np.full(3, FOOT_SHRINK * whole))
    return frames


def _frame(up: np.ndarray) -> np.ndarray:
    """Rows x, y, z with y along `up` and z as far forward as possible."""
    forward = np.array([0.0, 0.0, 1.0]) - up * up[2]
    forward /= np.linalg.norm(forward)
    return np.stack([np.cross(up, forward), up, forward])


def dressed_grid(person: Person, low: np.ndarray, step: float, shape: tuple[int, int, int]) -> np.ndarray:
    """`field.fill_grid` of a person whose own solids are replaced by an anny body; clothes on the trunk cling to it."""
    identity = person.identity
    rest = rest_body(identity.build, identity.figure == "feminine")
    vertices = posed_vertices(rest, person.skeleton)
    normals = _vertex_normals(vertices, rest.faces)
    clothed = rest.weights[:, BONE["pelvis"]] + rest.weights[:, BONE["chest"]]
    neck = rest.vertices[:, 1] > rest.joints["neck01"][1]
    vertices = vertices + normals * (np.where(neck, 0.0, clothed) * cloth_thickness_m(identity))[:, None]
    points, directions = _dense(vertices, normals, rest.faces[rest.kept], step)
    body = cloud_distances(points, directions, low, step, shape)
    _close_mouth(body, vertices[rest.weights[:, BONE["head"]] > 0.5], low, step)
    return fill_grid(_clothes(person.packed), low, step, shape, body)


def _close_mouth(grid: np.ndarray, head: np.ndarray, low: np.ndarray, step: float) -> None:
    """Fill gaps of up to two cells in the head: the mouth has an inside."""
    first = np.maximum(((head.min(0) - low) / step).astype(int) - 2, 0)
    last = ((head.max(0) - low) / step).astype(int) + 4
    part = grid[first[0] : last[0], first[1] : last[1], first[2] : last[2]]
    solid = part < 0
    closed = binary_fill_holes(binary_closing(solid))
    part[closed & ~solid] = -0.25 * step


def _dense(vertices: np.ndarray, normals: np.ndarray, faces: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the faces, and of the long faces also the middles of face and edges, with their normals."""
    corners = vertices[faces]
    long = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1) > step
    points, directions = [vertices[np.unique(faces)]], [normals[np.unique(faces)]]
    for shares in ((0.5, 0.5, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (1 / 3, 1 / 3, 1 / 3)):
        points.append(np.einsum("fkc,k->fc", corners[long], shares))
        directions.append(np.einsum("fkc,k->fc", normals[faces[long]], shares))
    all_directions = np.concatenate(directions)
    return np.concatenate(points), all_directions / np.linalg.norm(all_directions, axis=1, keepdims=True).clip(1e-9)


def _vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def cloud_distances(
    vertices: np.ndarray, normals: np.ndarray, low: np.ndarray, step: float, shape: tuple[int, int, int]
) -> np.ndarray:
    """Signed distances to a closed surface given by its points and normals (Hoppe et al. 1992).

    Args:
        vertices: [V, 3] no farther apart than about the grid spacing.
        normals: [V, 3] unit, outward.
        low: [3] position of grid point (0, 0, 0).
        step: Grid spacing.

    Returns:
        [X, Y, Z] float32, clamped to +-`FAR`; hollows without a way out are filled, loose pieces dropped.
    """
    seeds = np.zeros(shape, bool)
    cells = np.clip(np.rint((vertices - low) / step).astype(int), 0, np.array(shape) - 1)
    seeds[cells[:, 0], cells[:, 1], cells[:, 2]] = True
    near = binary_dilation(seeds, iterations=int(np.ceil(0.03 / step)))
    where = np.argwhere(near)
    points = low + step * where
    away, nearest = cKDTree(vertices).query(points, k=3)
    height = np.einsum("nkc,nkc->nk", points[:, None] - vertices[nearest], normals[nearest])
    signed = np.where(away[:, 0] < 1.5 * step, height.mean(1), np.sign(height.mean(1)) * away[:, 0])
    outside, _ = label(~near)
    grid = np.where(outside == outside[0, 0, 0], FAR, -FAR).astype(np.float32)
    grid[near] = np.clip(signed, -FAR, FAR)
    solid = grid < 0
    grid[binary_fill_holes(solid) & ~solid] = -0.5 * step
    pieces, count = label(grid < 0)
    if count > 1:  # crumbs where the skin meets itself
        grid[(pieces > 0) & (pieces != 1 + np.bincount(pieces.ravel())[1:].argmax())] = 0.5 * step
    return grid


def _clothes(packed: Packed) -> Packed:
    """The solids that are not body, and the hands, in the same groups."""
    kept = ~np.isin(packed.region, (TRUNK, HEAD, SKIN)) | np.isin(packed.bone, HANDS)
    first = np.concatenate([[0], np.cumsum(kept)])[packed.group_first]
    return packed._replace(
        table=packed.table[kept],
        kind=packed.kind[kept],
        region=packed.region[kept],
        material=packed.material[kept],
        bone=packed.bone[kept],
        group_first=first.astype(np.int64),
    )
