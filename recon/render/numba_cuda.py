"""The CUDA kernels as a backend, float32. Chosen only by name until a GPU has shown it right and faster than torch.

numba's CUDA simulator runs it on CPU tensors, which is how it is tested without a GPU.
"""

import sys
from typing import Any

import numpy as np
import torch
from numba import cuda
from torch import Tensor

from recon.render import numba_cuda_kernels as kernels
from recon.render.numba_cpu import Hard, Soft
from recon.render.reference import EDGE_EPS, pixel_centres

THREADS_PER_BLOCK = 128


def rasterize(
    height: int, width: int, z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, multiplier: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Hard rasterisation, see `recon.render.api.load_backend`."""
    areas = (eps / multiplier**2, eps)
    return Hard.apply(sys.modules[__name__], (height, width), z, xy, features, valid, areas)


def soft_mask(xy: Tensor, index: Tensor, sigmainv: float, boxlen: float, knum: int, multiplier: float) -> Tensor:
    """Soft silhouette, see `recon.render.api.load_backend`."""
    return Soft.apply(sys.modules[__name__], xy, index, (sigmainv, boxlen, int(knum), EDGE_EPS / multiplier**2))


def hard_forward(size: tuple[int, int], z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, eps: float) -> Any:
    """Image, face index and weights of the corners."""
    corners, (height, width), batch = xy.flatten(1), size, len(xy)
    columns, rows = _centres(height, width, xy)
    image, weights = xy.new_empty(batch, height * width, features.shape[-1]), xy.new_empty(batch, height * width, 3)
    index = torch.empty(batch, height * width, dtype=torch.int64, device=xy.device)
    bits = _tile_bits(corners, valid, 0.0, columns, rows)
    arguments = (corners, z, features.flatten(1), columns, rows, bits, np.float32(eps), image, index, weights)
    _launch(kernels.hard_forward, index.numel(), *arguments)
    return image.unflatten(1, size), index.unflatten(1, size), weights


def hard_backward(grad: Tensor, index: Tensor, weights: Tensor, xy: Tensor, features: Tensor, eps: float) -> Any:
    """Gradients of features and corners."""
    grad_features, grad_corners = torch.zeros_like(features.flatten(1)), torch.zeros_like(xy.flatten(1))
    _launch(
        kernels.hard_backward, xy.shape[0] * xy.shape[1],
        grad.flatten(1, 2), xy.flatten(1), features.flatten(1), index.flatten(1), weights,
        *_centres(index.shape[1], index.shape[2], xy), np.float32(eps), grad_features, grad_corners,
    )  # fmt: skip
    return grad_features.view_as(features), grad_corners.view_as(xy)


def soft_forward(xy: Tensor, index: Tensor, settings: tuple[float, float, int, float]) -> Any:
    """Mask, and the last face that took part in each of its pixels."""
    sigmainv, boxlen, knum, edge_eps = settings
    corners, (batch, height, width) = xy.flatten(1), index.shape
    columns, rows = _centres(height, width, xy)
    mask = xy.new_empty(batch, height * width)
    last = torch.empty_like(mask, dtype=torch.int32)
    everyone = torch.ones(xy.shape[:2], dtype=torch.bool, device=xy.device)
    bits = _tile_bits(corners, everyone, boxlen, columns, rows)
    scalars = (np.float32(sigmainv), np.float32(boxlen), knum, np.float32(edge_eps))
    _launch(kernels.soft_forward, mask.numel(), corners, index.flatten(1), columns, rows, bits, *scalars, mask, last)
    return mask.view(batch, height, width), last


def soft_backward(
    grad: Tensor, xy: Tensor, mask: Tensor, last: Tensor, settings: tuple[float, float, int, float]
) -> Tensor:
    """Gradient of the corners."""
    out = torch.zeros_like(xy.flatten(1))
    scalars = (np.float32(settings[place]) for place in (0, 1, 3))
    _launch(
        kernels.soft_backward, xy.shape[0] * xy.shape[1],
        grad.flatten(1), xy.flatten(1), mask.flatten(1), last, *_centres(mask.shape[1], mask.shape[2], xy),
        *scalars, out,
    )  # fmt: skip
    return out.view_as(xy)


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
