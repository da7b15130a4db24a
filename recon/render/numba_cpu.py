"""The fast CPU backend: the numba kernels over chunks of images, one thread each. float32 only."""

import sys
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recon.render import numba_hard, numba_soft
from recon.render.numba_autograd import Hard, Soft
from recon.render.numba_common import padded_centres
from recon.render.numba_glue import announce_compilation, flat
from recon.render.reference import EDGE_EPS
from recon.render.workers import for_each, in_chunks

LONGEST_SIDE_PX = 65535

_centres = cache(padded_centres)


def rasterize(
    height: int, width: int, z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, multiplier: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Hard rasterisation, see `recon.render.backends.load_backend`."""
    areas = (eps / multiplier**2, eps)
    return Hard.apply(sys.modules[__name__], (height, width), z, xy, features, valid, areas)


def soft_mask(xy: Tensor, index: Tensor, sigmainv: float, boxlen: float, knum: int, multiplier: float) -> Tensor:
    """Soft silhouette, see `recon.render.backends.load_backend`.

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
