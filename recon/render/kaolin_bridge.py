"""kaolin itself as a backend, where its CUDA extension is installed. Tensors pass straight through."""

import kaolin.render.mesh as kaolin_mesh  # missing on most machines; `load_backend` reports that
from jaxtyping import Bool, Float, Int
from torch import Tensor


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
    """Hard rasterisation by kaolin, see `recon.render.api.rasterize`."""
    return kaolin_mesh.rasterize(
        height, width, face_vertices_z, face_vertices_image, face_features,
        valid_faces=valid_faces, multiplier=multiplier, eps=eps, backend="cuda",
    )  # fmt: skip


def soft_mask(
    face_vertices_image: Float[Tensor, "B F 3 2"],
    face_index: Int[Tensor, "B H W"],
    sigmainv: float,
    boxlen: float,
    knum: int,
    multiplier: float,
) -> Float[Tensor, "B H W"]:
    """Soft silhouette by kaolin, see `recon.render.api.dibr_soft_mask`."""
    return kaolin_mesh.dibr_soft_mask(face_vertices_image, face_index, sigmainv, boxlen, knum, multiplier)
