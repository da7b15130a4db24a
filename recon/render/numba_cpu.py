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
from recon.render.numba_glue import announce_compilation, as_array
from recon.render.reference import EDGE_EPS
from recon.render.workers import in_chunks

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
    """Soft silhouette, see `recon.render.api.dibr_soft_mask`."""
    return _Soft.apply(face_vertices_image, face_index, (sigmainv, boxlen, knum, EDGE_EPS / multiplier**2))


class _Hard(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, size: tuple[int, int], z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, eps: Any
    ) -> Any:
        height, width = size
        batch, faces, _, depth = features.shape
        xy, features = xy.contiguous(), features.contiguous()
        image = xy.new_empty(batch, height, width, depth)
        index = torch.empty(batch, height, width, dtype=torch.int64)
        weights = xy.new_empty(batch, height * width, 3)
        announce_compilation(numba_hard.hard_forward)
        arrays = (
            as_array(z), as_array(xy).reshape(batch, faces, 6), as_array(features), as_array(valid),
            _centres(width), _centres(height), np.float32(eps[0]),
            as_array(image).reshape(batch, -1, depth), as_array(index).reshape(batch, -1), as_array(weights),
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
        batch, faces, _, depth = features.shape
        grad_features, grad_xy = torch.empty_like(features), torch.empty_like(xy)
        arrays = (
            as_array(grad).reshape(batch, -1, depth), as_array(index).reshape(batch, -1), as_array(weights),
            as_array(xy).reshape(batch, faces, 6), as_array(features), np.float32(ctx.eps),
            as_array(grad_features), as_array(grad_xy).reshape(batch, faces, 6),
        )  # fmt: skip
        in_chunks(lambda first, last: numba_hard.hard_backward(first, last, *arrays), batch)
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
            as_array(xy).reshape(batch, -1, 6), as_array(index).reshape(batch, -1), _centres(width), _centres(height),
            np.float32(sigmainv), np.float32(boxlen), knum, np.float32(edge_eps), as_array(mask).reshape(batch, -1),
        )  # fmt: skip
        ctx.pairs = in_chunks(lambda first, last: (first, numba_soft.soft_forward(first, last, *arrays)), batch)
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
        batch = xy.shape[0]
        pairs = dict(ctx.pairs)
        grad_xy = torch.empty_like(xy)
        arrays = (
            as_array(grad).reshape(batch, -1), as_array(mask).reshape(batch, -1), as_array(xy).reshape(batch, -1, 6),
            np.float32(sigmainv), np.float32(edge_eps),
        )  # fmt: skip
        out = as_array(grad_xy).reshape(batch, -1, 6)
        for first, chunk in pairs.items():
            numba_soft.soft_backward(first, first + len(chunk[-1]) - 1, *arrays, chunk, out)
        return grad_xy, None, None
