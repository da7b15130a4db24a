"""Autograd functions around the surface kernels, and what all numba autograd functions share."""

import logging
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from recon.render import numba_surface
from recon.render.workers import in_chunks

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
    """See `recon.render.faces.gather_corners`.

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
    """See `recon.render.shading.shade`."""
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
