"""`mmgen reconstruct` as it is typed, with a reconstructor that costs nothing."""

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bad_files import KINDS
from click.testing import CliRunner, Result
from fakes import FakeReconstructor, make_photos

from mmgen.cli import cli
from mmgen.masks import maskers
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.work.records import read_records


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ReconstructOptions]:
    """Puts the fake in the place of the real module; collects the options that reconstructors were made with."""
    options: list[ReconstructOptions] = []

    def build(method: ReconstructOptions) -> FakeReconstructor:
        options.append(method)
        return FakeReconstructor()

    monkeypatch.setattr("mmgen.reconstruction.options.build_reconstructor", build)
    monkeypatch.setattr("mmgen.bundled.PEOPLE_FILE", tmp_path / "people.safetensors")
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path / "in", ["a.png", "s/b.png"])
    return options


def call(*words: str) -> Result:
    return CliRunner().invoke(cli, ["reconstruct", *words, "--workers", "1", "--device", "cpu"])


def test_the_line_that_everyone_types(made: list[ReconstructOptions], tmp_path: Path) -> None:
    result = call("in/", "--out", "meshes/")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "meshes" / "s" / "b.glb").read_bytes()[:4] == b"glTF"
    assert [one.status for one in read_records(tmp_path / "meshes").values()] == ["ok", "ok"]
    assert result.stdout == ""
    assert "2 ok (0 were there already), 0 rejected, 0 failed" in result.stderr
    assert "mean MaskIoU 0.900" in result.stderr
    assert "masks: 2 in the photos' alpha channels\n" in result.stderr
    assert "meshes in meshes, record in meshes/manifest.jsonl\nnext: mmgen gallery meshes\n" in result.stderr
    assert "reconstruct: 2/2 (100%)" in result.stderr
    again = call("in", "-o", "meshes")
    assert again.exit_code == 0 and "2 ok (2 were there already)" in again.stderr


def test_options_reach_the_method(made: list[ReconstructOptions]) -> None:
    words = ("--refine", "3", "--texture-size", "128x64", "--height", "1.82", "--seed", "5", "--masks", "alpha")
    assert call("in", *words).exit_code == 0
    assert made[-1] == ReconstructOptions((128, 64), 1.82, "given", 3, 5, masks="alpha")
    assert call("in").exit_code == 0
    assert made[-1] == ReconstructOptions()


def test_which_method_is_taken(made: list[ReconstructOptions], tmp_path: Path) -> None:
    """Bundled weights are the default where there are any; a template or `--method fit` asks for the fit."""
    bundled, own = tmp_path / "people.safetensors", tmp_path / "own.safetensors"
    own.write_bytes(b"own")
    taken = []
    for words in ((), ("--weights", str(own)), ("--method", "fit"), ("--template", "ellipsoid")):
        assert call("in", *words).exit_code == 0
        taken.append(made[-1].weights)
    assert taken == [None, own, None, None] and made[-1].template == "ellipsoid"
    assert "this build of mmgen has no bundled weights" in call("in", "--method", "network").stderr
    bundled.touch()
    for words in ((), ("--weights", str(own)), ("--method", "fit"), ("--template", "ellipsoid")):
        assert call("in", *words).exit_code == 0
        taken.append(made[-1].weights)
    assert taken[4:] == [bundled, own, None, None]


@pytest.mark.parametrize(
    "words",
    [
        ("--weights", "w", "--method", "fit"),
        ("--template", "person", "--method", "network"),
        ("--weights", "w", "--template", "person"),
    ],
)
def test_methods_that_exclude_each_other(made: list[ReconstructOptions], words: tuple[str, ...]) -> None:
    result = call("in", *words)
    assert result.exit_code == 2 and ("exclude each other" in result.stderr or "bring their own" in result.stderr)


def test_the_help_tells_the_methods_own_defaults() -> None:
    from mmgen.cli import reconstruct
    from mmgen.reconstruction.options import DEFAULT_REFINE_STEPS

    method = ReconstructOptions()
    assert reconstruct.DEFAULT_REFINE_STEPS == DEFAULT_REFINE_STEPS
    assert (reconstruct.DEFAULT_HEIGHT_M, method.height_source) == (method.height_m, "assumed")


