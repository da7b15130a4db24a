import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from manifest_keys import dotted_keys
from reid_people import TINY, market, picture, shards

from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.core.settings import to_toml
from mmgen.reid_runs.comparison_manifest import read_comparison
from mmgen.reid_runs.manifest import ReidManifest, read_reid_manifest
from mmgen.reid_runs.weights import load_reid_weights, save_reid_weights

ROOT = Path(__file__).parents[2] / "manifests" / "reid"
TRAINING = sorted(path for path in ROOT.glob("*.toml") if not path.name.startswith("compare"))
COMPARISONS = sorted(ROOT.glob("compare*.toml"))


def call(*words, code=0):
    result = CliRunner().invoke(cli, ["reid", *map(str, words)], prog_name="mmgen")
    assert result.exit_code == code, result.output + str(result.exception)
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("reid")
    market(root / "market")
    shards(root / "shards")
    (root / "tiny.toml").write_text(TINY)
    return root


def test_an_interrupted_training_ends_in_the_same_bytes_and_is_scored(place):
    words = ("train", place / "tiny.toml", "--data", place / "market", "--shards", place / "shards", "--device", "cpu")
    words += ("--set", "batch.virtual_share=0.5", "--set", "batch.virtual_until=0.8")
    call(*words, "--out", place / "straight")
    call(*words, "--out", place / "parts", "--limit-steps", 4)
    call(*words, "--out", place / "parts", "--limit-steps", 4, code=4)
    told = json.loads(call(*words, "--out", place / "parts", "--resume", "--json").stdout)
    assert told["finished"] and told["steps"] == 6 and told["classes"] == 6 + 3 and told["virtual_photos"] == 15
    weights = "checkpoints/last.safetensors"
    assert (place / "straight" / weights).read_bytes() == (place / "parts" / weights).read_bytes()
    result = call("evaluate", "--weights", place / "parts", "--data", place / "market", "--device", "cpu", "--json")
    found = json.loads(result.stdout)
    assert found["queries"] == found["queries_with_an_answer"] == 12
    figures = found["figures"]
    assert 0 < figures["map_trapezoid"] <= figures["map_plain"] <= 1
    text = call("evaluate", "--weights", place / "parts", "--data", place / "market", "--reranking").stdout
    assert re.search(r"mAP [\d.]+% \(plain\) +[\d.]+% \(trapezoid\)", text)


def test_what_a_resumed_or_planned_run_needs(place, tmp_path):
    words = ("train", place / "tiny.toml", "--device", "cpu", "--out", tmp_path / "run")
    plan = call(*words, "--data", place / "market", "--dry-run", "--json").stdout
    assert json.loads(plan)["steps"] == 6 and not (tmp_path / "run").exists()
    call(*words, "--data", place / "market", "--limit-steps", 1)
    market(tmp_path / "other", train=(1, 2, 3, 4))
    result = call(*words, "--data", tmp_path / "other", "--resume", code=4)
    assert "was started with other photos" in result.output
    result = call(*words, "--data", place / "market", "--shards", place / "market", code=4)
    assert "holds no record.json" in result.output
    shards(tmp_path / "s", pairs=((1, 9),))
    result = call(*words, "--data", place / "market", "--shards", tmp_path / "s", code=4)
    assert "descend from 1 identities that are not in the training set: 0009" in result.output


def test_foreign_weights_and_missing_test_photos_are_refused(place, tmp_path):
    result = call("evaluate", "--weights", tmp_path / "none", "--data", place / "market", code=4)
    assert "there is no file" in result.output
    (tmp_path / "x.safetensors").write_bytes(b"\x80\x04pickle")
    result = call("evaluate", "--weights", tmp_path / "x.safetensors", "--data", place / "market", code=4)
    assert "is no weights file of `mmgen reid train`" in result.output
    market(tmp_path / "train-only", test=())
    result = call("evaluate", "--weights", tmp_path / "x.safetensors", "--data", tmp_path / "train-only", code=4)
    assert "0 query and" in result.output
    words = ("train", place / "tiny.toml", "--data", place / "market", "--out", tmp_path / "run")
    result = call(*words, "--set", f'pretrained.backbone="{tmp_path / "x.safetensors"}"', code=4)
    assert "pretrained.backbone: " in result.output and "cannot be read" in result.output


def test_a_run_starts_from_the_backbone_of_another_and_passes_over_bad_photos(place, tmp_path):
    data = market(tmp_path / "market")
    bad = next((data / "bounding_box_train").glob("0001_*"))
    bad.write_bytes(bad.read_bytes()[:-9])
    words = ("train", place / "tiny.toml", "--data", data, "--limit-steps", 1)
    first = call(*words, "--out", tmp_path / "first")
    assert f"left out: {bad}: it is cut off" in first.output.replace("\n", "")
    weights = tmp_path / "first/checkpoints/last.safetensors"
    second = call(*words, "--out", tmp_path / "second", "--set", f'pretrained.backbone="{weights}"')
    loaded = re.search(r"(\d+) of (\d+) tensors loaded", second.output)
    assert loaded[1] == loaded[2]


