"""Pictures of a training: photos beside what the networks make of them from all sides, and the prototype turned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mmgen.core.files import write_bytes_atomic
from mmgen.core.outputs import image_bytes
from recon.encoders import AttributeEncoder
from recon.encoders.model import over_white
from recon.render import render
from recon.structures import Camera, Sample, TexturedMesh
from recon.template import Template
from recon.training.step import draw

TURNS_DEG = (0.0, 60.0, 90.0, 180.0, -90.0, -60.0)
TEMPLATE_TURNS_DEG = (0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0)
GREY = 0.8
PLASTER_LIGHT = (1.7, 0.45, 0.9, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0)
SCALE = 2
TEMPLATE_DISTANCE = 3.0


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write [H, W, 3] pixels, enlarged so that people can see them."""
    image = Image.fromarray(pixels)
    image = image.resize((image.width * SCALE, image.height * SCALE), Image.Resampling.NEAREST)
    write_bytes_atomic(path, image_bytes(image, "PNG"))


@torch.no_grad()
def photo_grid(encoder: AttributeEncoder, sample: Sample) -> NDArray[np.uint8]:
    """[H, W, 3]: per photo a row with photo, drawing, its mask, grey shape, and the body from fixed sides.

    The sides are absolute (0 is the front), not relative to the predicted camera.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        own = encoder(sample)
    finally:
        encoder.train(was_training)
    own = replace(own, background=None)
    template = encoder.prototype
    plain = draw(own, template, sample)
    light = own.offsets.new_tensor(PLASTER_LIGHT).expand(len(sample), -1)
    plaster = replace(own, texture=torch.full_like(own.texture, GREY), light=light)
    columns = [over_white(sample.image, sample.mask), plain.image, plain.mask[:, None].expand(-1, 3, -1, -1)]
    columns.append(draw(plaster, template, sample).image)
    for turn_deg in TURNS_DEG:
        camera = replace(own.camera, azimuth_deg=torch.full_like(own.camera.azimuth_deg, turn_deg))
        columns.append(draw(replace(own, camera=camera), template, sample).image)
    return _tiled(torch.stack(columns, dim=1))


@torch.no_grad()
def template_turntable(template: Template, size: tuple[int, int]) -> NDArray[np.uint8]:
    """[H, W, 3]: the prototype in plaster from eight sides."""
    turns = torch.tensor(TEMPLATE_TURNS_DEG, device=template.vertices.device)
    count = len(turns)
    zeros = torch.zeros_like(turns)
    camera = Camera(turns, zeros + 5.0, zeros + TEMPLATE_DISTANCE, zeros[:, None].repeat(1, 2))
    texture = torch.full((count, 3, 8, 8), GREY, device=turns.device)
    mesh = TexturedMesh(template.vertices.expand(count, -1, -1), template.faces, template.face_uv, texture)
    light = texture.new_tensor(PLASTER_LIGHT).expand(count, -1)
    return _tiled(render(mesh, camera, size, light=light).image[None])


def _tiled(images: Tensor) -> NDArray[np.uint8]:
    """[R, C, 3, H, W] in 0..1 to one [R * H, C * W, 3] picture."""
    rows, columns, _, height, width = images.shape
    tiled = images.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 3)
    return np.asarray((tiled * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy())
