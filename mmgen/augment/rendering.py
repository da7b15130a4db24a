"""People as pixels: one body from several cameras in the frame of a whole photo."""

from typing import Any

import torch
from torch import Tensor

from mmgen.augment.compositing import SUPERSAMPLING
from recon.camera import project
from recon.render.api import rasterize
from recon.render.scene import SLIVER_AREA, gather_corners, shade
from recon.structures import Camera
from recon.template import Template


class BodyRenderer:
    """Draws bodies of one mesh.

    Args:
        mesh: faces and texture coordinates; bodies are drawn on its device.
        crop_size: height and width of the crop that cameras belong to.
        size: height and width of the pictures, pixels.
    """

    def __init__(self, mesh: Template, crop_size: tuple[int, int], size: tuple[int, int]) -> None:
        self._mesh, self._crop_size, self._size = mesh, crop_size, size

    def __call__(self, record: Any, texture: Tensor, camera: Camera, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, H, W] colours and [N, H, W] face index (-1: nobody) in fine pixels of the whole photo's frame.

        Args:
            record: of the photo whose frame is drawn, see `mmgen.augment.store.block_type`.
            texture: [3, Ht, Wt], 0..1.
            camera: N cameras of the crop.
            vertices: [V, 3], or [N, V, 3] where every view has a pose of its own.
        """
        mesh, (height, width) = self._mesh, self._size
        device, count = mesh.vertices.device, len(camera)
        ndc, in_camera = project(vertices.to(device), camera.to(device), *self._crop_size)
        scale, shift = torch.from_numpy(record["frame"].copy()).to(device).split(2)
        corners, z, facing = gather_corners(ndc * scale + shift, in_camera, mesh.faces, SLIVER_AREA)
        features = mesh.face_uv.expand(count, -1, -1, -1).contiguous()
        drawn, face_index = rasterize(SUPERSAMPLING * height, SUPERSAMPLING * width, z, corners, features, facing >= 0)
        assert isinstance(drawn, Tensor)
        return shade(drawn, face_index, texture.to(device).expand(count, -1, -1, -1), None), face_index


def source_camera(record: Any, turns_deg: tuple[int, ...] = (0,)) -> Camera:
    """The camera that a photo was taken with, turned around the body; N cameras of its crop."""
    count = len(turns_deg)
    azimuth = torch.tensor(turns_deg, dtype=torch.float32) + float(record["azimuth_deg"])
    offset = torch.from_numpy(record["offset"].copy()).expand(count, 2)
    elevation, distance = (torch.full((count,), float(record[name])) for name in ("elevation_deg", "distance"))
    return Camera((azimuth + 180) % 360 - 180, elevation, distance, offset, float(record["focal"]))
