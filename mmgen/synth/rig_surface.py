"""A rigged person as a figure that the template is put on: rays and distances to a mesh, part by part."""

from functools import cached_property

import numpy as np
from numba import njit

from mmgen.synth.cells import Cells, cells_of, nearest_places
from mmgen.synth.field import FAR
from mmgen.synth.parts import ARM_L, ARM_R, CORE, LEG_L, LEG_R
from mmgen.synth.rigged import RiggedPerson
from mmgen.synth.skeleton import Skeleton

PART_SHARE = 0.25
"""Faces belong to every part whose bones move one of their corners as much as this."""

LONGEST_EDGE_M = 0.06
"""Distances are told from the middles of faces and edges as long as this at most."""

GAP_M, HAIR_GAP_M = 0.012, 0.04
"""Widest gap between sheets of a surface that a ray crosses."""

_ROOTS = {"LeftArm": ARM_L, "RightArm": ARM_R, "LeftUpLeg": LEG_L, "RightUpLeg": LEG_R}


def face_parts(person: RiggedPerson) -> np.ndarray:
    """[F] parts that faces belong to, as bits."""
    nodes = np.full(len(person.names), CORE)
    for node in person.from_the_roots:
        if person.parents[node] >= 0:
            nodes[node] = nodes[person.parents[node]]
        nodes[node] = _ROOTS.get(person.names[node], nodes[node])
    of_bone = nodes[person.bone_nodes][person.bones]
    of_vertex = np.zeros(len(person.positions), np.int64)
    for part in (CORE, ARM_L, ARM_R, LEG_L, LEG_R):
        share = np.where(of_bone == part, person.weights, 0.0).sum(axis=1)
        of_vertex |= np.where(share > PART_SHARE, part, 0)
    return np.asarray(np.bitwise_or.reduce(of_vertex[person.faces], axis=1))


class RigFigure:
    """A rigged person in a pose, and what the template asks of it.

    Args:
        skeleton: bones in the pose, world frame, metres.
        joints: by joint of the template, [3] its place at rest, hips at the origin.
        corners: [F, 3, 3] corners of the faces, world frame, metres.
        parts: [F], see `face_parts`.
        is_hair: [F] bool; sheets, whose orientation says nothing.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        joints: dict[str, np.ndarray],
        corners: np.ndarray,
        parts: np.ndarray,
        is_hair: np.ndarray,
    ) -> None:
        self.skeleton = skeleton
        self._joints, self._corners, self._parts, self._is_hair = joints, corners, parts, is_hair

    @property
    def hems(self) -> tuple[float, ...]:
        """None: what these people wear hangs from one leg at a time."""
        return ()

    def rest_joints(self, names: tuple[str, ...]) -> np.ndarray:
        """[J, 3] joints of the person at rest."""
        return np.stack([self._joints[name] for name in names])

    def held_m(self, name: str) -> float:
        """Hands are empty."""
        return 0.0

    def exits(self, wanted: np.ndarray, starts: np.ndarray, directions: np.ndarray, longest: float) -> np.ndarray:
        """[N] how far rays go until they leave the faces of the parts wanted."""
        found = np.full(len(starts), np.nan)
        _exits(self._corners, self._parts, self._is_hair, wanted, starts, directions, longest, found)
        return found

    def distances(self, wanted: np.ndarray, points: np.ndarray) -> np.ndarray:
        """[N] distances along the normal of the nearest place of the parts wanted; negative inside."""
        places, normals, parts, cells = self._samples
        nearest = nearest_places(cells, places, parts, wanted, points)
        found = ((points - places[nearest]) * normals[nearest]).sum(axis=1)
        return np.clip(found, -FAR, FAR)

    @cached_property
    def _samples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, Cells]:
        """Places [S, 3] on the surface, middles of faces and edges, with normals, parts, and a way to find them."""
        across = np.cross(self._corners[:, 1] - self._corners[:, 0], self._corners[:, 2] - self._corners[:, 0])
        normals = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
        inward = ((self._corners.mean(axis=1) - self.skeleton.origin[2]) * normals).sum(axis=1) < 0
        normals = np.where((self._is_hair & inward)[:, None], -normals, normals)
        corners, owners = _in_small_faces(self._corners)
        middles = [corners.mean(axis=1), *((corners[:, k] + corners[:, (k + 1) % 3]) / 2 for k in range(3))]
        places, owners = np.concatenate(middles), np.tile(owners, 4)
        return places, normals[owners], self._parts[owners], cells_of(places)


def _in_small_faces(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces [G, 3, 3] with edges no longer than `LONGEST_EDGE_M`, four instead of each that has, and whose they are."""
    owners = np.arange(len(corners))
    done, whose = [], []
    while len(corners):
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
        large = edges.max(axis=1) > LONGEST_EDGE_M
        done.append(corners[~large])
        whose.append(owners[~large])
        a, b, c = corners[large].transpose(1, 0, 2)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        parts = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        corners = np.concatenate([np.stack(part, axis=1) for part in parts])
        owners = np.tile(owners[large], 4)
    return np.concatenate(done), np.concatenate(whose)