def test_bad_photos_cost_a_line_each_and_exit_3(made: list[ReconstructOptions], tmp_path: Path) -> None:
    names = ["empty.jpg", "text.jpg", "phone.jpg", "tiny.png"]
    for name in names:
        (tmp_path / "in" / name).write_bytes(KINDS[name][1]())
    result = call("in", "--json")
    assert result.exit_code == 3
    data = json.loads(result.stdout)
    assert data["schema"] == "mmgen.reconstruct/1"
    counts = ("ok", "failed", "rejected", "skipped", "untouched", "exit_code")
    assert [data[name] for name in counts] == [2, 4, 0, 0, 0, 3]
    assert len(data["errors"]) == 4 and all(error["count"] == 1 and error["hint"] for error in data["errors"])
    assert data["interrupted"] is False and data["fatal"] is None
    lines = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    assert [line.split(":")[1].strip() for line in lines] == sorted(names)
    assert lines[0] == "failed: empty.jpg: image in/empty.jpg has no bytes (image_empty). Copy or download it again."


def test_weak_assets_are_set_aside(made: list[ReconstructOptions], tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["weak.png"])
    result = call("in", "--min-iou", "0.6")
    assert result.exit_code == 3
    assert "rejected: weak.png: MaskIoU 0.250 of weak.png is below 0.6 (weak_silhouette)." in result.stderr
    assert (tmp_path / "meshes" / "rejected" / "weak.glb").exists()


def test_a_dry_run_tells_and_writes_nothing(made: list[ReconstructOptions], tmp_path: Path) -> None:
    (tmp_path / "in" / "empty.jpg").touch()
    result = call("in", "--dry-run", "--json")
    assert result.exit_code == 3
    data = json.loads(result.stdout)
    assert data["todo"] == ["a.png", "empty.jpg", "s/b.png"]
    assert [(row["input"], row["error"]) for row in data["problems"]] == [("empty.jpg", "image_empty")]
    assert data["forecast"]["sampled"] == 2 and data["forecast"]["disk_bytes"] > 0
    assert os.listdir(tmp_path) == ["in"]
    assert "will fail: empty.jpg" in result.stderr and "nothing was written" in result.stderr
    (tmp_path / "in" / "empty.jpg").unlink()
    call("in")
    done = call("in", "--dry-run")
    assert done.exit_code == 0 and "to do 0, done already 2" in done.stderr and done.stdout == ""


