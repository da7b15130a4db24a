import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from training_data import write_manifest, write_people

from mmgen.core.errors import FatalError
from mmgen.models.weights import load_weights
from mmgen.training.clock import Clock, StopSignal, progress_of
from mmgen.training.folder import METRIC_EVENTS, MetricsLog, RunFolder
from mmgen.training.loop import train
from mmgen.training.manifest import Length, read_manifest
from mmgen.training.session import TrainOrder, initialised, make_session
from mmgen.work.callbacks import RunCallbacks

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture
def order(people, tmp_path):
    manifest = read_manifest(write_manifest(tmp_path))
    return TrainOrder(manifest, people, tmp_path / "run")


@pytest.fixture(scope="module")
def whole(people, tmp_path_factory):
    """An unbroken run."""
    folder = tmp_path_factory.mktemp("whole")
    made = TrainOrder(read_manifest(write_manifest(folder)), people, folder / "run")
    notes: list[str] = []
    return made, train(made, RunCallbacks(note=notes.append)), notes


def curve(folder):
    """All that a run says of its steps but the time they took."""
    timing = ("seconds", "cpu_seconds", "images_per_second")
    rows = [
        row
        for row in METRIC_EVENTS.read(folder / "metrics.jsonl")
        if row["event"] in ("step", "validation", "prototype")
    ]
    return [{key: value for key, value in row.items() if key not in timing} for row in rows]


def same_weights(one, two):
    first, second = load_weights(one).encoder.state_dict(), load_weights(two).encoder.state_dict()
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_run_leaves_a_whole_folder(whole):
    order, outcome, notes = whole
    assert outcome.finished and not outcome.interrupted and outcome.steps == 8
    names = {path.relative_to(order.out).as_posix() for path in order.out.rglob("*") if path.is_file()}
    assert {
        "config.toml",
        "environment.json",
        "metrics.jsonl",
        "checkpoints/last.safetensors",
        "checkpoints/best.safetensors",
        "checkpoints/averaged.safetensors",
        "checkpoints/state.pt",
        "pictures/photos-0000008.png",
        "pictures/template-0000008.png",
    } <= names
    assert json.loads((order.out / "environment.json").read_text())["packages"]["torch"]
    with Image.open(order.out / "pictures/photos-0000008.png") as grid:
        assert grid.width == 2 * 10 * 32
    assert any("held-out MaskIoU" in note for note in notes)
    assert (order.out / "checkpoints" / f"{outcome.best}.safetensors").is_file()
    assert 0 < outcome.figures["mask_iou"] < 1


def test_the_log_has_every_step_with_its_losses(whole):
    order, _, _ = whole
    rows = list(METRIC_EVENTS.read(order.out / "metrics.jsonl"))
    steps = [row for row in rows if row["event"] == "step"]
    assert [row["step"] for row in steps] == list(range(1, 9))
    assert {"image", "iou", "identity", "symmetry", "loss", "gradient_norm"} <= set(steps[0]["losses"])
    assert steps[0]["learning_rate"] < steps[2]["learning_rate"] > steps[7]["learning_rate"]
    assert [row["step"] for row in rows if row["event"] == "validation"] == [4, 8]
    assert [row["step"] for row in rows if row["event"] == "prototype"] == [3, 6]
    assert [row["step"] for row in rows if row["event"] == "averaged_validation"] == [8]


def test_weights_say_where_they_come_from(whole):
    order, _, _ = whole
    best = load_weights(order.out / "checkpoints/best.safetensors")
    assert best.header["training"]["manifest"]["data"]["pairs"] is True
    assert best.header["metrics"]["mask_iou"] > 0
    assert not torch.equal(best.encoder.prototype_vertices, best.template.vertices)


@pytest.mark.parametrize("stop", [pytest.param(1, marks=pytest.mark.slow), 5])
def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(whole, order, stop):
    first = train(replace(order, limit_steps=stop))
    assert not first.finished and first.steps == stop
    assert train(replace(order, resume=True)).finished
    assert curve(order.out) == curve(whole[0].out)
    for name in ("last", "averaged"):
        path = f"checkpoints/{name}.safetensors"
        assert same_weights(order.out / path, whole[0].out / path)


