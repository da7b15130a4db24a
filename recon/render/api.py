"""kaolin's DIB-R functions under kaolin's names, for any backend; backends are loaded only when used.

Semantics: `recon.render.reference`.
"""

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Backend = Literal["auto", "reference", "torch", "numba", "numba-cuda", "kaolin", "cuda"]

_MODULES = {
    "reference": "recon.render.reference",
    "torch": "recon.render.torch_pairs",
    "numba": "recon.render.numba_cpu",
    "numba-cuda": "recon.render.numba_cuda",
    "kaolin": "recon.render.kaolin_bridge",
}

BACKENDS = ("auto", "cuda", *_MODULES)


class BackendUnavailable(RuntimeError):
    """The renderer backend that was asked for cannot run here; the message says why and what to use."""


def load_backend(name: str, like: Tensor) -> ModuleType:
    """The module that draws tensors like `like`.

    A backend module has the functions `rasterize` and `soft_mask` of `recon.render.api` with plain arguments: z
    [B, F, 3], xy [B, F, 3, 2], features [B, F, 3, D], valid [B, F] bool, index [B, H, W].

    Args:
        name: one of `BACKENDS`; see `resolve_backend` for "auto".
        like: gives device and dtype.

    Raises:
        ValueError: unknown name, or a dtype other than float32 and float64.
        BackendUnavailable: the backend cannot run on this machine, device or dtype.
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown renderer backend {name!r}; use one of {', '.join(BACKENDS)}")
    if like.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the renderer takes float32 or float64 tensors, not {like.dtype}; convert them first")
    name = resolve_backend(name, like)
    _check_fit(name, like)
    try:
        return importlib.import_module(_MODULES[name])
    except ImportError as error:
        other = "torch" if name == "numba" else "auto"
        raise BackendUnavailable(
            f"renderer backend {name!r} is not installed ({error}); use backend {other!r}"
        ) from error


def resolve_backend(name: str, like: Tensor) -> str:
    """What "auto", or kaolin's "cuda", means: numba for float32 on the CPU, else torch. Other names are returned."""
    if name not in ("auto", "cuda"):
        return name
    return "numba" if like.device.type == "cpu" and like.dtype == torch.float32 else "torch"


def _check_fit(name: str, like: Tensor) -> None:
    wanted = {"numba": ("cpu",), "numba-cuda": ("cuda",), "kaolin": ("cuda",)}.get(name, (like.device.type,))
    if like.device.type not in wanted:
        raise BackendUnavailable(
            f"renderer backend {name!r} draws {wanted[0]} tensors, these are on {like.device.type}; use backend 'auto'"
        )
    if name in ("numba", "numba-cuda") and like.dtype != torch.float32:
        raise BackendUnavailable(f"renderer backend {name!r} is float32 only, not {like.dtype}; use backend 'torch'")


DEFAULT_MULTIPLIER = 1000.0
"""kaolin's internal scale of coordinates; here it only scales the two small epsilons."""

DEFAULT_EPS = 1e-8


