"""The CUDA kernels as a backend, float32. Chosen only by name until a GPU has shown it right and faster than torch.

numba's CUDA simulator runs it on CPU tensors, which is how it is tested without a GPU.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numba import cuda
from torch import Tensor
from torch.autograd.function import once_differentiable

from recon.render import numba_cuda_kernels as kernels
from recon.render.reference import EDGE_EPS, pixel_centres

THREADS_PER_BLOCK = 128


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
    return _Soft.apply(face_vertices_image, face_index, (sigmainv, boxlen, int(knum), EDGE_EPS / multiplier**2))


class _Hard(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, size: tuple[int, int], z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, eps: Any
    ) -> Any:
        (height, width), (batch, faces, _, depth) = size, features.shape
        corners, features = xy.detach().reshape(batch, faces, 6).contiguous(), features.detach().contiguous()
        columns, rows = _centres(height, width, corners)
        drawn, weights = corners.new_empty(batch, height * width, depth), corners.new_empty(batch, height * width, 3)
        index = torch.empty(batch, height * width, dtype=torch.int64, device=corners.device)
        bits = _tile_bits(corners, valid, 0.0, columns, rows)
        arguments = (corners, z.detach(), features, columns, rows, bits, np.float32(eps[0]), drawn, index, weights)
        _launch(kernels.hard_forward, index.numel(), *arguments)
        index = index.view(batch, height, width)
        ctx.save_for_backward(corners, features, index, weights, columns, rows)
        ctx.eps = eps[1]
        ctx.mark_non_differentiable(index)
        ctx.set_materialize_grads(False)
        return drawn.view(batch, height, width, depth), index

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, _: Tensor | None) -> Any:
        if grad is None:
            return (None,) * 6
        corners, features, index, weights, columns, rows = ctx.saved_tensors
        grad_features, grad_corners = torch.zeros_like(features), torch.zeros_like(corners)
        _launch(
            kernels.hard_backward, corners.shape[0] * corners.shape[1],
            grad.flatten(1, 2), corners, features, index.flatten(1), weights, columns, rows, np.float32(ctx.eps),
            grad_features, grad_corners,
        )  # fmt: skip
        return None, None, grad_corners.unflatten(2, (3, 2)), grad_features, None, None


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, xy: Tensor, index: Tensor, settings: tuple[float, float, int, float]) -> Any:
        sigmainv, boxlen, knum, edge_eps = settings
        (batch, faces), (_, height, width) = xy.shape[:2], index.shape
        corners = xy.detach().reshape(batch, faces, 6).contiguous()
        columns, rows = _centres(height, width, corners)
        mask = corners.new_empty(batch, height * width)
        last = torch.empty_like(mask, dtype=torch.int32)
        everyone = torch.ones(batch, faces, dtype=torch.bool, device=corners.device)
        bits = _tile_bits(corners, everyone, boxlen, columns, rows)
        scalars = (np.float32(sigmainv), np.float32(boxlen), knum, np.float32(edge_eps))
        _launch(
            kernels.soft_forward, mask.numel(), corners, index.flatten(1), columns, rows, bits, *scalars, mask, last
        )
        ctx.save_for_backward(corners, mask, last, columns, rows)
        ctx.scalars = (scalars[0], scalars[1], scalars[3])
        ctx.set_materialize_grads(False)
        return mask.view(batch, height, width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None
        corners, mask, last, columns, rows = ctx.saved_tensors
        out = torch.zeros_like(corners)
        threads = corners.shape[0] * corners.shape[1]
        _launch(kernels.soft_backward, threads, grad.flatten(1), corners, mask, last, columns, rows, *ctx.scalars, out)
        return out.unflatten(2, (3, 2)), None, None


def _centres(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """x of the columns and -y of the rows, both ascending."""
    centres = pixel_centres(height, width, like).view(height, width, 2)
    return centres[0, :, 0].contiguous(), -centres[:, 0, 1]


def _tile_bits(corners: Tensor, wanted: Tensor, margin: float, columns: Tensor, rows: Tensor) -> Tensor:
    batch, faces = wanted.shape
    tiles = -(-len(columns) // kernels.TILE) * -(-len(rows) // kernels.TILE)
    words = -(-faces // kernels.WORD)
    bits = torch.zeros(batch, tiles, words, dtype=torch.int32, device=corners.device)
    _launch(kernels.mark_tiles, batch * faces, corners, wanted, np.float32(margin), columns, rows, bits)
    return bits


def _launch(kernel: Any, threads: int, *arguments: Any) -> None:
    """Run `kernel` with one thread per item on the tensors' device, in torch's current stream."""
    if threads == 0:
        return
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    blocks = -(-threads // THREADS_PER_BLOCK)
    if device.type == "cpu":
        kernel[blocks, THREADS_PER_BLOCK](*(_on_host(argument) for argument in arguments))
        return
    with cuda.gpus[device.index]:
        stream = cuda.external_stream(torch.cuda.current_stream(device).cuda_stream)
        kernel[blocks, THREADS_PER_BLOCK, stream](*(_on_device(argument) for argument in arguments))


def _on_host(argument: Any) -> Any:
    return argument.contiguous().numpy() if isinstance(argument, Tensor) else argument


def _on_device(argument: Any) -> Any:
    return cuda.as_cuda_array(argument.contiguous(), sync=False) if isinstance(argument, Tensor) else argument
