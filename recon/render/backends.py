"""Which implementation draws: choice by name, device and dtype, loaded only when used."""

import importlib
from types import ModuleType
from typing import Literal

import torch
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
