"""kaolin itself as a backend, where its CUDA extension is installed. Tensors pass straight through."""

import kaolin.render.mesh as kaolin_mesh  # missing on most machines; `load_backend` reports that
from torch import Tensor


def rasterize(
    height: int, width: int, z: Tensor, xy: Tensor, features: Tensor, valid: Tensor, multiplier: float, eps: float
) -> tuple[Tensor, Tensor]:
    """Hard rasterisation, see `recon.render.api.load_backend`."""
    how = {"valid_faces": valid, "multiplier": multiplier, "eps": eps, "backend": "cuda"}
    return kaolin_mesh.rasterize(height, width, z, xy, features, **how)


def soft_mask(xy: Tensor, index: Tensor, sigmainv: float, boxlen: float, knum: int, multiplier: float) -> Tensor:
    """Soft silhouette, see `recon.render.api.load_backend`."""
    return kaolin_mesh.dibr_soft_mask(xy, index, sigmainv, boxlen, knum, multiplier)
