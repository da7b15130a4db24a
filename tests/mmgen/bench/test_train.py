import json
from dataclasses import replace

import pytest
from training_data import write_manifest, write_people

from mmgen.bench import ablations
from mmgen.bench.ablations import AblationPlan, run_ablations, table, write_table
from mmgen.bench.train import measure
from mmgen.core.errors import FatalError


@pytest.fixture
def plan(tmp_path):
    people = write_people(tmp_path / "people")
    first = write_manifest(tmp_path)
    second = tmp_path / "unpaired.toml"
    second.write_text('extends = "tiny.toml"\n[loss]\npreset = "small"\n[averaging]\nkind = "off"\n')
    return AblationPlan((first, second), people, tmp_path / "out", seeds=1, steps=2, photos=3)


def test_a_table_from_training_to_figures(plan, monkeypatch):
    assert run_ablations(plan)
    for manifest, seed in plan.runs():
        result = json.loads((plan.folder(manifest, seed) / "result.json").read_text())
        assert result["photos"] == 3 and result["images_per_cpu_second"] > 0 and 0 < result["metrics"]["mask_iou"] < 1
    data = write_table(plan)
    assert json.loads((plan.out / "ablations.json").read_text()) == data
    assert list(data["rows"]) == ["tiny", "unpaired"]
    assert data["rows"]["tiny"]["minus_first"]["ssim"] == {"mean": 0.0, "std": 0.0}
    # what is done stays done
    monkeypatch.setattr(ablations, "train", None)
    assert run_ablations(plan)


@pytest.mark.slow
def test_a_stopped_table_goes_on(plan, monkeypatch):
    real, orders = ablations.train, []

    def stop_once(order, listener):
        orders.append(order)
        return real(replace(order, limit_steps=1) if len(orders) == 1 else order, listener)

    monkeypatch.setattr(ablations, "budgeted", lambda manifest, steps: manifest)
    monkeypatch.setattr(ablations, "train", stop_once)
    assert not run_ablations(plan)
    assert not any(plan.is_done(*run) for run in plan.runs())
    assert run_ablations(plan)
    assert [order.resume for order in orders] == [False, True, False]


def test_means_spreads_and_differences_by_seed(tmp_path):
    plan = AblationPlan((tmp_path / "a.toml", tmp_path / "b.toml"), tmp_path, tmp_path / "out", seeds=3)
    figures = {"a": [0.5, 0.6, 0.7], "b": [0.6, 0.8]}
    for manifest in plan.manifests:
        for seed, value in enumerate(figures[manifest.stem]):
            folder = plan.folder(manifest, seed)
            folder.mkdir(parents=True)
            result = {"images_per_cpu_second": 10 * seed, "metrics": {"ssim": value}}
            (folder / "result.json").write_text(json.dumps(result))
    rows = table(plan)["rows"]
    assert rows["a"]["metrics"]["ssim"] == pytest.approx({"mean": 0.6, "std": 0.1})
    assert rows["b"]["seeds"] == [0, 1] and rows["b"]["images_per_cpu_second"]["mean"] == 5
    assert rows["b"]["minus_first"]["ssim"]["mean"] == pytest.approx(0.15)
    assert rows["b"]["minus_first"]["ssim"]["std"] == pytest.approx(0.0707, abs=1e-3)


def test_two_rows_of_one_name_are_refused(tmp_path):
    plan = AblationPlan((tmp_path / "x/a.toml", tmp_path / "y/a.toml"), tmp_path, tmp_path)
    with pytest.raises(FatalError, match="the same file name"):
        run_ablations(plan)


@pytest.mark.slow
def test_bench_train_gives_rates_and_parts():
    result = measure(steps=4, threads=(1,))
    run = result["threads"]["1"]
    assert result["images_per_second"]["1"] == run["images_per_second"]["wall"] > 0
    assert set(run["parts"]) == {"encoders", "render", "losses", "optimiser", "data", "other"}
    assert run["parts"]["encoders"]["share"] > run["parts"]["optimiser"]["share"] > 0
    assert result["step"]["batch"] == 16 and (result["step"]["height"], result["step"]["width"]) == (128, 64)
