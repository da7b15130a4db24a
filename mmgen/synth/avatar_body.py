"""A rigged person in a pose, ready to be drawn and to be told as truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmgen.synth.avatar import AvatarIdentity, build_stretch, dressed_avatar
from mmgen.synth.mesh import VERTEX_QUANTUM_M
from mmgen.synth.pose import REST, Pose
from mmgen.synth.rig_pose import rig_joints, rig_turns
from mmgen.synth.rig_surface import RigFigure, face_parts
from mmgen.synth.rigged import RiggedPerson
from mmgen.synth.shading import Light, project_pixels
from mmgen.synth.skeleton import BONE, Skeleton
from mmgen.synth.textured import OPAQUE, TexturedMesh, shade_faces, sun_exposure, vertex_normals, visible_faces

SEEN_SHARE = 0.5
"""Sheets of hair that are as opaque as this belong to the surface."""

COLOUR_TEXELS = 3
"""A vertex has the mean colour of so many texels' square."""


@dataclass(frozen=True)
class RiggedBody:
    """A person's surface, world frame, metres: +y up, facing +z, bounding box centred on the origin.

    Attributes:
        vertices: [V, 3] float32; sheets of hair are there twice, once for each side.
        faces: [F, 3] int32.
        colors: [V, 3] float32, 0..1 in steps of 1/255.
        mesh: what is drawn; its exposure is 1.
        skeleton: bones of the generator in the pose.
        figure: what the template is put on.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray
    mesh: TexturedMesh
    skeleton: Skeleton
    figure: RigFigure

    @property
    def ground_y(self) -> float:
        """Height of the ground, metres: the lowest vertex stands on it."""
        return float(self.vertices[:, 1].min())

    @property
    def height_m(self) -> float:
        """Height of the surface's bounding box."""
        return float(np.ptp(self.vertices[:, 1]))

    def feet(self) -> np.ndarray:
        """[2, 3] middles of the soles, world frame."""
        skeleton = self.skeleton
        sole = np.array([0.0, -skeleton.proportions.ankle, 0.05 * skeleton.proportions.scale])
        return np.stack([skeleton.to_world(BONE[name], sole) for name in ("foot_l", "foot_r")])

    def draw(
        self, world_to_camera: np.ndarray, intrinsics: np.ndarray, light: Light, size: tuple[int, int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours and coverage, as from `shading.draw_person`."""
        height, width, samples = size
        pixels, depth = project_pixels(self.mesh.vertices, world_to_camera, intrinsics)
        index, _ = visible_faces(self.mesh, pixels * samples, depth, height * samples, width * samples)
        direction = world_to_camera[:3, :3].T @ np.array(light.direction_camera)
        eye = -world_to_camera[:3, :3].T @ world_to_camera[:3, 3]
        lamps = np.stack([direction, eye, *light.tints()])
        lit = self.mesh._replace(exposure=sun_exposure(self.mesh, direction))
        drawn = shade_faces(lit, pixels * samples, depth, index, lamps, samples)
        return drawn[:, :, :3], drawn[:, :, 3]


def avatar_body(who: AvatarIdentity, folder: Path, pose: Pose) -> RiggedBody:
    """A rigged person in a pose of the generator.

    Raises:
        FatalError: `avatar_unusable`.
    """
    person = dressed_avatar(who, folder)
    shown = shown_surface(person)
    stretch = build_stretch(person, who)
    posed = person.posed(rig_turns(person, pose), stretch)
    at_rest = rig_joints(person, person.posed(rig_turns(person, REST), stretch), REST).places
    bones = rig_joints(person, posed, pose)
    seen = posed.vertices[shown.vertices]
    middle = (seen.min(axis=0) + seen.max(axis=0)) / 2
    vertices = np.round((posed.vertices - middle) / VERTEX_QUANTUM_M) * VERTEX_QUANTUM_M
    skeleton = bones.skeleton.moved(-middle)
    figure = RigFigure(
        skeleton,
        {name: place - at_rest["Hips"] for name, place in at_rest.items()},
        vertices[person.faces[shown.outside]],
        face_parts(person)[shown.outside],
        person.is_hair[person.faces[shown.outside, 0]],
    )
    mesh = TexturedMesh(
        vertices, vertex_normals(vertices, person.faces), np.ones(len(vertices)), person.faces, person.uv,
        person.face_texture, person.textures,
    )  # fmt: skip
    return RiggedBody(
        vertices[shown.vertices].astype(np.float32), shown.faces, _colours(person, shown), mesh, skeleton, figure
    )


@dataclass(frozen=True)
class ShownSurface:
    """What of a file's mesh is a person's surface.

    Attributes:
        outside: [G] faces of the file that are opaque.
        vertices: [V] vertices of the file.
        faces: [F, 3] int32 rows of `vertices`.
    """

    outside: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray


def shown_surface(person: RiggedPerson) -> ShownSurface:
    """Opaque faces; those of hair from both sides, with vertices of their own."""
    is_hair = person.is_hair[person.faces[:, 0]]
    outside = np.flatnonzero(~is_hair | (_opaque_share(person) >= SEEN_SHARE))
    sheets = person.faces[outside[is_hair[outside]]]
    used, faces = np.unique(person.faces[outside], return_inverse=True)
    behind, back = np.unique(sheets, return_inverse=True)
    faces = np.concatenate([faces.reshape(-1, 3), back.reshape(-1, 3)[:, ::-1] + len(used)])
    return ShownSurface(outside, np.concatenate([used, behind]), faces.astype(np.int32))


def _opaque_share(person: RiggedPerson) -> np.ndarray:
    """[F] share of opaque texels, told from seven places of each face."""
    places = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4], [2, 2, 1], [1, 2, 2], [2, 1, 2]], float)
    places /= places.sum(axis=1, keepdims=True)
    uv = np.einsum("pk,fkc->fpc", places, person.uv[person.faces])
    return np.asarray((_texels(person, person.face_texture[:, None], uv)[..., 3] >= OPAQUE).mean(axis=1))


def _texels(person: RiggedPerson, numbers: np.ndarray, uv: np.ndarray) -> np.ndarray:
    high, wide = person.textures.shape[1:3]
    rows, columns = (uv[..., 1] % 1 * high).astype(int) % high, (uv[..., 0] % 1 * wide).astype(int) % wide
    return np.asarray(person.textures[numbers, rows, columns])


def _colours(person: RiggedPerson, shown: ShownSurface) -> np.ndarray:
    """[V, 3] colours of vertices: opaque texels around them, averaged."""
    numbers = np.zeros(len(person.positions), np.int64)
    numbers[person.faces.ravel()] = np.repeat(person.face_texture, 3)
    total, count = np.zeros((len(shown.vertices), 3)), np.zeros((len(shown.vertices), 1))
    high, wide = person.textures.shape[1:3]
    for down in range(-(COLOUR_TEXELS // 2), COLOUR_TEXELS // 2 + 1):
        for right in range(-(COLOUR_TEXELS // 2), COLOUR_TEXELS // 2 + 1):
            uv = person.uv[shown.vertices] + np.array([right / wide, down / high])
            texels = _texels(person, numbers[shown.vertices], uv)
            opaque = (texels[:, 3:] >= OPAQUE) + 1e-6
            total, count = total + opaque * texels[:, :3], count + opaque
    return (np.round(total / count) / 255).astype(np.float32)
