"""The fast CPU backend: numba kernels over chunks of images, one thread each, as functions that torch differentiates.

float32 only.
"""

import logging
import math
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from recon.render import numba_hard, numba_soft, numba_surface
from recon.render.numba_common import for_each, in_chunks, padded_centres
from recon.render.reference import EDGE_EPS


class Hard(Function):
    """`kernels.hard_forward` and `kernels.hard_backward`; `eps` has the share of the values and of the gradients."""

    @staticmethod
    def forward(
        ctx: Any, kernels: Any, size: tuple[int, int], z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, eps: Any
    ) -> Any:
        xy, features = xy.detach().contiguous(), features.detach().contiguous()
        image, index, weights = kernels.hard_forward(size, z.detach(), xy, features, valid, eps[0])
        ctx.save_for_backward(index, weights, xy, features)
        ctx.kernels, ctx.eps = kernels, eps[1]
        ctx.mark_non_differentiable(index)
        ctx.set_materialize_grads(False)
        return image, index

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, _: Tensor | None) -> Any:
        if grad is None:
            return (None,) * 7
        grad_features, grad_xy = ctx.kernels.hard_backward(grad, *ctx.saved_tensors, ctx.eps)
        return None, None, None, grad_xy, grad_features, None, None


class Soft(Function):
    """`kernels.soft_forward` and `kernels.soft_backward`; `settings`: sigmainv, boxlen, knum, eps of the edges."""

    @staticmethod
    def forward(ctx: Any, kernels: Any, xy: Tensor, index: Tensor, settings: tuple[float, float, int, float]) -> Any:
        xy = xy.detach().contiguous()
        mask, ctx.pairs = kernels.soft_forward(xy, index, settings)
        ctx.save_for_backward(xy, mask)
        ctx.kernels, ctx.settings = kernels, settings
        ctx.set_materialize_grads(False)
        return mask

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return (None,) * 4
        return None, ctx.kernels.soft_backward(grad, *ctx.saved_tensors, ctx.pairs, ctx.settings), None, None


LONGEST_SIDE_PX = 65535

_centres = cache(padded_centres)


