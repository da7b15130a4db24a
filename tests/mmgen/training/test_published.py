"""One real optimisation step of every published run, paper networks and all, on the CPU."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mmgen.training.manifest import read_manifest
from mmgen.training.session import make_template
from recon.structures import Sample
from recon.training.learner import make_learner
from recon.training.loops import move_prototype
from recon.training.step import Batch, TrainProgress, train_step

MANIFESTS = Path(__file__).parents[3] / "manifests"
PHOTOS = 4


def photos(height: int, width: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    rows = torch.linspace(-1, 1, height)[:, None]
    columns = torch.linspace(-1, 1, width)[None]
    sizes = torch.rand(PHOTOS, 2, generator=generator) * 0.3 + 0.5
    mask = torch.stack([((rows / h) ** 2 + (columns / w) ** 2 < 1).float() for h, w in sizes])
    return Batch(Sample(torch.rand(PHOTOS, 3, height, width, generator=generator), mask))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("timm") is None, reason="the paper's networks need timm")
@pytest.mark.parametrize(("name", "height", "width"), [("market", 128, 64), ("atr", 160, 96), ("cub", 128, 128)])
def test_a_published_step(name, height, width):
    manifest = read_manifest(MANIFESTS / f"{name}.toml")
    learner = make_learner(
        manifest.encoder, make_template(manifest), manifest.optimiser, seed=0, with_critic=True, offset_smoothing=0.0
    )
    assert learner.smoother is None and len(learner.optimiser.param_groups) == 2
    before = {name: p.detach().clone() for name, p in learner.encoder.named_parameters()}
    critic = [p.detach().clone() for p in learner.critic.parameters()]
    optimiser = replace(manifest.optimiser, warmup_steps=0)
    batch = photos(height, width)
    report = train_step(learner, batch, manifest.step, optimiser, TrainProgress(0, 0, 0.1))
    assert report.applied and report.loss.isfinite()
    expected = {"image", "iou", "adversarial", "consistency", "mirror", "laplacian", "flatten", "edge", "deformation"}
    assert expected <= set(report.terms)
    assert ("contour" in report.terms) is (name == "cub") and ("depth_rim" in report.terms) is (name != "cub")
    moved = {name.split(".")[0] for name, p in learner.encoder.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"camera", "shape", "texture", "light", "background"}
    assert any(not torch.equal(old, new) for old, new in zip(critic, learner.critic.parameters(), strict=True))
    assert move_prototype(learner, manifest.prototype, [batch], warmup_steps=0, step=1) >= 0
