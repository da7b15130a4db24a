"""A predicted body in its photo, whatever predicted it: networks, a fit, or a trivial rule."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera import project
from recon.evaluation.surfaces import Surface, draw_projected
from recon.render.scene import render_silhouette
from recon.structures import Camera


@dataclass(frozen=True)
class Prediction:
    """One predicted body and how it lies in its photo.

    Attributes:
        surface: in the world of `camera`.
        shift_ndc: where the camera's axis meets the photo, NDC (x right, y up). Not (0, 0) where the camera belongs to
            a part of the photo: a crop moves the axis off the centre, which no offset of the body can express.
    """

    surface: Surface
    camera: Camera
    shift_ndc: tuple[float, float] = (0.0, 0.0)

    def turned(self, azimuth_deg: float) -> "Prediction":
        """The same body seen from `azimuth_deg` degrees further around it."""
        return replace(self, camera=self.camera.turned(azimuth_deg))


@dataclass(frozen=True)
class AnswerDrawing:
    """An answer drawn in its photo's frame.

    Attributes:
        image: [3, H, W] over white, 0..1.
        mask: [H, W] soft silhouette, exactly 1 on covered pixels.
    """

    image: Float[Tensor, "3 H W"]
    mask: Float[Tensor, "H W"]


@torch.no_grad()
def draw_prediction(answer: Prediction, size: tuple[int, int]) -> AnswerDrawing:
    """Draw an answer at (height, width) pixels of its photo, as `recon.render.render` would."""
    vertices = answer.surface.vertices.to(answer.camera.distance)[None]
    ndc, in_camera = project(vertices, answer.camera, *size)
    ndc = ndc + ndc.new_tensor(answer.shift_ndc)
    image = draw_projected(answer.surface, ndc, in_camera, size).image
    mask, _ = render_silhouette(ndc, in_camera, answer.surface.faces, size)
    return AnswerDrawing(image[0], mask[0])
