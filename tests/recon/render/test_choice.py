"""Choosing a backend, and the errors for what cannot be had."""

import importlib.util
import re
import sys

import pytest
import torch

from recon.render.api import BACKENDS, BackendUnavailable, dibr_soft_mask, load_backend, rasterize, resolve_backend
from recon.render.scene import gather_corners


def test_auto_is_numba_for_float32_on_the_cpu_and_torch_elsewhere():
    for name in ("auto", "cuda"):
        assert resolve_backend(name, torch.zeros(1)) == "numba"
        assert resolve_backend(name, torch.zeros(1, dtype=torch.float64)) == "torch"
        assert resolve_backend(name, torch.zeros(1, device="meta")) == "torch"
    assert load_backend("cuda", torch.zeros(1)).__name__ == "recon.render.numba_cpu"
    assert load_backend("auto", torch.zeros(1, dtype=torch.float64)).__name__ == "recon.render.torch_pairs"


def test_unknown_names_and_types_are_refused():
    with pytest.raises(
        ValueError, match=re.escape(f"unknown renderer backend 'vulkan'; use one of {', '.join(BACKENDS)}")
    ):
        load_backend("vulkan", torch.zeros(1))
    with pytest.raises(ValueError, match=r"takes float32 or float64 tensors, not torch\.float16; convert them first"):
        load_backend("auto", torch.zeros(1, dtype=torch.float16))


def test_backends_that_do_not_fit_say_so():
    with pytest.raises(BackendUnavailable, match=r"'numba' is float32 only, not torch\.float64; use backend 'torch'"):
        load_backend("numba", torch.zeros(1, dtype=torch.float64))
    with pytest.raises(BackendUnavailable, match="'numba' draws cpu tensors, these are on meta; use backend 'auto'"):
        load_backend("numba", torch.zeros(1, device="meta"))
    for name in ("kaolin", "numba-cuda"):
        with pytest.raises(
            BackendUnavailable, match=f"'{name}' draws cuda tensors, these are on cpu; use backend 'auto'"
        ):
            load_backend(name, torch.zeros(1))


@pytest.mark.skipif(importlib.util.find_spec("kaolin") is not None, reason="kaolin is installed here")
def test_a_missing_kaolin_is_reported(monkeypatch):
    monkeypatch.setattr("recon.render.api._check_fit", lambda name, like: None)
    with pytest.raises(
        BackendUnavailable, match=r"'kaolin' is not installed \(No module named 'kaolin'.*; use backend 'auto'"
    ):
        rasterize(2, 2, torch.zeros(1, 1, 3), torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 1), backend="kaolin")


def test_a_missing_numba_points_to_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "recon.render.numba_cpu", None)
    with pytest.raises(BackendUnavailable, match=r"'numba' is not installed \(.*\); use backend 'torch'"):
        load_backend("numba", torch.zeros(1))


def test_mixed_types_are_refused():
    xy = torch.zeros(1, 1, 3, 2)
    with pytest.raises(ValueError, match=r"one dtype on one device: .*face_features is float64 on cpu"):
        rasterize(2, 2, torch.zeros(1, 1, 3), xy, torch.zeros(1, 1, 3, 1, dtype=torch.float64))


@pytest.mark.parametrize("bad", [-1, 3])
def test_faces_beyond_the_vertices_are_refused_before_memory_is_read(bad):
    ndc, in_camera = torch.zeros(1, 3, 2), torch.zeros(1, 3, 3)
    with pytest.raises(IndexError, match=r"faces refer to vertices -?\d to \d, but there are only 3"):
        gather_corners(ndc, in_camera, torch.tensor([[0, 1, bad]]), 0.0)


def test_images_beyond_the_packed_coordinates_are_refused():
    with pytest.raises(ValueError, match="'numba' draws up to 65535 pixels per side; use backend 'torch'"):
        dibr_soft_mask(torch.zeros(1, 1, 3, 2), torch.full((1, 1, 65536), -1))
    mask = dibr_soft_mask(torch.zeros(1, 1, 3, 2), torch.full((1, 1, 65535), -1))
    assert mask.max() > 0.99 and mask[0, 0, 0] == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_tensors_draw_the_same_picture():
    xy = torch.tensor([[[[-0.9, -0.8], [0.7, -0.6], [0.1, 0.9]]]])
    z, features = torch.zeros(1, 1, 3), torch.rand(1, 1, 3, 2)
    here = rasterize(16, 8, z, xy, features)
    there = rasterize(16, 8, z.cuda(), xy.cuda(), features.cuda())
    assert torch.equal(here[1], there[1].cpu()) and torch.allclose(here[0], there[0].cpu(), atol=1e-5)
