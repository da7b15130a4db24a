"""What the desk's worker asks of a reconstruction: the options that an asset was made with."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from people_photos import people_rgba, written

from mmgen.models.weights import save_weights
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.batch import BatchConfig, run_batch
from mmgen.reconstruction.options import ReconstructOptions, job_of
from mmgen.review import worker
from mmgen.review.jobs import Job, Setting
from mmgen.work.callbacks import RunCallbacks
from recon.encoders import AttributeEncoder, aligned_config
from recon.template import ellipsoid_template


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small ones in place of the bundled ones."""
    torch.manual_seed(0)
    template = ellipsoid_template(2, (0.25, 0.9, 0.15))
    path = tmp_path / "w.safetensors"
    save_weights(path, AttributeEncoder(aligned_config(height=128, width=64), template).eval(), template, {})
    for module in ("mmgen.reconstruction.options.bundled_weights_path", "mmgen.reconstruction.rerun.required_weights"):
        monkeypatch.setattr(module, lambda *_: path)
    return path


def test_an_asset_is_computed_again_as_it_was_made(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch):
    written(tmp_path / "in", {"1.png": people_rgba(1)[0]})
    written(tmp_path / "hand", {"1.png": people_rgba(1)[0][..., 3]})
    out = tmp_path / "meshes"
    options = ReconstructOptions(
        (64, 32), 1.82, "given", refine_steps=0, weights=weights, texture_codec="png", masks=str(tmp_path / "hand")
    )
    run_batch(BatchConfig(list_inputs([tmp_path / "in"], out), job_of(options, out)), RunCallbacks())
    asked = []
    build = worker.build_reconstructor
    worker._reconstructor.cache_clear()
    monkeypatch.setattr(worker, "build_reconstructor", lambda options: asked.append(options) or build(options))
    before = (out / "1.glb").read_bytes()
    worker._reconstruct(Job(1, tmp_path / "in", ("1.png",), "1.png"), Setting(out, "cpu"))
    assert (out / "1.glb").read_bytes() == before, "the same key: nothing to do"
    written(tmp_path / "hand", {"1.png": people_rgba(2)[1][..., 3]})
    worker._reconstruct(Job(2, tmp_path / "in", ("1.png",), "1.png"), Setting(out, "cpu"))
    assert asked == [replace(options, masks=str((tmp_path / "hand").absolute()))]
    assert (out / "1.glb").read_bytes() != before
