"""A run replaces, moves and removes only what mmgen wrote, whatever the run record says."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_runs import make_job, tree
from batch_runs import run as run_photos
from fakes import make_photos

from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.batch import BatchConfig, Summary, run_batch
from mmgen.reconstruction.planning import Redo
from mmgen.reconstruction.standing import may_be_of
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import Record, read_records

MINE = b"glTF mine, from another program"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    make_photos(tmp_path / "in", ["a.png", "weak.png"])
    run_photos(tmp_path / "in", make_job(tmp_path / "out"))
    return tmp_path / "out"


def run(out: Path, min_iou: float = 0.0, refine: int = 0, redo: Redo = "changed") -> tuple[Summary, list[str]]:
    said: list[str] = []
    job = make_job(out, {"refine": refine} if refine else {}, min_iou)
    items = list_inputs([out.parent / "in"], out)
    return run_batch(BatchConfig(items, job, redo=redo), RunCallbacks(note=said.append)), said


def edit(out: Path, name: str, change: Callable[[dict[str, object]], object]) -> None:
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    for row in rows:
        if row["input"] == name:
            change(row)
    (out / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("place", ["a.glb", "rejected/a.glb"])
def test_a_mesh_of_another_program_is_not_replaced_unless_asked(out: Path, place: str) -> None:
    (out / place).parent.mkdir(exist_ok=True)
    (out / place).write_bytes(MINE)
    summary, _ = run(out, min_iou=0.95 if "/" in place else 0.0, refine=1)
    assert (out / place).read_bytes() == MINE
    assert (summary.failed, summary.errors[0].error, summary.exit_code) == (1, "output_exists", 3)
    run(out, min_iou=0.95 if "/" in place else 0.0, refine=1, redo="all")
    assert (out / place).read_bytes() != MINE


@pytest.mark.parametrize("size", [0, 700])
def test_a_damaged_mesh_of_ours_is_made_again(out: Path, size: int) -> None:
    wanted = tree(out)
    (out / "a.glb").write_bytes((out / "a.glb").read_bytes()[:size])
    assert run(out)[0].exit_code == 0 and tree(out) == wanted


def test_a_move_replaces_nothing_of_the_users(out: Path) -> None:
    (out / "rejected").mkdir()
    (out / "rejected" / "weak.glb").write_bytes(MINE)
    before = tree(out)
    _, said = run(out, min_iou=0.5)
    assert tree(out) == before and read_records(out)["weak.png"].output == "weak.glb"
    assert "weak.glb stays where it is: another file has the place rejected/weak.glb" in said


@pytest.mark.parametrize("name", ["mine.glb", "mine.png", "rejected/mine.glb"])
def test_a_record_that_names_a_file_of_the_users_does_not_remove_it(out: Path, name: str) -> None:
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_bytes(MINE)
    sha256 = tree(out)[name]
    edit(out, "a.png", lambda row: row.update(output=name, output_sha256=sha256))
    _, said = run(out)
    assert (out / name).read_bytes() == MINE and (out / "a.glb").is_file()
    assert any(text.startswith(f"{name} stays: ") for text in said)
    assert read_records(out)["a.png"].output == "a.glb"


@pytest.mark.parametrize("min_iou", [0.0, 0.5])
def test_two_records_of_one_mesh_lose_none(out: Path, min_iou: float) -> None:
    """Moved for the one, it would be gone for the other."""
    wanted = tree(out)
    sha256 = wanted["a.glb"]
    edit(out, "weak.png", lambda row: row.update(output="a.glb", output_sha256=sha256))
    summary, _ = run(out, min_iou)
    assert summary.failed == 0 and summary.ending.fatal is None
    assert sorted(tree(out)) == (["a.glb", "weak.glb"] if min_iou == 0 else ["a.glb", "rejected/weak.glb", "weak.glb"])
    assert tree(out)["a.glb"] == sha256


def test_what_somebody_worked_on_in_stays_when_the_asset_moves(out: Path) -> None:
    (out / "weak.glb").write_bytes(MINE)
    _, said = run(out, min_iou=0.5)
    assert (out / "weak.glb").read_bytes() == MINE and (out / "rejected" / "weak.glb").is_file()
    assert any(text.startswith("weak.glb stays: ") for text in said)


def test_a_renamed_photo_has_one_record(out: Path) -> None:
    os.rename(out.parent / "in" / "a.png", out.parent / "in" / "a.webp")
    _, said = run(out)
    assert sorted(read_records(out)) == ["a.webp", "weak.png"] and sorted(tree(out)) == ["a.glb", "weak.glb"]
    assert not [text for text in said if "older results stay" in text]
    os.rename(out.parent / "in" / "a.webp", out.parent / "in" / "b.webp")
    _, said = run(out)
    assert [text for text in said if "1 older results stay whose photos are gone or renamed, such as a.glb" in text]
    assert sorted(read_records(out)) == ["a.webp", "b.webp", "weak.png"]


@pytest.mark.parametrize(
    ("name", "output", "may_be"),
    [
        ("s/a.png", "s/a.glb", True),
        ("s/a.png", "rejected/s/a.glb", True),
        ("s/a.png", "s/a-person12.glb", True),
        ("s/a.png", "s/a.png.glb", True),
        ("a-person2.png", "a-person2.glb", True),
        ("a\\n.png", "a%0A.glb", True),
        ("j.doe", "j.doe.glb", True),
        ("a.png", "a.png.png", True),
        ("s/a.png", "a.glb", False),
        ("a.png", "b.glb", False),
        ("a.png", "a/a.glb", False),
        ("a.png", "ab.glb", False),
        ("a.png", "rejected/rejected/a.glb", False),
    ],
)
def test_a_result_is_called_like_its_input(name: str, output: str, may_be: bool) -> None:
    assert may_be_of(Record(name, "ok"), output) is may_be
