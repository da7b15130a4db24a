"""Coloured surfaces of any topology, drawn one by one from several cameras: what answers and truth share."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.camera import project
from recon.evaluation.solid import canonical_frame, without_stray_vertices
from recon.geometry import face_normals
from recon.render.api import rasterize
from recon.render.scene import SLIVER_AREA, gather_corners, minified, sample_texture, spherical_harmonic_lighting
from recon.structures import Camera


@dataclass(frozen=True)
class Surface:
    """One closed, coloured mesh.

    Attributes:
        vertices: [V, 3].
        faces: [F, 3], counter-clockwise seen from outside.
        corner_values: [F, 3, 2] texture coordinates, or [F, 3, 3] RGB colours when there is no texture.
        texture: [1, 3, Ht, Wt], or None.
        light: [1, 9] spherical harmonics in the camera frame, or None for unlit.
    """

    vertices: Float[Tensor, "V 3"]
    faces: Int[Tensor, "F 3"]
    corner_values: Float[Tensor, "F 3 D"]
    texture: Float[Tensor, "1 3 Ht Wt"] | None = None
    light: Float[Tensor, "1 9"] | None = None

    def turned(self, rotation: Float[Tensor, "3 3"]) -> "Surface":
        """Vertices multiplied by a rotation matrix."""
        return replace(self, vertices=self.vertices.double() @ rotation.double().T)

    def canonical(self) -> "Surface":
        """Middle at the origin, height 1 (`solid.canonical_frame`), without stray vertices."""
        vertices, faces = without_stray_vertices(self.vertices, self.faces)
        return replace(self, vertices=canonical_frame(vertices, faces), faces=faces)


@dataclass(frozen=True)
class Drawing:
    """Views of one surface.

    Attributes:
        image: [N, 3, H, W] over white.
        covered: [N, H, W] pixels that show the surface.
    """

    image: Float[Tensor, "N 3 H W"]
    covered: Bool[Tensor, "N H W"]


def draw(surface: Surface, cameras: Camera, size: tuple[int, int]) -> Drawing:
    """Draw one surface from N cameras at (height, width) pixels."""
    vertices = surface.vertices.to(cameras.distance).expand(len(cameras), -1, -1)
    return draw_projected(surface, *project(vertices, cameras, *size), size)


@torch.no_grad()
def draw_projected(
    surface: Surface,
    vertices_ndc: Float[Tensor, "N V 2"],
    vertices_camera: Float[Tensor, "N V 3"],
    size: tuple[int, int],
) -> Drawing:
    """`draw` for vertices that were projected already."""
    count = len(vertices_ndc)
    corners, z, facing = gather_corners(vertices_ndc, vertices_camera, surface.faces, SLIVER_AREA)
    features = surface.corner_values.to(corners).expand(count, -1, -1, -1)
    if surface.light is not None:
        light = surface.light.to(corners).expand(count, -1)
        gain = spherical_harmonic_lighting(face_normals(vertices_camera, surface.faces), light)
        features = torch.cat((features, gain[:, :, None, None].expand(-1, -1, 3, 1)), dim=-1)
    drawn, face_index = rasterize(*size, z, corners, features.contiguous(), facing >= 0)
    assert isinstance(drawn, Tensor)  # one tensor of features in, one out
    if surface.texture is None:
        colours = drawn[..., :3].permute(0, 3, 1, 2)
    else:
        texture = minified(surface.texture.to(corners), size[0])
        colours = sample_texture(texture.expand(count, -1, -1, -1), drawn[..., :2])
    if surface.light is not None:
        colours = colours * drawn[..., -1][:, None]
    covered = face_index >= 0
    image = torch.where(covered[:, None], colours, torch.ones_like(colours)).clamp(0, 1)
    return Drawing(image, covered)
