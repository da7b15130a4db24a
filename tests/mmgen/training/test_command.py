import json
import os
import signal

import pytest
from training_data import write_manifest, write_people

from mmgen.cli.main import main
from mmgen.training.folder import METRIC_EVENTS


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture
def words(people, tmp_path):
    return ["train", str(write_manifest(tmp_path)), "--data", str(people), "--out", str(tmp_path / "run")]


def test_train_then_resume(words, tmp_path, capsys):
    assert main([*words, "--limit-steps", "2", "--json", "--device", "cpu", "--set", "averaging.kind=off"]) == 0
    heard = capsys.readouterr()
    result = json.loads(heard.out)
    assert (result["schema"], result["finished"], result["steps"]) == ("mmgen.train/1", False, 2)
    assert "--resume goes on from here" in heard.err
    assert main([*words, "--resume", "--json", "--set", "averaging.kind=off"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["finished"] and result["steps"] == 8 and result["progress"] == 1.0
    assert (tmp_path / "run/checkpoints/best.safetensors").samefile(result["weights"])
    assert {"mask_iou", "ssim", "azimuth_spread_deg"} <= set(result["validation"])


def test_settings_reach_the_run(words, tmp_path):
    assert main([*words, "--limit-steps", "1", "--seed", "7", "--set", "loss.image=2.5"]) == 0
    config = (tmp_path / "run/config.toml").read_text()
    assert "seed = 7" in config and "\nimage = 2.5\n" in config


def test_a_dry_run_writes_nothing(words, tmp_path, people, capsys):
    before = sorted(people.rglob("*"))
    assert main([*words, "--dry-run", "--json"]) == 0
    heard = capsys.readouterr()
    plan = json.loads(heard.out)
    assert (plan["training_photos"], plan["validation_photos"], plan["length"]) == (8, 4, {"steps": 8})
    assert "nothing was written" in heard.err
    assert not (tmp_path / "run").exists() and sorted(people.rglob("*")) == before


def test_minutes_replace_the_length(words, capsys):
    assert main([*words, "--dry-run", "--json", "--minutes", "2.5"]) == 0
    assert json.loads(capsys.readouterr().out)["length"] == {"minutes": 2.5}


def test_a_signal_gives_130(words, tmp_path, monkeypatch):
    from mmgen.training import loop

    taken = []

    def step_and_stop(*arguments):
        taken.append(1)
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    real = loop.training_step
    monkeypatch.setattr(loop, "training_step", step_and_stop)
    assert main(words) == 130
    assert len(taken) == 1 and (tmp_path / "run/checkpoints/state.pt").is_file()
    assert [row["step"] for row in METRIC_EVENTS.read(tmp_path / "run/metrics.jsonl")] == [1]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (["--set", "loss.imag=1"], 4, "did you mean image?"),
        (["--set", "nonsense"], 4, "is not section.key=value"),
        (["--resume"], 4, "holds no training run"),
        (["--limit-steps", "0"], 2, "limit-steps"),
        (["--minutes", "0"], 2, "minutes"),
    ],
)
def test_mistakes(words, change, code, message, capsys):
    assert main([*words, *change]) == code
    assert message in capsys.readouterr().err


def test_a_data_set_is_needed(words, capsys):
    words = [word for word in words if word != "--data" and "people" not in word]
    assert main(words) == 2
    assert "--data" in capsys.readouterr().err


def test_idle_threads_sleep_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert main(["--version"]) == 0 and os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.delenv("OMP_WAIT_POLICY")
    assert main(["--version"]) == 0 and os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
