"""The CUDA kernels in numba's simulator, in a process of its own: values and gradients against the reference."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[3]

IN_SIMULATOR = """
import numpy as np, torch
from recon.render import numba_cuda, reference
torch.manual_seed(0)
size = (9, 10)
xy = torch.rand(2, 12, 1, 2) * 2 - 1 + torch.rand(2, 12, 3, 2) * 1.2 - 0.6
xy[1, 4, 0, 1] = float("nan")
z, features, valid = torch.rand(2, 12, 3), torch.rand(2, 12, 3, 2), torch.rand(2, 12) > 0.2
xy[0, 5], z[0, 5], valid[0, 5:7] = xy[0, 6], z[0, 6], True
weights = torch.randn(2, *size, 2), torch.randn(2, *size)
results = []
for backend, dtype in ((numba_cuda, torch.float32), (reference, torch.float64)):
    corners, own = xy.to(dtype).requires_grad_(), features.to(dtype).requires_grad_()
    drawn, index = backend.rasterize(*size, z.to(dtype), corners, own, valid, 1000.0, 1e-8)
    mask = backend.soft_mask(corners, index, 700.0, 0.1, 2, 1000.0)
    hard = torch.autograd.grad((drawn * weights[0]).sum(), (corners, own))
    soft = torch.autograd.grad((mask * weights[1]).sum(), corners)
    results.append([t.detach().double() for t in (drawn, mask, index, *hard, *soft)])
(drawn, mask, index, *grads), (true_drawn, true_mask, true_index, *true_grads) = results
assert torch.equal(index, true_index) and 0.1 < (index >= 0).double().mean() < 0.9
assert (drawn - true_drawn).abs().max() < 1e-5 and (mask - true_mask).abs().max() < 1e-5
for grad, true_grad in zip(grads, true_grads):
    assert true_grad.norm() > 0 and (grad - true_grad).norm() < 1e-4 * true_grad.norm()
    assert not grad[1, 4].any()
print("agree")
"""


def test_simulated_kernels_agree_with_the_reference():
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", IN_SIMULATOR], env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.stdout == "agree\n", done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_kernels_agree_with_the_reference_on_a_gpu():
    from render_samples import EXACT, body, values_and_gradients

    from recon.render.api import dibr_rasterization

    size = (40, 24)
    scene = body(2, 2, size)
    truth = values_and_gradients(scene, size, EXACT)
    parts = [part.float().cuda() for part in (scene.z, scene.xy, scene.features, scene.normals_z)]
    drawn, mask, index = dibr_rasterization(*size, *parts, rast_backend="numba-cuda")
    assert torch.equal(index.cpu().double(), truth["index"])
    assert (drawn.cpu() - truth["features"]).abs().max() < 1e-5 and (mask.cpu() - truth["mask"]).abs().max() < 3e-5
