"""Whole runs with a reconstructor that costs nothing: bad folders, kills, parts, resuming."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bad_files import make_bad_files
from batch_runs import make_job, run, tree
from fakes import FakeReconstructor, FakeResult, Prepared, make_photos
from PIL import Image

import mmgen.samples
from mmgen.core.errors import FatalError, ItemError
from mmgen.masks.finding import find_people
from mmgen.masks.structures import MaskSource
from mmgen.photos.images import Photo
from mmgen.photos.inputs import InputItem, UsageError, list_inputs
from mmgen.reconstruction.batch import BatchConfig, run_batch
from mmgen.reconstruction.planning import measure, precheck
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import Record, Shard, read_manifest, read_records

SUPPORT = Path(__file__).parents[3] / "tests" / "support"
SAMPLES = Path(mmgen.samples.__file__).parent
TREE = ["a.png", "b.png", "s/a.png", "s/c.png", "s/t/d.png"]


def facts(out: Path) -> dict[str, tuple[object, ...]]:
    """Every record without times."""
    return {
        name: (one.status, one.error, one.output, one.key, one.output_sha256) for name, one in read_records(out).items()
    }


def inodes(out: Path) -> dict[str, tuple[int, int]]:
    return {name: ((out / name).stat().st_ino, (out / name).stat().st_mtime_ns) for name in tree(out)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_photos(tmp_path / "in", TREE)
    return tmp_path / "in"


def test_a_folder_of_bad_files_costs_one_line_each(photos: Path, tmp_path: Path) -> None:
    codes = make_bad_files(photos / "bad")
    codes = {f"bad/{index:02}/{name}": code for index, (name, code) in enumerate(sorted(codes.items()))}
    for place in codes:
        (photos / place).parent.mkdir()
        os.rename(photos / "bad" / Path(place).name, photos / place)
    summary, _ = run(photos, make_job(tmp_path / "out"), workers=2, chunk_items=8)
    assert (summary.ok, summary.failed, summary.exit_code) == (5, len(codes), 3)
    assert sorted(tree(tmp_path / "out")) == [f"{name[:-4]}.glb" for name in TREE]
    records = read_records(tmp_path / "out")
    assert {name: one.error for name, one in records.items() if one.status == "failed"} == codes
    assert all(one.message and "\n" not in one.message and one.hint for one in records.values() if one.error)
    assert len(codes) > 12


def test_every_kind_of_accident_is_a_record_of_its_own(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png", "boom.png", "oom.png", "refused.png", "weak.png"])
    summary, _ = run(tmp_path / "in", make_job(tmp_path / "out", min_iou=0.5), chunk_items=8)
    records = read_records(tmp_path / "out")
    assert {name: (one.status, one.error) for name, one in records.items()} == {
        "a.png": ("ok", None),
        "boom.png": ("failed", "internal"),
        "oom.png": ("failed", "oom"),
        "refused.png": ("failed", "mask_empty"),
        "weak.png": ("rejected", "weak_silhouette"),
    }
    assert "ValueError: no such thing" in (records["boom.png"].message or "")
    assert "no such thing" in (tmp_path / "out" / ".mmgen" / "errors.log").read_text()
    assert sorted(tree(tmp_path / "out")) == ["a.glb", "rejected/weak.glb"]
    assert (summary.ok, summary.rejected, summary.failed, summary.exit_code) == (1, 1, 3, 3)
    assert summary.mean_mask_iou == pytest.approx((0.9 + 0.25) / 2)


def test_a_photo_that_kills_its_process_fails_alone(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png", "b.png", "die.png", "e.png", "f.png", "once.png"])
    (tmp_path / "marks").mkdir()
    job = make_job(tmp_path / "out", fake=FakeReconstructor(marks=tmp_path / "marks"))
    summary, _ = run(tmp_path / "in", job, workers=2, chunk_items=3)
    assert (summary.ok, summary.failed) == (5, 1)
    assert read_records(tmp_path / "out")["die.png"].error == "worker_died"
    assert (tmp_path / "marks" / "once.png").exists()


def test_bytes_do_not_depend_on_workers_chunks_or_parts(photos: Path, tmp_path: Path) -> None:
    run(photos, make_job(tmp_path / "one"), workers=1, chunk_items=5)
    run(photos, make_job(tmp_path / "two"), workers=2, chunk_items=1)
    for index in range(2):
        run(photos, make_job(tmp_path / "parts"), shard=Shard(index, 2))
    for other in ("two", "parts"):
        assert tree(tmp_path / other) == tree(tmp_path / "one")
        assert facts(tmp_path / other) == facts(tmp_path / "one")
    assert sorted(os.listdir(tmp_path / "parts")) == [
        *(".mmgen", "a.glb", "b.glb", "manifest-0-of-2.jsonl", "manifest-1-of-2.jsonl", "s")
    ]


def test_a_second_run_touches_nothing(photos: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "out")
    run(photos, job)
    manifest = tmp_path / "out" / "manifest.jsonl"
    before, content, written = inodes(tmp_path / "out"), manifest.read_bytes(), manifest.stat().st_mtime_ns
    summary, seen = run(photos, job)
    assert seen == [] and (summary.ok, summary.skipped, summary.exit_code) == (5, 5, 0)
    assert inodes(tmp_path / "out") == before
    assert manifest.read_bytes() == content and manifest.stat().st_mtime_ns == written


def test_what_changed_is_done_again_and_nothing_else(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(photos, make_job(out))
    make_photos(photos, ["s/t/d.png"])  # other bytes: it is the first colour now
    (out / "a.glb").write_bytes((out / "a.glb").read_bytes()[:-1])
    (out / "b.glb").unlink()
    make_photos(photos / "s", ["a_mask.png"])
    _, seen = run(photos, make_job(out))
    assert [record.input for record in seen] == ["a.png", "b.png", "s/a.png", "s/t/d.png"]
    assert len((out / "manifest.jsonl").read_text().splitlines()) == 5


class MaskReader(FakeReconstructor):
    """The fake, with the mask that is really found for its photo."""

    def reconstruct(self, batch: list[Prepared]) -> Sequence[FakeResult | ItemError]:
        return [self._with_mask(item, photo) for item, photo, _ in batch]

    def _with_mask(self, item: InputItem, photo: Photo) -> FakeResult | ItemError:
        [found] = find_people(photo, MaskSource("auto"), item.relative)
        [made] = FakeReconstructor.reconstruct(self, [(item, photo, (1, 1))])
        assert not isinstance(made, ItemError)
        return replace(made, mask_source=found.source, mask_sha256=found.sha256, mask_quality=found.quality)


def test_a_given_mask_that_was_changed_or_removed_is_noticed(tmp_path: Path) -> None:
    photos, mask = tmp_path / "photos", tmp_path / "photos" / "basil_mask.png"
    job = replace(make_job(tmp_path / "out"), build=MaskReader)
    photos.mkdir()
    for name in ("basil.jpg", mask.name):
        shutil.copy(SAMPLES / name, photos)
    [first] = run(photos, job)[1]
    Image.open(mask).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mask)
    [changed] = run(photos, job)[1]
    mask.unlink()
    [removed] = run(photos, job)[1]
    assert [one.mask_source for one in (first, changed, removed)] == ["sibling", "sibling", "network"]
    assert len({one.mask_sha256 for one in (first, changed, removed)}) == 3
    assert first.mask_quality is None is not removed.mask_quality
    assert run(photos, job)[1] == [] and read_records(job.out)["basil.jpg"] == removed


@pytest.mark.parametrize("change", ["options", "weights"])
def test_other_options_and_weights_redo_everything(photos: Path, tmp_path: Path, change: str) -> None:
    run(photos, make_job(tmp_path / "out"))
    changed = {"options": {"options": {"refine": 5}}, "weights": {"weights_sha256": "ab"}}[change]
    assert len(run(photos, replace(make_job(tmp_path / "out"), **changed))[1]) == 5


def test_overwrite_redoes_all_and_retry_failed_only_failures(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png", "b.png", "boom.png"])
    job = make_job(tmp_path / "out")
    run(tmp_path / "in", job)
    assert len(run(tmp_path / "in", job, redo="all")[1]) == 3
    make_photos(tmp_path / "in", ["new.png"])
    assert [record.input for record in run(tmp_path / "in", job, redo="failed")[1]] == ["boom.png"]
    assert [record.input for record in run(tmp_path / "in", job)[1]] == ["boom.png", "new.png"]


def test_another_min_iou_moves_assets_without_making_them_again(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png", "weak.png"])
    out = tmp_path / "out"
    run(tmp_path / "in", make_job(out))
    inode = (out / "weak.glb").stat().st_ino
    summary, _ = run(tmp_path / "in", make_job(out, min_iou=0.5))
    assert sorted(tree(out)) == ["a.glb", "rejected/weak.glb"]
    assert (out / "rejected" / "weak.glb").stat().st_ino == inode
    assert (summary.rejected, summary.exit_code) == (1, 3)
    assert read_records(out)["weak.png"].message == "MaskIoU 0.250 of weak.png is below 0.5"
    run(tmp_path / "in", make_job(out))
    assert sorted(tree(out)) == ["a.glb", "weak.glb"]
    run(tmp_path / "in", make_job(out, {"refine": 1}, min_iou=0.5))
    assert sorted(tree(out)) == ["a.glb", "rejected/weak.glb"]


def test_an_equal_name_from_another_folder_is_refused(photos: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "out")
    run(photos, job)
    before = tree(tmp_path / "out")
    make_photos(tmp_path / "other", ["x.png", "a.png"])
    with pytest.raises(UsageError, match=r"other/a\.png would replace a\.glb, which was made from a\.png in .*/in"):
        run(tmp_path / "other", job)
    assert tree(tmp_path / "out") == before
    os.rename(photos, tmp_path / "moved")
    assert run(tmp_path / "moved", job)[1] == []


def test_a_full_disk_ends_the_run_and_a_rerun_goes_on(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png", "full.png", "z.png"])
    job = make_job(tmp_path / "out")
    summary, _ = run(tmp_path / "in", job, chunk_items=1)
    assert (summary.ok, summary.untouched, summary.exit_code) == (1, 2, 3)
    assert summary.ending.fatal is not None and summary.ending.fatal.code == "out_unwritable"
    os.rename(tmp_path / "in" / "full.png", tmp_path / "in" / "fine.png")
    assert [record.input for record in run(tmp_path / "in", job)[1]] == ["fine.png", "z.png"]


def test_no_room_for_the_very_first_file_is_exit_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_photos(tmp_path / "in", ["a.png"])

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mmgen.core.outputs.write_bytes_atomic", full)
    summary, _ = run(tmp_path / "in", make_job(tmp_path / "out"))
    assert summary.ending.fatal is not None and summary.exit_code == 4
    assert summary.ending.fatal.message.endswith("out/a.glb cannot be written: No space left on device")


def test_a_name_too_long_for_its_output_fails_alone(tmp_path: Path) -> None:
    odd = "x" * 230 + "\udcff" * 9  # each odd byte takes three in the output's name
    make_photos(tmp_path / "in", ["a.png", f"{odd}.png"])
    summary, _ = run(tmp_path / "in", make_job(tmp_path / "out"))
    assert (summary.ok, summary.failed) == (1, 1)
    assert summary.errors[0].error == "output_unwritable"


def test_temp_files_of_dead_runs_are_swept(photos: Path, tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / "out" / "s").mkdir(parents=True)
    (tmp_path / "out" / "s" / f".a.glb.tmp-{int(dead.stdout)}").write_bytes(b"half")
    run(photos, make_job(tmp_path / "out"))
    assert sorted(tree(tmp_path / "out")) == [f"{name[:-4]}.glb" for name in TREE]


KILLED_RUN = """
import sys
from functools import partial
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from fakes import FakeReconstructor
from batch_runs import make_job, run
if __name__ == "__main__":
    fake = FakeReconstructor(seconds=0.1)
    run(Path(sys.argv[1]), make_job(Path(sys.argv[2]), fake=fake), workers=2, chunk_items=2)