def rasterize(
    height: int, width: int, z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, multiplier: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Hard rasterisation, see `recon.render.api.load_backend`."""
    areas = (eps / multiplier**2, eps)
    return Hard.apply(sys.modules[__name__], (height, width), z, xy, features, valid, areas)


def soft_mask(xy: Tensor, index: Tensor, sigmainv: float, boxlen: float, knum: int, multiplier: float) -> Tensor:
    """Soft silhouette, see `recon.render.api.load_backend`.

    Raises:
        ValueError: the image is too large.
    """
    if max(index.shape[1:]) > LONGEST_SIDE_PX:
        raise ValueError(f"renderer backend 'numba' draws up to {LONGEST_SIDE_PX} pixels per side; use backend 'torch'")
    return Soft.apply(sys.modules[__name__], xy, index, (sigmainv, boxlen, int(knum), EDGE_EPS / multiplier**2))


def hard_forward(size: tuple[int, int], z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, eps: float) -> Any:
    """Image, face index and weights of the corners."""
    batch, depth = features.shape[0], features.shape[-1]
    image, weights = xy.new_empty(batch, *size, depth), xy.new_empty(batch, *size, 3)
    index = torch.empty(batch, *size, dtype=torch.int64)
    announce_compilation(numba_hard.hard_forward)
    arrays = (
        flat(z), flat(xy), flat(features), flat(valid), _centres(size[1]), _centres(size[0]), np.float32(eps),
        flat(image), flat(index), flat(weights),
    )  # fmt: skip
    in_chunks(lambda first, last: numba_hard.hard_forward(first, last, *arrays), batch)
    return image, index, weights


def hard_backward(grad: Tensor, index: Tensor, weights: Tensor, xy: Tensor, features: Tensor, eps: float) -> Any:
    """Gradients of features and corners."""
    grad_features, grad_xy = torch.empty_like(features), torch.empty_like(xy)
    arrays = (
        flat(grad), flat(index), flat(weights), flat(xy), flat(features), np.float32(eps),
        flat(grad_features), flat(grad_xy),
    )  # fmt: skip
    in_chunks(lambda first, last: numba_hard.hard_backward(first, last, *arrays), len(xy))
    return grad_features, grad_xy


def soft_forward(xy: Tensor, index: Tensor, settings: tuple[float, float, int, float]) -> Any:
    """Mask, and the pairs of faces and pixels behind it."""
    sigmainv, boxlen, knum, edge_eps = settings
    batch, height, width = index.shape
    mask = xy.new_empty(batch, height, width)
    announce_compilation(numba_soft.soft_forward)
    arrays = (
        flat(xy), flat(index.long()), _centres(width), _centres(height), np.float32(sigmainv), np.float32(boxlen),
        knum, np.float32(edge_eps), flat(mask),
    )  # fmt: skip
    return mask, in_chunks(lambda first, last: (first, last, numba_soft.soft_forward(first, last, *arrays)), batch)


def soft_backward(
    grad: Tensor, xy: Tensor, mask: Tensor, pairs: Any, settings: tuple[float, float, int, float]
) -> Tensor:
    """Gradient of the corners."""
    grad_xy = torch.empty_like(xy)
    arrays = (
        flat(grad), flat(mask), flat(xy), _centres(mask.shape[2]), _centres(mask.shape[1]),
        np.float32(settings[0]), np.float32(settings[3]),
    )  # fmt: skip
    out = flat(grad_xy)
    for_each(lambda chunk: numba_soft.soft_backward(chunk[0], chunk[1], *arrays, chunk[2], out), pairs)
    return grad_xy


log = logging.getLogger(__name__)


def as_array(tensor: Tensor) -> np.ndarray:
    """The tensor's numbers as a C-contiguous array, without a copy where possible."""
    return tensor.detach().contiguous().numpy()


def flat(tensor: Tensor) -> np.ndarray:
    """The same with one row per image: [B, the rest]."""
    return as_array(tensor).reshape(tensor.shape[0], math.prod(tensor.shape[1:]))


@cache
def announce_compilation(kernel: Any) -> None:
    """Say so before a kernel compiles for the first time on a machine; silent when numba has it in its cache."""
    name = kernel.py_func.__module__.rpartition(".")[2] + "." + kernel.py_func.__qualname__
    if not any(Path(kernel.stats.cache_path).glob(f"{name}-*.nbi")):
        _announce_once()


@cache
def _announce_once() -> None:
    log.warning("compiling the CPU renderer for this machine: some ten seconds, once")


def gather_corners(
    vertices_ndc: Float[Tensor, "B V 2"],
    vertices_camera: Float[Tensor, "B V 3"],
    faces: Int[Tensor, "F 3"],
    sliver_area: float,
) -> tuple[Float[Tensor, "B F 3 2"], Float[Tensor, "B F 3"], Float[Tensor, "B F"]]:
    """See `recon.render.scene.gather_corners`.

    Raises:
        IndexError: a face refers to a vertex that does not exist.
    """
    count = vertices_ndc.shape[1]
    if faces.numel() and not (0 <= int(faces.min()) and int(faces.max()) < count):
        low, high = int(faces.min()), int(faces.max())
        raise IndexError(f"faces refer to vertices {low} to {high}, but there are only {count}")
    return _Corners.apply(vertices_ndc, vertices_camera, faces, sliver_area)


def shade(
    features: Float[Tensor, "B H W D"],
    face_index: Int[Tensor, "B H W"],
    texture: Float[Tensor, "B 3 Ht Wt"],
    background: Float[Tensor, "B 3 H W"] | None,
) -> Float[Tensor, "B 3 H W"]:
    """See `recon.render.scene.shade`."""
    return _Shade.apply(features, face_index, texture, background)


class _Corners(Function):
    @staticmethod
    def forward(ctx: Any, ndc: Tensor, camera: Tensor, faces: Tensor, sliver_area: float) -> Any:
        batch, count = len(ndc), len(faces)
        corners, z = ndc.new_empty(batch, count, 3, 2), ndc.new_empty(batch, count, 3)
        facing = ndc.new_empty(batch, count)
        announce_compilation(numba_surface.corners_forward)
        arrays = (
            as_array(ndc), as_array(camera), as_array(faces.long()), np.float32(sliver_area),
            as_array(corners).reshape(batch, count, 6), as_array(z), as_array(facing),
        )  # fmt: skip
        in_chunks(lambda first, last: numba_surface.corners_forward(first, last, *arrays), batch)
        ctx.save_for_backward(faces)
        ctx.vertex_count = ndc.shape[1]
        ctx.mark_non_differentiable(z, facing)
        ctx.set_materialize_grads(False)
        return corners, z, facing

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> Any:
        if grad is None:
            return None, None, None, None
        (faces,) = ctx.saved_tensors
        out = grad.new_empty(len(grad), ctx.vertex_count, 2)
        arrays = (as_array(grad).reshape(len(grad), len(faces), 6), as_array(faces.long()), as_array(out))
        in_chunks(lambda first, last: numba_surface.corners_backward(first, last, *arrays), len(grad))
        return out, None, None, None


class _Shade(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, index: Tensor, texture: Tensor, background: Tensor | None) -> Any:
        image = features.new_empty(len(features), 3, *index.shape[1:])
        behind = np.ones((1, 3), np.float32) if background is None else flat(background)
        announce_compilation(numba_surface.shade_forward)
        arrays = (flat(features), flat(index), flat(texture), texture.shape[2], behind, flat(image))
        in_chunks(lambda first, last: numba_surface.shade_forward(first, last, *arrays), len(features))
        ctx.save_for_backward(features, index, texture, background)
        ctx.set_materialize_grads(False)
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None) -> Any:
        if grad is None:
            return None, None, None, None
        features, index, texture, background = ctx.saved_tensors
        out_features, out_texture = features.new_empty(features.shape), texture.new_empty(texture.shape)
        arrays = (
            flat(grad), flat(features), flat(index), flat(texture), texture.shape[2],
            flat(out_features), flat(out_texture),
        )  # fmt: skip
        in_chunks(lambda first, last: numba_surface.shade_backward(first, last, *arrays), len(features))
        out_background = None
        if ctx.needs_input_grad[3]:
            out_background = grad * ((index[:, None] < 0) & (background >= 0) & (background <= 1))
        return out_features, None, out_texture, out_background