def test_what_a_killed_run_wrote_after_its_checkpoint_is_written_again(whole, order):
    """As after kill -9: the log is ahead of the state, its last line is cut, a temp file lies about."""
    train(replace(order, limit_steps=3))
    with (order.out / "metrics.jsonl").open("a") as file:
        file.write('{"event": "step", "step": 4, "losses": {"loss": 99}}\n{"event": "st')
    train(replace(order, resume=True))
    assert curve(order.out) == curve(whole[0].out)


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_starts_again(whole, order):
    train(replace(order, limit_steps=1))
    (order.out / "checkpoints/state.pt").unlink()
    train(replace(order, resume=True))
    assert curve(order.out) == curve(whole[0].out)


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_a_signal_saves_and_stops_after_the_step(whole, order, number):
    heard = []

    def advance(progress):
        if progress == 2 / 8:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    outcome = train(order, RunCallbacks(finished=advance, stopping=lambda: heard.append(number)))
    assert outcome.interrupted and not outcome.finished and outcome.steps == 3 and heard == [number]
    assert signal.getsignal(number) is before
    train(replace(order, resume=True))
    assert curve(order.out) == curve(whole[0].out)


def test_a_second_signal_stops_at_once():
    with pytest.raises(KeyboardInterrupt), StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_set
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_is_not_overwritten(order):
    train(replace(order, limit_steps=1))
    with pytest.raises(FatalError, match="holds a training run already") as caught:
        train(order)
    assert caught.value.code == "run_exists"


def test_resuming_needs_the_same_settings(order):
    train(replace(order, limit_steps=1))
    changed = replace(order, manifest=replace(order.manifest, length=Length(steps=9)), resume=True)
    with pytest.raises(FatalError, match=r"other settings: length.steps 8 \(now 9\)"):
        train(changed)
    with pytest.raises(FatalError, match=r"seed 0 \(now 4\)"):
        train(replace(order, seed=4, resume=True))


def test_resuming_nothing_is_refused(order):
    with pytest.raises(FatalError, match="holds no training run"):
        train(replace(order, resume=True))


def test_a_hostile_state_is_refused(order):
    train(replace(order, limit_steps=1))
    path = order.out / "checkpoints/state.pt"

    class Hostile:
        def __reduce__(self):
            return os.mkdir, (str(order.out / "owned"),)

    torch.save(Hostile(), path)
    with pytest.raises(FatalError, match="cannot be resumed from"):
        train(replace(order, resume=True))
    assert not (order.out / "owned").exists()
    torch.save({"schema": "other"}, path)
    with pytest.raises(FatalError, match=r"it is no mmgen\.training_state/1"):
        train(replace(order, resume=True))
    torch.save({"schema": "mmgen.training_state/1", "learner": {}}, path)
    with pytest.raises(FatalError, match="does not fit this run"):
        train(replace(order, resume=True))


def test_too_few_photos_are_refused(order):
    manifest = replace(order.manifest, data=replace(order.manifest.data, batch_photos=64))
    with pytest.raises(FatalError, match="which fill no batch of 64 x 1 in pairs") as caught:
        train(replace(order, manifest=manifest))
    assert caught.value.code == "too_few_photos"


def test_pretrained_weights_of_another_kind_are_refused(order, tmp_path):
    (tmp_path / "trunk.safetensors").write_bytes(b"nothing")
    section = replace(order.manifest.pretrained, shape=str(tmp_path / "trunk.safetensors"))
    with pytest.raises(FatalError, match=r"pretrained.shape: .*trunk.safetensors"):
        train(replace(order, manifest=replace(order.manifest, pretrained=section)))


def test_truth_for_another_template_than_the_weights_is_refused_before_it_is_read(order, whole):
    weights = RunFolder(whole[0].out).weights_path("last")
    changed = replace(
        order.manifest,
        pretrained=replace(order.manifest.pretrained, init=str(weights)),
        template=replace(order.manifest.template, name="person"),
        truth=replace(order.manifest.truth, photos=True),
    )
    with pytest.raises(FatalError, match=r"registered with template 'person' of 1302 vertices, the networks have"):
        train(replace(order, manifest=changed))


def session_from(order, weights, out, encoder, *groups):
    """A session that takes these groups of the weights."""
    section = replace(order.manifest.pretrained, init=str(weights), groups=groups)
    manifest = replace(order.manifest, pretrained=section, encoder=replace(order.manifest.encoder, **encoder))
    return make_session(initialised(replace(order, manifest=manifest)), RunFolder(out))


