"""People with a skeleton of their own: a mesh, textures, a skin, and joints that turn."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Matrices = Mapping[str, NDArray[np.float64]]
"""By joint, [3, 3]."""


@dataclass(frozen=True)
class PosedRig:
    """A rigged person in a pose, world frame of the file.

    Attributes:
        vertices: [V, 3].
        places: [N, 3] of all nodes.
        turns: [N, 3, 3] how every node has turned since rest, in the world's axes.
    """

    vertices: NDArray[np.float64]
    places: NDArray[np.float64]
    turns: NDArray[np.float64]


@dataclass(frozen=True)
class RiggedPerson:
    """A person as a file holds them.

    Attributes:
        positions: [V, 3] in the skin's own units.
        uv: [V, 2] texture coordinates, from the top left corner.
        faces: [F, 3].
        face_texture: [F] number of the texture.
        is_hair: [V] bool, hair: sheets with holes, seen from both sides.
        bones: [V, K] rows of `bone_nodes` that move a vertex.
        weights: [V, K] their shares.
        bone_nodes: [B] node of each bone.
        inverse_bind: [B, 4, 4].
        textures: [T, Ht, Wt, 4] uint8.
        names: names of all N nodes.
        parents: node numbers, -1 for roots.
        local: [N, 4, 4] of every node, relative to its parent.
    """

    positions: NDArray[np.float64]
    uv: NDArray[np.float64]
    faces: NDArray[np.int64]
    face_texture: NDArray[np.int64]
    is_hair: NDArray[np.bool_]
    bones: NDArray[np.int64]
    weights: NDArray[np.float64]
    bone_nodes: NDArray[np.int64]
    inverse_bind: NDArray[np.float64]
    textures: NDArray[np.uint8]
    names: tuple[str, ...]
    parents: tuple[int, ...]
    local: NDArray[np.float64]

    def node(self, name: str) -> int:
        """Number of the node of that name."""
        return self.names.index(name)

    @cached_property
    def hair_textures(self) -> NDArray[np.int64]:
        """Numbers of the textures that hair has."""
        return np.unique(self.face_texture[self.is_hair[self.faces[:, 0]]])

    @cached_property
    def rest(self) -> NDArray[np.float64]:
        """[N, 4, 4] of every node in the world, as the file has it."""
        done: dict[int, NDArray[np.float64]] = {}
        for node in self.from_the_roots:
            parent = self.parents[node]
            done[node] = self.local[node] if parent < 0 else done[parent] @ self.local[node]
        return np.stack([done[node] for node in range(len(self.local))])

    @cached_property
    def from_the_roots(self) -> list[int]:
        """Every node after its parent."""

        def depth(node: int) -> int:
            return 0 if self.parents[node] < 0 else 1 + depth(self.parents[node])

        return sorted(range(len(self.parents)), key=depth)

    def with_hair(self, colour: NDArray[np.float64]) -> "RiggedPerson":
        """The same person with hair of another mean colour, RGB 0..255."""
        textures = self.textures.copy()
        for number in self.hair_textures:
            grey = textures[number, :, :, :3].mean(axis=2, keepdims=True)
            shades = np.clip(grey / max(float(grey.mean()), 1.0), 0.3, 1.7) * colour
            textures[number, :, :, :3] = np.clip(shades, 0, 255).astype(np.uint8)
        return replace(self, textures=textures)

    def posed(self, pose: Matrices, stretch: Matrices | None = None) -> PosedRig:
        """The person in a pose.

        Args:
            pose: by joint, a rotation in the axes of the world at rest, carried along by the joints above it.
            stretch: by joint, how what it moves is stretched about it, in the axes of the world at rest.
        """
        stretch = stretch or {}
        at_rest = self.rest[:, :3, 3]
        places, turns = at_rest.copy(), np.repeat(np.eye(3)[None], len(self.names), axis=0)
        linear = turns.copy()
        for node in self.from_the_roots:
            parent, name = self.parents[node], self.names[node]
            if parent >= 0:
                turns[node] = turns[parent]
                places[node] = places[parent] + linear[parent] @ (at_rest[node] - at_rest[parent])
            if name in pose:
                turns[node] = turns[node] @ pose[name]
            linear[node] = turns[node] @ stretch[name] if name in stretch else turns[node]
        maps = np.zeros((len(self.names), 3, 4))
        maps[:, :, :3] = linear
        maps[:, :, 3] = places - np.einsum("nij,nj->ni", linear, at_rest)
        skin = self.rest[self.bone_nodes] @ self.inverse_bind
        moving = maps[self.bone_nodes][:, :, :3] @ skin[:, :3]
        moving[:, :, 3] += maps[self.bone_nodes][:, :, 3]
        mixed = np.einsum("vk,vkm->vm", self.weights, moving.reshape(-1, 12)[self.bones]).reshape(-1, 3, 4)
        vertices = np.einsum("vij,vj->vi", mixed[:, :, :3], self.positions) + mixed[:, :, 3]
        return PosedRig(vertices, places, turns)
