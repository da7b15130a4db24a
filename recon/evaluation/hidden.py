"""How well an answer guesses what its photo does not show: colours without detail, detail without place, seams.

SSIM rewards fog here, since a blur beats every detail that is not in its exact place; it stands beside as a guard.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.camera import world_to_camera
from recon.evaluation.surfaces import Surface, draw
from recon.evaluation.truth import Truth, beside_truth, comparison_cameras
from recon.geometry import vertex_normals
from recon.metrics import ssim_in_mask
from recon.structures import Camera

HIDDEN_TURNS_DEG = (120.0, 150.0, 180.0, -150.0, -120.0)
HIDDEN_SIZE = (256, 128)
_BLUR_PX = 5.0
_SEAM_FACING = (0.05, 0.40)
"""Cosines between surface and viewing ray between which the photo's colours give way to guessed ones."""


@torch.no_grad()
def hidden_row(surface: Surface, camera: Camera, truth: Truth, true_surface: Surface) -> dict[str, float]:
    """Measures of one answer inside both outlines, means over 120 to 180 degrees from the photo's view.

    `hidden_colour_error`: mean absolute difference, 0..1, after a blur of 5 pixels in 256; `hidden_sharpness`: mean
    gradient magnitude divided by the truth's; `hidden_seam`: the same where seen and guessed colours meet;
    `hidden_ssim`: SSIM inside.

    Args:
        surface: the answer, own world.
        camera: its own camera, a batch of one.
        true_surface: the same in the photo's colours and the canonical frame.
    """
    turned = beside_truth(surface, camera, truth)
    cameras = comparison_cameras(truth, torch.tensor(HIDDEN_TURNS_DEG))
    own, true = draw(turned, cameras, HIDDEN_SIZE), draw(true_surface, cameras, HIDDEN_SIZE)
    facing = draw(_facing_as_colour(turned, surface, camera), cameras, HIDDEN_SIZE).image[:, 0]
    both = own.covered & true.covered
    inside = both & ~_near(~both)
    difference = (_blurred(own.image, both) - _blurred(true.image, both)).abs().mean(dim=1)
    steepness, true_steepness = _steepness(own.image), _steepness(true.image)
    row = {
        "hidden_colour_error": float(difference[both].mean()),
        "hidden_sharpness": float(steepness[inside].mean() / true_steepness[inside].mean().clamp(min=1e-6)),
        "hidden_ssim": float(
            ssim_in_mask(_over_white(own.image, both), _over_white(true.image, both), both.float()).nanmean()
        ),
    }
    seam = inside & (facing > _SEAM_FACING[0]) & (facing < _SEAM_FACING[1])
    if bool(seam.any()):
        row["hidden_seam"] = float(steepness[seam].mean() / true_steepness[seam].mean().clamp(min=1e-6))
    return row


def _facing_as_colour(turned: Surface, surface: Surface, camera: Camera) -> Surface:
    """The surface coloured by the cosine between its normals and the photo's viewing ray, 0 where it faces away."""
    rigid = world_to_camera(camera)[0].to(surface.vertices)
    in_camera = surface.vertices @ rigid[:3, :3].T + rigid[:3, 3]
    towards = torch.nn.functional.normalize(-in_camera, dim=1)
    facing = (vertex_normals(in_camera[None], surface.faces)[0] * towards).sum(dim=1).clamp(0, 1).float()
    return replace(turned, corner_values=facing[surface.faces][..., None].expand(-1, -1, 3), texture=None, light=None)


def _blurred(image: Float[Tensor, "N 3 H W"], inside: Bool[Tensor, "N H W"]) -> Float[Tensor, "N 3 H W"]:
    """Gaussian means over what is inside."""
    weight = inside[:, None].to(image.dtype)
    reach = torch.arange(-15, 16, dtype=image.dtype)
    kernel = torch.exp(-(reach**2) / (2 * _BLUR_PX**2))
    joined = torch.cat((image * weight, weight), dim=1).flatten(0, 1)[:, None]
    for shape, padding in (((1, 1, -1, 1), (15, 0)), ((1, 1, 1, -1), (0, 15))):
        joined = torch.nn.functional.conv2d(joined, kernel.view(shape), padding=padding)
    joined = joined.view(len(image), 4, *image.shape[2:])
    return joined[:, :3] / joined[:, 3:].clamp(min=1e-6)


def _steepness(image: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N H W"]:
    """Gradient magnitude by central differences, mean over the channels; 0 at the border."""
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    along = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    return torch.hypot(across, along).mean(dim=1)


def _near(outside: Bool[Tensor, "N H W"]) -> Bool[Tensor, "N H W"]:
    """Outside or within two pixels of it."""
    return torch.nn.functional.max_pool2d(outside.float()[:, None], 5, stride=1, padding=2)[:, 0] > 0


def _over_white(image: Float[Tensor, "N 3 H W"], inside: Bool[Tensor, "N H W"]) -> Float[Tensor, "N 3 H W"]:
    return torch.where(inside[:, None], image, torch.ones_like(image))