"""


def test_a_run_killed_halfway_goes_on_where_it_was(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    make_photos(source, [f"{index:02}.png" for index in range(24)])
    script = tmp_path / "killed.py"
    script.write_text(KILLED_RUN)
    child = subprocess.Popen([sys.executable, script, source, out, SUPPORT], cwd=SUPPORT.parents[1])
    manifest = out / "manifest.jsonl"
    while child.poll() is None and (not manifest.exists() or manifest.read_bytes().count(b"\n") < 6):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    finished = read_manifest(manifest)
    assert 6 <= len(finished) < 24
    before = {record.output: (out / str(record.output)).stat() for record in finished.values()}
    time.sleep(0.5)  # the orphans notice at their next result

    _, seen = run(source, make_job(out))
    assert not finished.keys() & {record.input for record in seen}
    for name, status in before.items():
        after = (out / str(name)).stat()
        assert (after.st_ino, after.st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    run(source, make_job(tmp_path / "calm"))
    assert tree(out) == tree(tmp_path / "calm")
    assert facts(out) == facts(tmp_path / "calm")


def test_two_runs_into_one_folder_do_not_mix(photos: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "out")
    items = list_inputs([photos], job.out)

    def again(record: Record) -> None:
        with pytest.raises(FatalError, match="another run is writing to"):
            run_batch(BatchConfig(items, job), RunCallbacks())

    summary = run_batch(BatchConfig(items, job), RunCallbacks(finished=again))
    assert summary.ok == 5


def test_what_shows_without_decoding(photos: Path, tmp_path: Path) -> None:
    make_bad_files(tmp_path / "bad")
    for name in ("empty.jpg", "text.jpg", "bomb.png", "broken_link.jpg", "pipe.jpg"):
        os.rename(tmp_path / "bad" / name, photos / name)
    job = make_job(tmp_path / "out")
    problems = precheck(list_inputs([photos], tmp_path / "out"), job)
    assert {one.input: one.error for one in problems} == {
        "bomb.png": "image_too_large",
        "broken_link.jpg": "image_missing",
        "empty.jpg": "image_empty",
        "pipe.jpg": "image_not_a_file",
        "text.jpg": "image_not_an_image",
    }


def test_the_forecast_scales_the_second_item_and_writes_nothing(photos: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path / "out", fake=FakeReconstructor(seconds=0.2))
    forecast = measure(list_inputs([photos], job.out), job, workers=2)
    assert forecast.sampled == 2
    assert 0.5 <= forecast.seconds < 1.5
    assert not (tmp_path / "out").exists()
    run(photos, job)
    written = sum((job.out / name).stat().st_size for name in tree(job.out))
    assert forecast.disk_bytes == pytest.approx(written, rel=0.02)
    assert forecast.memory_bytes > 2e7 and forecast.free_disk_bytes > 0
    assert measure([], job, workers=2).seconds == 0


def test_the_mesh_of_a_photo_that_was_renamed_is_told_of(photos: Path, tmp_path: Path) -> None:
    job, said = make_job(tmp_path / "out"), list[str]()
    run(photos, job)
    first = sorted(photos.rglob("*.png"))[0]
    first.rename(first.with_name("renamed.png"))
    run_batch(BatchConfig(list_inputs([photos], job.out), job), RunCallbacks(note=said.append))
    assert [line for line in said if line.startswith("1 older results stay whose photos are gone or renamed, such as")]
