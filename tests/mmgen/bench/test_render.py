"""`mmgen bench render`: what it counts, what it compares, what it prints."""

import importlib.util
import json
import os

import pytest
import torch
from click.testing import CliRunner

from mmgen.bench import deodr, render
from mmgen.bench.scenes import SCENES, SceneSpec, build_scene
from mmgen.bench.timing import interleaved, per_item_ms, versions
from mmgen.cli import cli
from mmgen.work.pool import one_thread

TINY = SceneSpec("tiny", 1, 24, 16, 2)
ONCE = {"numba": 2, "torch": 1, "deodr": 1}
needs_deodr = pytest.mark.skipif(not deodr.is_installed(), reason="deodr is not installed")


@pytest.fixture
def no_compilation(monkeypatch):
    monkeypatch.setattr(render, "measure_first_call", lambda: {"cold_compile_seconds": 1.0})


def test_scenes_are_what_the_figures_refer_to_and_repeat():
    first = SCENES[0]
    assert (first.height, first.width, first.batch) == (128, 64, 48)
    scene, again = build_scene(TINY), build_scene(TINY)
    assert build_scene(first).mesh.vertices.shape == (48, 642, 3)
    assert torch.equal(scene.corners, again.corners) and torch.equal(scene.image_grad, again.image_grad)
    assert not torch.equal(scene.corners, build_scene(TINY, seed=1).corners)


@pytest.mark.slow
def test_report_has_the_promised_fields_and_backends_agree(no_compilation):
    report = json.loads(json.dumps(render.measure((TINY,), ONCE), allow_nan=False))
    (scene,) = report["scenes"]
    times = scene["ms_per_image"]
    assert times["numba"]["forward_backward"] > times["numba"]["forward"] > 0
    ratio = times["torch"]["forward_backward"] / times["numba"]["forward_backward"]
    assert scene["speedup_vs_reference"] == pytest.approx(ratio) and ratio > 1
    low, high = scene["spread_ms_per_image"]["numba"]["forward"]
    assert low <= times["numba"]["forward"] <= high
    agreement = scene["agreement"]
    assert agreement["face_index_share_different"] == 0
    assert 0 < agreement["mask_largest_difference"] < 1e-5 and agreement["feature_largest_difference"] < 1e-5
    assert all(value < 1e-4 for name, value in agreement.items() if name.endswith("relative_difference"))
    assert report["first_call"] and report["machine"]["cores"] == os.cpu_count()
    assert report["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_without_deodr_its_figures_are_null(no_compilation, monkeypatch):
    monkeypatch.setattr(deodr, "is_installed", lambda: False)
    (scene,) = render.measure((TINY,), ONCE)["scenes"]
    assert scene["speedup_vs_deodr"] is None and scene["speedup_vs_deodr_forward"] is None
    assert "deodr" not in scene["ms_per_image"]


@needs_deodr
def test_deodr_draws_the_same_people():
    scene = build_scene(SceneSpec("check", 2, 64, 48, 3))
    other = deodr.DeodrScenes(scene)
    features, _, index = render._draw(scene, "numba")
    assert other.coverage() == pytest.approx(float((index >= 0).double().mean()), abs=0.01)
    inside = torch.nn.functional.avg_pool2d((index >= 0).float()[:, None], 5, 1, 2)[:, 0] > 0.999
    images = torch.stack([torch.from_numpy(image) for image in other.forward()])
    assert inside.sum() > 500
    assert (images - features.detach())[inside].abs().median() < 1e-5


def test_interleaving_takes_turns_and_stops_each_task_in_time():
    calls = []
    seconds = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, {"a": 3, "b": 1})
    assert "".join(calls) == "ab" + "abaa"
    assert [len(seconds[name]) for name in "ab"] == [3, 1]
    assert per_item_ms([0.004, 0.001, 0.002], 2) == {"median": 1.0, "lowest": 0.5, "highest": 2.0}


def test_one_thread_is_given_back():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), one_thread():
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before
    assert versions("no-such-package-at-all")["no-such-package-at-all"] is None


def test_command_prints_json_or_a_summary(no_compilation, monkeypatch):
    monkeypatch.setattr("mmgen.bench.scenes.SCENES", (TINY, TINY))
    monkeypatch.setattr("mmgen.bench.render.REPEATS", ONCE)
    result = CliRunner().invoke(cli, ["bench", "render", "--json", "--quick"])
    assert result.exit_code == 0
    assert [scene["name"] for scene in json.loads(result.stdout)["scenes"]] == ["tiny"]
    result = CliRunner().invoke(cli, ["bench", "render"])
    assert result.stdout.count("tiny (42 vertices, batch 2)") == 2
    assert "times as fast as pure torch" in result.stdout


@pytest.mark.slow
def test_first_call_is_much_faster_with_compiled_code_on_disk():
    first = render.measure_first_call()
    assert first["cached_cpu_seconds"] < 0.5 * first["cold_compile_cpu_seconds"] < 20


def test_the_command_module_imports_nothing_heavy():
    assert importlib.util.find_spec("mmgen.cli.bench") is not None
    source = importlib.util.find_spec("mmgen.cli.bench").loader.get_source("mmgen.cli.bench")
    top = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert not [line for line in top if any(name in line for name in ("torch", "numpy", "numba", "mmgen.bench"))]