def test_searches_that_mean_nothing_are_refused(place, tmp_path):
    words = ("train", place / "tiny.toml", "--data", place / "market", "--limit-steps", 1)
    call(*words, "--out", tmp_path / "run")
    weights = tmp_path / "run/checkpoints/last.safetensors"
    one_camera = market(tmp_path / "one", cameras=1)
    result = call("evaluate", "--weights", weights, "--data", one_camera, code=4)
    assert "no query has a right answer" in result.output and "--no-cameras" in result.output
    result = call("evaluate", "--weights", weights, "--data", one_camera, "--no-cameras", "--json")
    assert json.loads(result.stdout)["queries_with_an_answer"] == 4
    strangers = market(tmp_path / "strangers")
    for photo in (strangers / "query").iterdir():
        photo.rename(photo.with_name(photo.name.replace("001", "002", 1)))
    result = call("evaluate", "--weights", weights, "--data", strangers, code=4)
    assert "nobody of query is in it" in result.output
    network, config, _ = load_reid_weights(weights)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    save_reid_weights(weights, network, config, {})
    for more in ((), ("--reranking",)):
        result = call("evaluate", "--weights", weights, "--data", place / "market", *more, code=4)
        assert "features are not numbers" in result.output


COMPARISON = """
tested = "plus"
seeds = 2
steps = 3
[arms.original]
manifest = "tiny.toml"
[arms.plus]
label = "Original+3D"
manifest = "tiny.toml"
virtual = true
changes = ["batch.virtual_share=0.5"]
[protocols.full]
[protocols.most]
identity_share = 0.6
"""


def test_a_comparison_has_equal_updates_pairs_its_runs_and_goes_on(place):
    (place / "compare.toml").write_text(COMPARISON)
    out = place / "compared"
    words = ("compare", place / "compare.toml", "--data", place / "market", "--out", out, "--device", "cpu")
    words += ("--shards", place / "shards", "--cross", f"again={place / 'market'}")
    text = call(*words).stdout
    assert "Original+3D" in text and "plus - original, mAP (plain):" in text and "tested on again" in text
    data = json.loads((out / "compare.json").read_text())
    full, most = data["protocols"]["full"], data["protocols"]["most"]
    assert {arm["training"]["steps"] for arm in (*full["arms"].values(), *most["arms"].values())} == {3}
    assert full["arms"]["plus"]["training"]["virtual_photos"] == 15
    assert full["arms"]["original"]["training"]["virtual_photos"] == 0
    assert most["arms"]["plus"]["training"]["real_identities"] == 4
    assert most["arms"]["plus"]["training"]["virtual_photos"] < 15
    gain = full["gains"]["original"]["test"]["map_plain"]
    means = [full["arms"][arm]["figures"]["test"]["map_plain"]["values"] for arm in ("plus", "original")]
    assert gain["seeds"] == pytest.approx((np.array(means[0]) - np.array(means[1])).tolist())
    assert gain["by_query"]["low"] <= gain["by_query"]["mean"] <= gain["by_query"]["high"]
    (out / "runs/full/plus/seed-1/scores.json").unlink()
    plan = json.loads(call(*words, "--dry-run", "--json").stdout)
    assert plan["to_do"] == ["full/plus/seed-1"] and len(plan["runs"]) == 8
    call(*words)
    assert json.loads((out / "compare.json").read_text()) == data


def test_arms_on_virtual_people_need_some(place):
    (place / "compare2.toml").write_text(COMPARISON)
    words = ("compare", place / "compare2.toml", "--data", place / "market", "--out", place / "none")
    assert "trains on virtual people, and none are given" in call(*words, code=4).output
    only_most = ("--shards", f"most={place / 'shards'}", "--dry-run")
    assert "arm plus of protocol full trains on virtual people" in call(*words, *only_most, code=4).output
    call(*words, "--shards", f"full={place / 'shards'}", *only_most)
    assert not (place / "none").exists()


