"""The fast CPU backend: autograd functions around the numba kernels. float32 only."""

from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from recon.render import numba_hard, numba_soft
from recon.render.numba_common import padded_centres
from recon.render.numba_glue import announce_compilation, flat
from recon.render.reference import EDGE_EPS
from recon.render.workers import for_each, in_chunks

LONGEST_SIDE_PX = 65535

_centres = cache(padded_centres)


def rasterize(
    height: int,
    width: int,
    face_vertices_z: Float[Tensor, "B F 3"],
    face_vertices_image: Float[Tensor, "B F 3 2"],
    face_features: Float[Tensor, "B F 3 D"],
    valid_faces: Bool[Tensor, "B F"],
    multiplier: float,
    eps: float,
) -> tuple[Float[Tensor, "B H W D"], Int[Tensor, "B H W"]]:
    """Hard rasterisation, see `recon.render.api.rasterize`."""
    areas = (eps / multiplier**2, eps)
    return _Hard.apply((height, width), face_vertices_z, face_vertices_image, face_features, valid_faces, areas)


def soft_mask(
    face_vertices_image: Float[Tensor, "B F 3 2"],
    face_index: Int[Tensor, "B H W"],
    sigmainv: float,
    boxlen: float,
    knum: int,
    multiplier: float,
) -> Float[Tensor, "B H W"]:
    """Soft silhouette, see `recon.render.api.dibr_soft_mask`.

    Raises:
        ValueError: the image is too large.
    """
    if max(face_index.shape[1:]) > LONGEST_SIDE_PX:
        raise ValueError(f"renderer backend 'numba' draws up to {LONGEST_SIDE_PX} pixels per side; use backend 'torch'")
    return _Soft.apply(face_vertices_image, face_index, (sigmainv, boxlen, int(knum), EDGE_EPS / multiplier**2))


class _Hard(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, size: tuple[int, int], z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, eps: Any
    ) -> Any:
        batch, depth = features.shape[0], features.shape[-1]
        xy, features = xy.contiguous(), features.contiguous()
        image, weights = xy.new_empty(batch, *size, depth), xy.new_empty(batch, *size, 3)
        index = torch.empty(batch, *size, dtype=torch.int64)
        announce_compilation(numba_hard.hard_forward)
        arrays = (
            flat(z), flat(xy), flat(features), flat(valid), _centres(size[1]), _centres(size[0]), np.float32(eps[0]),
            flat(image), flat(index), flat(weights),
        )  # fmt: skip
        in_chunks(lambda first, last: numba_hard.hard_forward(first, last, *arrays), batch)
        ctx.save_for_backward(index, weights, xy, features)
        ctx.eps = eps[1]
        ctx.mark_non_differentiable(index)
        ctx.set_materialize_grads(False)
        return image, index

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, _: Tensor | None) -> Any:
        if grad is None:
            return (None,) * 6
        index, weights, xy, features = ctx.saved_tensors
        grad_features, grad_xy = torch.empty_like(features), torch.empty_like(xy)
        arrays = (
            flat(grad), flat(index), flat(weights), flat(xy), flat(features), np.float32(ctx.eps),
            flat(grad_features), flat(grad_xy),
        )  # fmt: skip
        in_chunks(lambda first, last: numba_hard.hard_backward(first, last, *arrays), len(xy))
        return None, None, grad_xy, grad_features, None, None


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, xy: Tensor, index: Tensor, settings: tuple[float, float, int, float]) -> Any:
        sigmainv, boxlen, knum, edge_eps = settings
        batch, height, width = index.shape
        xy = xy.contiguous()
        mask = xy.new_empty(batch, height, width)
        announce_compilation(numba_soft.soft_forward)
        arrays = (
            flat(xy), flat(index.long()), _centres(width), _centres(height), np.float32(sigmainv), np.float32(boxlen),
            knum, np.float32(edge_eps), flat(mask),
        )  # fmt: skip
        ctx.pairs = in_chunks(lambda first, last: (first, last, numba_soft.soft_forward(first, last, *arrays)), batch)
        ctx.save_for_backward(xy, mask)
        ctx.settings = settings
        ctx.set_materialize_grads(False)
        return mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None
        xy, mask = ctx.saved_tensors
        sigmainv, _, _, edge_eps = ctx.settings
        grad_xy = torch.empty_like(xy)
        arrays = (
            flat(grad), flat(mask), flat(xy), _centres(mask.shape[2]), _centres(mask.shape[1]),
            np.float32(sigmainv), np.float32(edge_eps),
        )  # fmt: skip
        out = flat(grad_xy)
        for_each(lambda chunk: numba_soft.soft_backward(chunk[0], chunk[1], *arrays, chunk[2], out), ctx.pairs)
        return grad_xy, None, None
