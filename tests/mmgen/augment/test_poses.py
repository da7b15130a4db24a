from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
import torch
from augment_folders import OPTIONS, files_of, made, request_for

from mmgen.augment.options import RenderOptions
from mmgen.augment.poses import STRIDES, Poser, drawn_phases
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file
from mmgen.models.weights import save_weights
from mmgen.templates import named_template
from mmgen.work.records import Shard
from recon.encoders import AttributeEncoder, small_config


def test_phases_of_a_set_differ_and_the_source_pose_draws_nothing():
    random = Random(5)
    before = random.getstate()
    assert drawn_phases("source", 3, random) == (0.0, [None] * 3) and random.getstate() == before
    stride, walk = drawn_phases("walk", 5, random)
    ordered = sorted(walk)
    assert STRIDES[0] <= stride <= STRIDES[1]
    assert all(b - a == pytest.approx(0.2, abs=1e-3) for a, b in pairwise(ordered))
    assert walk not in (ordered, ordered[::-1])
    mixed = [phase for seed in range(40) for phase in drawn_phases("mixed", 5, Random(seed))[1]]
    assert 0.4 < sum(phase is None for phase in mixed) / len(mixed) < 0.6


def test_a_phase_is_reached_from_every_pose_on_the_same_ground():
    template = named_template("person")
    poser = Poser(template)
    left, right, kept = poser(template.vertices, 0.8, [0.0, 0.5, None])
    assert torch.equal(kept, template.vertices)
    lowest = float(template.vertices[:, 1].min())
    assert [float(one[:, 1].min()) for one in (left, right)] == pytest.approx([lowest] * 2, abs=1e-5)
    assert (left - right).norm(dim=1).max() > 0.3, "the other leg goes first"
    again = poser(left, 0.8, [0.5])[0] - right
    assert (again - again.mean(dim=0)).norm(dim=1).mean() < 0.015, "only the goal decides, not where the legs were"


def test_walking_people_are_the_same_bytes_in_parts(tmp_path):
    torch.manual_seed(0)
    template = named_template("person")
    encoder = AttributeEncoder(small_config(height=32, width=32, offset_rank=4), template).eval()
    request_for(tmp_path, tmp_path / "none")
    weights = tmp_path / "person.safetensors"
    save_weights(weights, encoder, template, {})
    options = replace(OPTIONS, look=RenderOptions((-30, 30), size=(32, 16), poses="mixed"), limit=8, with_real=False)
    given = {"weights": weights, "weights_sha256": sha256_file(weights)}
    assert made(tmp_path, tmp_path / "one", options, **given).exit_code == 0
    for index in (1, 0, 1):
        made(tmp_path, tmp_path / "parts", options, shard=Shard(index, 2), **given)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "parts")
    assert b'"phase":0' in (tmp_path / "one" / "index.jsonl").read_bytes()


def test_meshes_without_joints_do_not_walk(tmp_path):
    with pytest.raises(FatalError, match="joints"):
        made(tmp_path, tmp_path / "out", replace(OPTIONS, look=RenderOptions(size=(32, 16), poses="walk")))