def test_a_subset_is_what_the_same_share_of_a_manifest_trains_on(place, tmp_path):
    (place / "market/masks/bounding_box_train").mkdir(parents=True, exist_ok=True)
    (place / "market/masks/bounding_box_train/0003_c1s1_000000_00.png").write_bytes(picture(1, 1))
    words = ("subset", "--data", place / "market", "--share", 0.5, "--out", tmp_path / "half", "--json")
    told = json.loads(call(*words).stdout)
    people = (tmp_path / "half/identities.txt").read_text().split()
    assert told["identities"] == len(people) == 3 and told["photos"] == 18
    assert {path.name[:4] for path in (tmp_path / "half/bounding_box_train").iterdir()} == set(people)
    assert told["masks"] == ("0003" in people)
    assert "is not empty" in call(*words, code=4).output


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_manifest_is_valid_and_reads_back(path, tmp_path):
    manifest = read_reid_manifest(path)
    assert manifest.about and path.read_text().startswith("# ")
    (tmp_path / "copy.toml").write_text(to_toml(manifest.to_tables()))
    assert read_reid_manifest(tmp_path / "copy.toml") == manifest


def test_the_four_rows_have_the_published_settings():
    rows = {
        "resnet50-ibn-original": ("resnet50-ibn", 0.004, 16, 0.75),
        "resnet50-ibn-3d": ("resnet50-ibn", 0.045, 192, 0.2),
        "hrnet-w18-original": ("hrnet-w18", 0.005, 16, 0.75),
        "hrnet-w18-3d": ("hrnet-w18", 0.055, 160, 0.2),
    }
    for name, row in rows.items():
        found = read_reid_manifest(ROOT / f"{name}.toml")
        rate, photos = found.optimiser.learning_rate, found.batch.photos
        assert (found.model.name, rate, photos, found.model.dropout) == row
        assert found.model.embedding == 2048 and found.augmentation.erasing > 0 and found.augmentation.flip
        assert (found.optimiser.kind, found.optimiser.backbone_factor, found.length.epochs) == ("sgd", 0.1, 60)
        assert found.data.virtual_labels == "classes" and not found.batch.virtual_share


@pytest.mark.parametrize("path", COMPARISONS, ids=lambda path: path.stem)
def test_comparisons_have_a_control_that_differs_in_data_alone(path):
    found = read_comparison(path)
    control, tested = found.arms["control"], found.arms[found.tested]
    assert (control.manifest, control.changes) == (tested.manifest, tested.changes)
    assert tested.virtual and not control.virtual and found.seeds >= 3 and found.steps
    assert all((path.parent / arm.manifest).is_file() for arm in found.arms.values())


def test_the_readme_explains_every_key():
    text = (ROOT / "README.md").read_text()
    explained = re.findall(r"^\| `([^`]+)` \| \S", text, re.MULTILINE)
    assert [key for key in dotted_keys(ReidManifest) if key not in explained] == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["length.steps=0"], "length is refused: give exactly one of steps and epochs"),
        (["batch.photo=3"], "batch.photo is no setting; did you mean photos?"),
        (["batch.per_identity=0"], "loss.triplet needs batch.per_identity"),
        (["batch.photos=7"], "7 photos are no multiple of 2 per identity"),
        (["batch.virtual_until=0.5"], "need a virtual_share or virtual_extra"),
        (
            ["batch.virtual_share=0.5", "batch.virtual_first=0.9", "batch.virtual_until=0.5"],
            "virtual_first < virtual_until",
        ),
        (["batch.virtual_share=0.5", "batch.virtual_extra=4"], "not both"),
        (["batch.virtual_share=0.5", "batch.virtual_until=0.0"], "virtual_first < virtual_until"),
        (["data.identity_share=0.0"], "identity_share must lie in 0..1"),
        (["data.lowest_mask_area=2.0"], "the limits on virtual people must lie in 0..1"),
        (["log.steps=0"], "steps and checkpoint_steps must be at least 1"),
        (["optics.focus=1"], "optics is no setting"),
        (['data.virtual_labels="unlabeled"'], "the averaged network is the teacher"),
    ],
)
def test_wrong_settings_are_named(tmp_path, changes, message):
    (tmp_path / "m.toml").write_text(TINY)
    with pytest.raises(FatalError, match=re.escape(message)):
        read_reid_manifest(tmp_path / "m.toml", changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (COMPARISON.replace('tested = "plus"', 'tested = "minus"'), "expected one of at least two arms"),
        (COMPARISON.replace("identity_share = 0.6", "identity_share = 6.0"), "identity_share must lie in 0..1"),
        (COMPARISON.replace("[arms.plus]", "[arms.'../up']"), "is no name"),
        (COMPARISON.replace('tested = "plus"', ""), "tested is missing"),
        ("wrong = 1\n" + COMPARISON, "wrong is no setting"),
        (COMPARISON.replace("seeds = 2", "seeds = 0"), "seeds must be at least 1"),
    ],
)
def test_wrong_comparisons_are_named(tmp_path, text, message):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(FatalError, match=re.escape(message)):
        read_comparison(tmp_path / "c.toml")
