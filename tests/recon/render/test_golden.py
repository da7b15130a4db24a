"""Soft masks and gradients as NVIDIA kaolin computed them on a GPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from render_samples import CHOICES, NAMES

from recon.render.api import dibr_soft_mask, rasterize

GOLDEN = Path(__file__).parents[4] / "shared" / "kaolin_golden" / "dibr_soft_mask_35x31.npz"

DENSE = ("sphere", "reference-f64")
CASES = [
    pytest.param(scene, choice, id=f"{scene}-{name}", marks=[pytest.mark.slow] if (scene, name) == DENSE else [])
    for scene in ("simple", "sphere")
    for choice, name in zip(CHOICES, NAMES, strict=True)
]


@pytest.mark.skipif(not GOLDEN.exists(), reason="the kaolin golden numbers are not beside this checkout")
@pytest.mark.parametrize(("scene", "choice"), CASES)
def test_soft_mask_and_gradient_match_kaolin(scene, choice):
    backend, dtype = choice
    with np.load(GOLDEN) as numbers:
        golden = {name: torch.from_numpy(numbers[name]) for name in numbers if name.startswith(scene + "/")}
    settings = {name.split("/")[1] for name in golden if "/sigmainv" in name}
    assert len(settings) == 4
    for setting in sorted(settings):
        sigmainv, boxlen = (float(value) for value in setting.removeprefix("sigmainv").split("_boxlen"))
        xy = golden[f"{scene}/face_vertices_image"].to(dtype, copy=True).requires_grad_()
        z = golden[f"{scene}/face_vertices_z"].to(dtype)
        _, index = rasterize(35, 31, z, xy, z[..., None], backend=backend)
        mask = dibr_soft_mask(xy, index, sigmainv, boxlen, 30, 1000.0, backend=backend)
        target = torch.zeros_like(mask)
        target[:, :, :-5] = (index != -1)[:, :, 5:].to(dtype)
        overlap, union = (mask * target).sum(dim=(1, 2)), (mask + target - mask * target).sum(dim=(1, 2))
        (1 - (overlap / (union + 1e-10)).mean()).backward()
        for found, name in ((mask.detach(), "soft_mask"), (xy.grad, "grad_face_vertices_image")):
            expected = golden[f"{scene}/{setting}/{name}"].to(dtype)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