@njit(cache=True, error_model="numpy")
def _exits(
    corners: np.ndarray,
    parts: np.ndarray,
    is_hair: np.ndarray,
    wanted: np.ndarray,
    starts: np.ndarray,
    directions: np.ndarray,
    longest: float,
    found: np.ndarray,
) -> None:
    """First place of every ray after which no face of the parts wanted follows within a gap (Möller, Trumbore 1997)."""
    count = corners.shape[0]
    middle, reach = np.zeros((count, 3)), np.zeros(count)
    for f in range(count):
        for axis in range(3):
            middle[f, axis] = (corners[f, 0, axis] + corners[f, 1, axis] + corners[f, 2, axis]) / 3
        for k in range(3):
            d = 0.0
            for axis in range(3):
                d += (corners[f, k, axis] - middle[f, axis]) ** 2
            reach[f] = max(reach[f], d)
    hits, enters = np.zeros(256), np.zeros(256)
    for n in range(starts.shape[0]):
        met = 0
        for f in range(count):
            if parts[f] & wanted[n] == 0 or met == 256:
                continue
            along, square = 0.0, 0.0
            for axis in range(3):
                d = middle[f, axis] - starts[n, axis]
                along += d * directions[n, axis]
                square += d * d
            if square - along * along > reach[f] or along * along > (longest + 0.1) ** 2:
                continue
            t, side = _hit(corners[f], starts[n], directions[n])
            if 0.0 < t < longest:
                hits[met], enters[met] = t, 0.5 if is_hair[f] else side
                met += 1
        if met > 0:
            found[n] = _last_exit(hits[:met], enters[:met])


@njit(cache=True, error_model="numpy")
def _last_exit(hits: np.ndarray, enters: np.ndarray) -> float:
    """Where a ray is outside for good.

    Args:
        enters: 1 where the ray goes in, 0 where it comes out, 0.5 for sheets of hair.
    """
    order = np.argsort(hits)
    at = -1.0
    for k in order:
        if enters[k] == 1.0 and at >= 0.0 and hits[k] - at > GAP_M:
            break
        if enters[k] == 0.5 and at >= 0.0 and hits[k] - at > HAIR_GAP_M:
            break
        if enters[k] != 1.0:
            at = hits[k]
    return at if at >= 0.0 else np.nan


@njit(cache=True, error_model="numpy")
def _hit(corners: np.ndarray, start: np.ndarray, direction: np.ndarray) -> tuple[float, float]:
    """Distance along a ray to a triangle, -1 for a miss, and 1 where the ray meets its front."""
    ax, ay, az = corners[1, 0] - corners[0, 0], corners[1, 1] - corners[0, 1], corners[1, 2] - corners[0, 2]
    bx, by, bz = corners[2, 0] - corners[0, 0], corners[2, 1] - corners[0, 1], corners[2, 2] - corners[0, 2]
    px = direction[1] * bz - direction[2] * by
    py = direction[2] * bx - direction[0] * bz
    pz = direction[0] * by - direction[1] * bx
    volume = ax * px + ay * py + az * pz
    if abs(volume) < 1e-14:
        return -1.0, 0.0
    sx, sy, sz = start[0] - corners[0, 0], start[1] - corners[0, 1], start[2] - corners[0, 2]
    u = (sx * px + sy * py + sz * pz) / volume
    qx, qy, qz = sy * az - sz * ay, sz * ax - sx * az, sx * ay - sy * ax
    v = (direction[0] * qx + direction[1] * qy + direction[2] * qz) / volume
    if u < 0.0 or v < 0.0 or u + v > 1.0:
        return -1.0, 0.0
    return (bx * qx + by * qy + bz * qz) / volume, 1.0 if volume > 0.0 else 0.0