def test_a_dry_run_tells_what_happens_to_each_kind_of_file(made: list[ReconstructOptions], tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["c.JPG", "c_mask.png", "masks/x.png"])
    for name in ("notes.TXT", "d.heic", "e.mp4", "README", ".hidden.png", "meshes/old.glb"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    result = call("in", "--out", "in/meshes", "--dry-run", "--json")
    assert result.exit_code == 3 and "will fail: d.heic" in result.stderr
    kinds = {(row["suffix"], row["use"]): row["count"] for row in json.loads(result.stdout)["files"]}
    photos = {(".png", "photo"): 2, (".jpg", "photo"): 1, (".heic", "photo"): 1, (".png", "mask"): 2}
    assert kinds == photos | {(".txt", "not read"): 1, (".mp4", "not read"): 1, ("", "not read"): 1}
    assert "1 .mp4: not read; no photo format" in result.stderr and "2 .png: photos to work on" in result.stderr


def test_a_masker_that_is_not_installed_stops_the_run_at_once(
    made: list[ReconstructOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maskers._loaded.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = call("in", "--masks", "rembg")
    maskers._loaded.cache_clear()
    assert result.exit_code == 4 and not (tmp_path / "meshes").exists()
    assert result.stderr == 'error: rembg is not installed\nhint: pip install "mmgen[rembg]"\n'


def test_where_every_photo_failed_nothing_could_be_done(made: list[ReconstructOptions], tmp_path: Path) -> None:
    make_photos(tmp_path / "bad", ["refused.png", "refused too.png"])
    result = call("bad", "--json")
    assert result.exit_code == 4 and json.loads(result.stdout)["exit_code"] == 4


def test_parts_and_limits(made: list[ReconstructOptions], tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["c.png", "d.png"])
    assert call("in", "--limit", "3", "--shard", "0/2").exit_code == 0
    assert sorted(read_records(tmp_path / "meshes")) == ["a.png", "d.png"]
    assert call("in", "--limit", "3", "--shard", "1/2").exit_code == 0
    assert sorted(read_records(tmp_path / "meshes")) == ["a.png", "c.png", "d.png"]
    assert (tmp_path / "meshes" / "manifest-1-of-2.jsonl").exists()


def test_retry_failed_and_overwrite(made: list[ReconstructOptions], tmp_path: Path) -> None:
    (tmp_path / "in" / "late.png").touch()
    assert call("in").exit_code == 3
    make_photos(tmp_path / "in", ["late.png", "new.png"])
    retried = call("in", "--retry-failed")
    assert retried.exit_code == 0 and "1 ok (0 were there already)" in retried.stderr
    inode = (tmp_path / "meshes" / "a.glb").stat().st_ino
    assert call("in", "--overwrite").exit_code == 0
    assert (tmp_path / "meshes" / "a.glb").stat().st_ino != inode
    both = call("in", "--overwrite", "--retry-failed")
    assert both.exit_code == 2 and "exclude each other" in both.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nowhere",), 2, "error: nowhere does not exist\nhint: Check the path.\n"),
        (("in", "--out", "in"), 2, "error: --out in is the input folder"),
        (("in", "other"), 2, "would both be written to s/b.glb"),
        (("in", "--shard", "2/2"), 2, "is not i/n with 0 <= i < n"),
        (("in", "--masks", "rebmg"), 2, "'rebmg' is no folder, no file and no masker"),
        (("in", "--height", "17"), 2, "is not in the range"),
        (("empty",), 4, "error: no photos in empty"),
        (("in", "--by-identity", "--method", "fit"), 2, "--by-identity needs networks"),
        ((), 2, "Missing argument 'SOURCES...'"),
    ],
)
def test_bad_command_lines(
    made: list[ReconstructOptions], tmp_path: Path, words: Sequence[str], code: int, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    make_photos(tmp_path / "other", ["a.jpg", "s/b.png"])
    result = call(*words)
    assert result.exit_code == code
    assert message in result.stderr
    assert not (tmp_path / "meshes").exists()


def test_an_absent_gpu_is_exit_4(made: list[ReconstructOptions]) -> None:
    result = CliRunner().invoke(cli, ["reconstruct", "in", "--device", "cuda:99"])
    assert result.exit_code == 4
    assert "error: device cuda:99 is not there" in result.stderr and "--device cpu" in result.stderr


def test_low_confidence_is_told(
    made: list[ReconstructOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(tmp_path / "in", ["good.png", "weak.png"])
    guessed = {"good": 0.62, "weak": 0.9}
    plain = FakeReconstructor._one

    def one(self: FakeReconstructor, item: Any, *rest: Any) -> Any:
        return replace(plain(self, item, *rest), mask_quality=guessed.get(item.path.stem))

    monkeypatch.setattr(FakeReconstructor, "_one", one)
    told = call("in").stderr
    assert "low confidence: good.glb: its guessed outline has low confidence, quality 0.62" in told
    assert "low confidence: weak.glb: the body does not fit its guessed outline, MaskIoU 0.25" in told
    assert "2 new meshes have low confidence" in told


def test_an_interrupt_keeps_what_is_finished(
    made: list[ReconstructOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_photos(tmp_path / "in", [f"{index:02}.png" for index in range(20)])
    calls = []

    def interrupting(self: FakeReconstructor, batch: list[Any]) -> Any:
        calls.append(len(batch))
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return [self._one(*prepared) for prepared in batch]

    monkeypatch.setattr(FakeReconstructor, "reconstruct", interrupting)
    result = call("in", "--json")
    assert result.exit_code == 130
    data = json.loads(result.stdout)
    assert (data["ok"], data["untouched"], data["interrupted"]) == (16, 6, True)
    assert "6 not begun; the same command goes on from here" in result.stderr
    assert len(read_records(tmp_path / "meshes")) == 16
    monkeypatch.undo()


def test_odd_names_are_printable_everywhere(made: list[ReconstructOptions], tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["x\udcff.png", "y\nz.png"])
    (tmp_path / "in" / "broken\udcfe.png").touch()
    result = call("in", "--json")
    assert result.exit_code == 3 and json.loads(result.stdout)["ok"] == 4
    assert "failed: broken\\xfe.png: image in/broken\\xfe.png has no bytes" in result.stderr
    assert (tmp_path / "meshes" / "x%FF.glb").exists() and (tmp_path / "meshes" / "y%0Az.glb").exists()
    (tmp_path / "meshes" / "manifest.jsonl").read_text("utf-8")
