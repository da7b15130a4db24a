"""The paper's networks. They need timm and torchvision; the larger ones are slow."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

from recon.encoders import AttributeEncoder, paper_config, parameter_counts, published_config, small_config
from recon.encoders.trunks import PaperCameraTrunk, mask_filters
from recon.torchvision_shim import ensure_torchvision_imports

timm_missing = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("timm", "torchvision")),
    reason="needs timm and torchvision",
)


def run_python(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_camera_trunk_matches_the_table():
    trunk = PaperCameraTrunk()
    shapes = []
    x = torch.rand(1, 4, 128, 64)
    for layer in trunk.early:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    expected = [(36, 64, 32)] * 2 + [(72, 32, 16)] * 2 + [(144, 16, 8)] * 2 + [(288, 8, 4)] * 2
    assert shapes == expected
    assert trunk(torch.rand(2, 4, 128, 64)).shape == (2, 288, 8, 4)


def test_mask_filter_is_the_mean_of_the_colour_filters():
    filters = torch.randn(5, 3, 3, 3)
    wider = mask_filters(filters)
    torch.testing.assert_close(wider[:, :3], filters)
    torch.testing.assert_close(wider[:, 3], (filters[:, 0] + filters[:, 1] + filters[:, 2]) / 3)


def test_small_encoders_work_without_timm_and_torchvision(monkeypatch, tiny_template):
    for name in ("timm", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)
    AttributeEncoder(small_config(), tiny_template)
    with pytest.raises(ImportError, match="timm"):
        AttributeEncoder(paper_config(), tiny_template)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    with pytest.raises(ImportError, match="torchvision and timm not installed; the paper's networks need: pip install"):
        ensure_torchvision_imports()


@timm_missing
@pytest.mark.slow
def test_torchvision_and_timm_import_in_a_fresh_process():
    code = """
from recon.torchvision_shim import ensure_torchvision_imports
ensure_torchvision_imports()
ensure_torchvision_imports()
import timm, torchvision
print(timm.create_model("resnet18").num_classes)
"""
    assert run_python(code).strip() == "1000"


@timm_missing
@pytest.mark.slow
@pytest.mark.parametrize("make", [paper_config, published_config])
@pytest.mark.parametrize("data", ["market", "atr", "cub"])
def test_paper_networks_run(photos, tiny_template, make, data):
    config = make(data)
    encoder = AttributeEncoder(config, tiny_template)
    attributes = encoder(photos(config, batch=2))
    assert attributes.texture.shape == (2, 3, 2 * config.height, config.width)
    (attributes.texture.sum() + attributes.offsets.square().sum()).backward()
    assert all(p.grad is not None for p in encoder.shape.parameters())


@timm_missing
@pytest.mark.slow
def test_paper_sizes(photos):
    from recon.template import ellipsoid_template

    encoder = AttributeEncoder(published_config(), ellipsoid_template())
    counts = parameter_counts(encoder)
    shape_trunk = sum(p.numel() for p in encoder.shape.trunk.parameters())
    assert 13e6 < shape_trunk < 17e6, "the paper's table says 16 million"
    assert encoder.shape.integrated.overall.weight.shape == (256, 2048)
    assert encoder.shape.offsets.weight.shape == (1926, 1926)
    assert encoder.camera.heads.heads[0][0].in_features == 2304
    assert counts["light"] < counts["camera"] < counts["shape"] < counts["texture"]


@timm_missing
@pytest.mark.slow
def test_pretrained_weights_fill_the_trunks(tiny_template):
    encoder = AttributeEncoder(paper_config(), tiny_template)
    weights = encoder.texture.net.trunk.network.state_dict()
    weights["conv1.weight"] = torch.randn_like(weights["conv1.weight"][:, :3])
    weights["layer1.0.conv1.weight"] = torch.randn_like(weights["layer1.0.conv1.weight"])
    encoder.load_pretrained_trunk("texture", {**weights, "fc.weight": torch.zeros(1000, 512)})
    loaded = encoder.texture.net.trunk.network
    torch.testing.assert_close(loaded.conv1.weight[:, 3], weights["conv1.weight"].mean(dim=1))
    torch.testing.assert_close(loaded.layer1[0].conv1.weight, weights["layer1.0.conv1.weight"])
    with pytest.raises(ValueError, match="these are not weights of HrnetTrunk"):
        encoder.load_pretrained_trunk("shape", weights)
    with pytest.raises(ValueError, match="camera has no trunk for pretrained weights"):
        encoder.load_pretrained_trunk("camera", weights)
