"""Terms that compare drawings with photos."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.metrics import SSIM_WINDOW_PX, mask_iou, ssim_map


def image_loss(
    rendered: Float[Tensor, "B C H W"], image: Float[Tensor, "B C H W"], mask: Float[Tensor, "B H W"]
) -> Float[Tensor, ""]:
    """Mean absolute difference after both images are cut out with the true mask (paper section 3, reconstruction).

    `mean |M R + (1 - M) - (M I + (1 - M))|` over all pixels and channels: background pixels count in the mean, with 0.

    Args:
        rendered: drawings, 0..1.
        image: photos, 0..1.
        mask: the photo's own mask, 0..1, not the rendered one.
    """
    return (mask[:, None] * (rendered - image)).abs().mean()


def mask_iou_loss(rendered: Float[Tensor, "B H W"], mask: Float[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """One minus the mean soft IoU of the batch (paper section 3, reconstruction)."""
    return 1 - mask_iou(rendered, mask).mean()


def contour_loss(rendered: Float[Tensor, "B H W"], mask: Float[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Mean squared difference of the contours `|M - up(down(M))|`, nearest both ways, factor 4.

    Published code, birds only; not in the paper.
    """
    return (_contour(rendered) - _contour(mask)).square().mean()


def _contour(mask: Tensor) -> Tensor:
    size = mask.shape[1:]
    small = torch.nn.functional.interpolate(mask[:, None], size=[max(1, side // 4) for side in size], mode="nearest")
    return (mask - torch.nn.functional.interpolate(small, size=list(size), mode="nearest")[:, 0]).abs()


def structure_loss(
    rendered: Float[Tensor, "B C H W"], image: Float[Tensor, "B C H W"], mask: Float[Tensor, "B H W"]
) -> Float[Tensor, ""]:
    """One minus SSIM, averaged over the windows centred in the true mask. Ours.

    Both images are cut out with it first. Cutting the drawing out with the *true* mask keeps the texture from
    painting gaps between the limbs white, which would raise a plain SSIM. An empty mask contributes 0.
    """
    cut = mask[:, None]
    border = SSIM_WINDOW_PX // 2
    weights = mask[:, border:-border, border:-border]
    similarity = ssim_map(rendered * cut + 1 - cut, image * cut + 1 - cut).mean(dim=1)
    per_image = ((1 - similarity) * weights).sum(dim=(1, 2)) / weights.sum(dim=(1, 2)).clamp(min=1)
    return per_image.mean()


def identity_loss(
    rendered: Float[Tensor, "P C H W"],
    rendered_mask: Float[Tensor, "P H W"],
    image: Float[Tensor, "P C H W"],
    mask: Float[Tensor, "P H W"],
) -> Float[Tensor, ""]:
    """Shape and texture of photo A, drawn under the camera and light of photo B of the same person, against B. Ours.

    The paper has one photo per person and step; re-id data has several views of everyone, and this term is what makes
    the back of A look like the photo B of that back. Pairs come from `mixing.identity_pairs`.

    Args:
        rendered: drawings of A as B, 0..1.
        rendered_mask: their soft masks.
        image: photos B.
        mask: masks of B.
    """
    return image_loss(rendered, image, mask) + mask_iou_loss(rendered_mask, mask)