def rasterize(
    height: int,
    width: int,
    face_vertices_z: Float[Tensor, "B F 3"],
    face_vertices_image: Float[Tensor, "B F 3 2"],
    face_features: Float[Tensor, "B F 3 _"] | Sequence[Float[Tensor, "B F 3 _"]],
    valid_faces: Bool[Tensor, "B F"] | None = None,
    multiplier: float | None = None,
    eps: float | None = None,
    backend: Backend = "auto",
) -> tuple[Float[Tensor, "B H W _"] | tuple[Float[Tensor, "B H W _"], ...], Int[Tensor, "B H W"]]:
    """Draw the nearest face per pixel and interpolate its features.

    Gradients reach `face_features` and `face_vertices_image`, never `face_vertices_z`.

    Args:
        height: image height, pixels.
        width: image width, pixels.
        face_vertices_z: camera-frame z per corner; the larger is nearer.
        face_vertices_image: NDC corner positions, y up.
        face_features: features per corner, or several such tensors.
        valid_faces: which faces to draw; None draws all, whichever way they look.
        multiplier: kaolin's internal coordinate scale, default 1000.
        eps: added to the doubled area, default 1e-8.
        backend: see `load_backend`.

    Returns:
        Interpolated features, 0 where nothing was drawn (a tuple when a sequence was given), and the face index, -1
        where none.

    Raises:
        ValueError: unknown backend, or tensors of different or unusual dtypes or on different devices.
        BackendUnavailable: the backend cannot run here.
    """
    features = face_features if isinstance(face_features, Tensor) else torch.cat(tuple(face_features), dim=-1)
    _check_alike(face_vertices_z=face_vertices_z, face_vertices_image=face_vertices_image, face_features=features)
    if valid_faces is None:
        valid_faces = torch.ones(face_vertices_z.shape[:2], dtype=torch.bool, device=face_vertices_z.device)
    image, face_index = load_backend(backend, face_vertices_image).rasterize(
        height,
        width,
        face_vertices_z,
        face_vertices_image,
        features,
        valid_faces,
        DEFAULT_MULTIPLIER if multiplier is None else multiplier,
        DEFAULT_EPS if eps is None else eps,
    )
    if isinstance(face_features, Tensor):
        return image, face_index
    return image.split([part.shape[-1] for part in face_features], dim=-1), face_index


def dibr_soft_mask(
    face_vertices_image: Float[Tensor, "B F 3 2"],
    selected_face_idx: Int[Tensor, "B H W"],
    sigmainv: float = 7000.0,
    boxlen: float = 0.02,
    knum: int = 30,
    multiplier: float | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "B H W"]:
    """Soft silhouette that carries gradients to faces near uncovered pixels.

    Args:
        face_vertices_image: NDC corner positions, y up.
        selected_face_idx: face index per pixel from `rasterize`, -1 where none.
        sigmainv: sharpness, 1 / NDC^2.
        boxlen: how far a face's box reaches, NDC.
        knum: faces per pixel at most, the first by index.
        multiplier: kaolin's internal coordinate scale, default 1000.
        backend: see `load_backend`.

    Returns:
        Mask in 0..1, exactly 1 on covered pixels.

    Errors are those of `rasterize`.
    """
    return load_backend(backend, face_vertices_image).soft_mask(
        face_vertices_image,
        selected_face_idx,
        sigmainv,
        boxlen,
        knum,
        DEFAULT_MULTIPLIER if multiplier is None else multiplier,
    )


def dibr_rasterization(
    height: int,
    width: int,
    face_vertices_z: Float[Tensor, "B F 3"],
    face_vertices_image: Float[Tensor, "B F 3 2"],
    face_features: Float[Tensor, "B F 3 _"] | Sequence[Float[Tensor, "B F 3 _"]],
    face_normals_z: Float[Tensor, "B F"],
    sigmainv: float = 7000.0,
    boxlen: float = 0.02,
    knum: int = 30,
    multiplier: float | None = None,
    eps: float | None = None,
    rast_backend: Backend = "auto",
) -> tuple[
    Float[Tensor, "B H W _"] | tuple[Float[Tensor, "B H W _"], ...], Float[Tensor, "B H W"], Int[Tensor, "B H W"]
]:
    """`rasterize` the faces with `face_normals_z >= 0`, then `dibr_soft_mask` of all faces.

    Args:
        face_normals_z: z of the camera-frame face normals; negative ones are culled from the hard pass.

    The other arguments and the errors are those of the two functions. The signature is kaolin's.

    Returns:
        Features (a tuple when a sequence was given), soft mask, face index.
    """
    features, face_index = rasterize(
        height, width, face_vertices_z, face_vertices_image, face_features,
        face_normals_z >= 0, multiplier, eps, rast_backend,
    )  # fmt: skip
    mask = dibr_soft_mask(face_vertices_image, face_index, sigmainv, boxlen, knum, multiplier, rast_backend)
    return features, mask, face_index


def _check_alike(**tensors: Tensor) -> None:
    kinds = {name: (str(tensor.dtype).removeprefix("torch."), str(tensor.device)) for name, tensor in tensors.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name} is {dtype} on {device}" for name, (dtype, device) in kinds.items())
        raise ValueError(f"the renderer takes tensors of one dtype on one device: {listed}")