def test_named_groups_are_taken_and_the_others_start_anew(order, whole, tmp_path):
    weights = RunFolder(whole[0].out).weights_path("last")
    learned = load_weights(weights).encoder
    session = session_from(order, weights, tmp_path, {"shape_widths": (16, 32, 32)}, "camera", "texture")
    encoder = session.learner.encoder
    for group in ("camera", "texture"):
        for name, value in getattr(learned, group).state_dict().items():
            assert torch.equal(getattr(encoder, group).state_dict()[name], value), name
    assert encoder.config.shape_widths == (16, 32, 32)
    assert torch.equal(encoder.prototype_vertices, learned.prototype_vertices)

    with pytest.raises(FatalError, match="the weights' shape encoder is not that of this manifest") as caught:
        session_from(order, weights, tmp_path, {"shape_widths": (16, 32, 32)}, "shape")
    assert caught.value.code == "init_groups"


def test_progress_by_steps_epochs_and_time():
    now = [0.0]
    clock = Clock(wall_s=30.0, cpu_s=6.0, wall=lambda: now[0], cpu=lambda: now[0] / 2)
    assert progress_of(Length(steps=10), 5, 7, clock) == 0.5
    assert progress_of(Length(epochs=2), 7, 7, clock) == 0.5
    assert progress_of(Length(minutes=1.0), 0, 7, clock) == 0.5
    assert progress_of(Length(cpu_minutes=0.2), 0, 7, clock) == 0.5
    now[0] = 12.0
    assert progress_of(Length(minutes=1.0), 0, 7, clock) == 0.7
    assert progress_of(Length(cpu_minutes=0.2), 0, 7, clock) == 1.0
    with clock.paused():
        now[0] = 1000.0
        assert clock.wall_s == 42.0 and clock.cpu_s == 12.0
    assert clock.wall_s == 42.0 and clock.cpu_s == 12.0
    clock.restart()
    assert clock.wall_s == 30.0


def test_a_log_without_infinities(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write("step", 1, losses={"loss": float("nan"), "image": 1.0})
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["losses"] == {"loss": None, "image": 1.0}


def test_a_run_killed_after_its_last_validation_does_not_log_it_twice(tmp_path):
    for _ in range(2):
        log = MetricsLog(tmp_path / "metrics.jsonl", from_step=7)
        log.write("validation", 7, mask_iou=0.5)
    MetricsLog(tmp_path / "metrics.jsonl", from_step=7).write("step", 8)
    assert [row["step"] for row in METRIC_EVENTS.read(tmp_path / "metrics.jsonl")] == [7, 8]


def test_runs_end_without_validation_photos(order):
    manifest = replace(order.manifest, data=replace(order.manifest.data, validation_share=0.0), length=Length(steps=2))
    outcome = train(replace(order, manifest=manifest))
    assert outcome.finished and outcome.figures == {} and outcome.best in ("last", "averaged")


@pytest.mark.slow
def test_kill_minus_nine_and_resume(whole, order, tmp_path, people):
    """A real process, really killed in the middle of the run."""
    script = (
        "import os, sys; from dataclasses import replace; from pathlib import Path\n"
        "from mmgen.training.manifest import read_manifest; from mmgen.training.loop import train\n"
        "from mmgen.work.callbacks import RunCallbacks; from mmgen.training.session import TrainOrder\n"
        "manifest, data, out, resume = sys.argv[1:]\n"
        "order = TrainOrder(read_manifest(Path(manifest)), Path(data), Path(out), resume=resume == 'yes')\n"
        "kill = lambda progress: os.kill(os.getpid(), 9) if resume == 'no' and progress == 5 / 8 else None\n"
        "train(order, RunCallbacks(finished=kill))\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "tiny.toml"), str(people), str(order.out)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run([*words, "no"], cwd=ROOT, env=environment, check=False)
    assert killed.returncode == -9 and RunFolder(order.out).state_path.is_file()
    resumed = subprocess.run([*words, "yes"], cwd=ROOT, env=environment, check=False)
    assert resumed.returncode == 0
    unbroken = tmp_path / "unbroken"
    alone = [sys.executable, "-c", script, str(tmp_path / "tiny.toml"), str(people), str(unbroken), "start"]
    assert subprocess.run(alone, cwd=ROOT, env=environment, check=False).returncode == 0
    assert curve(order.out) == curve(unbroken)
