"""`mmgen inspect` and `mmgen verify` of weights."""

import json

import pytest
import torch
from click.testing import CliRunner

from mmgen.bundled import required_weights
from mmgen.cli import cli
from mmgen.core.files import sha256_file
from mmgen.models.weights import save_weights
from recon.encoders import AttributeEncoder, small_config
from recon.template import ellipsoid_template


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture
def made(tmp_path):
    """An encoder and where its weights go."""
    template = ellipsoid_template(level=1)
    torch.manual_seed(0)
    return (
        AttributeEncoder(small_config(height=32, width=32, offset_rank=4), template),
        template,
        tmp_path / "w.safetensors",
    )


def test_the_bundled_weights_are_sound_and_described():
    path = required_weights()
    assert path.stat().st_size < 20e6
    result = run("verify", path, "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["ok"] is True
    facts = json.loads(run("inspect", path, "--json").stdout)
    assert facts["kind"] == "weights" and facts["sha256"] == sha256_file(path)
    assert facts["parameters"]["all"] == sum(
        facts["parameters"][group] for group in ("camera", "shape", "texture", "light")
    )
    assert facts["prototype"]["vertices"] == 1302 and facts["encoder"]["shape_looks"] == 3
    assert 0.8 < facts["metrics"]["mask_iou"] < 1
    assert "shape_looks" in run("inspect", path).stdout


def test_numbers_that_are_none_are_found(made):
    encoder, template, path = made
    save_weights(path, encoder, template, {})
    assert run("verify", path).exit_code == 0
    with torch.no_grad():
        encoder.light.get_parameter(next(name for name, _ in encoder.light.named_parameters())).fill_(float("nan"))
    save_weights(path, encoder, template, {})
    result = run("verify", path, "--json")
    assert result.exit_code == 3
    (finding,) = json.loads(result.stdout)["findings"]
    assert "encoder" not in finding["message"] and finding["message"].startswith("light.")
    assert "not finite" in run("verify", path).stdout


def test_what_is_no_weights_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\x00" * 64)
    for command in ("inspect", "verify"):
        result = run(command, path)
        assert result.exit_code == 4 and "w.safetensors" in result.stderr


def test_weights_are_not_made_again(made):
    encoder, template, path = made
    save_weights(path, encoder, template, {})
    result = run("verify", path, "--rerun")
    assert result.exit_code == 2 and "--rerun is for meshes" in result.stderr
