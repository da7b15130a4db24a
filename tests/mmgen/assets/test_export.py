"""`mmgen export`: mirrored trees, what is skipped, what is refused, what one bad file costs."""

import json
import os
from pathlib import Path

import pytest
from asset_samples import body_asset
from click.testing import CliRunner, Result

from mmgen.assets.glb import glb_bytes, read_glb
from mmgen.cli import cli
from mmgen.work.locks import STATE_FOLDER, run_lock
from mmgen.work.records import Shard

RECORD = "export.jsonl"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["export", *map(str, words)])


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != STATE_FOLDER]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def meshes(tmp_path, monkeypatch) -> Path:
    """`meshes/` with a mesh, one in a sub-folder, a rejected one, and leftovers that are none."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "meshes"
    for name in ("a", "sub/b.c", "rejected/weak"):
        path = folder / f"{name}.glb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(glb_bytes(body_asset(path.stem, level=1)))
    (folder / ".hidden.glb").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.glb").write_bytes(b"x")
    (folder / "manifest.jsonl").write_text("")
    return folder


def test_the_line_that_must_work_mirrors_the_tree(meshes):
    result = run("--format", "glb")
    assert result.exit_code == 0, result.output
    assert sorted(contents(Path("exports"))) == ["a.glb", RECORD, "sub/b.c.glb"]
    assert result.stdout == "2 exported, 0 up to date, 0 failed -> exports\n"
    assert Path("exports/a.glb").read_bytes() == (meshes / "a.glb").read_bytes()


def test_a_second_run_does_nothing_and_leaves_the_same_bytes(meshes):
    words = [word for kind in ("glb", "gltf", "obj", "ply", "stl") for word in ("--format", kind)]
    assert run(*words).exit_code == 0
    before = contents(Path("exports"))
    times = {path: path.stat().st_mtime_ns for path in Path("exports").rglob("*.*") if path.name != RECORD}
    second = run(*words)
    assert second.stdout == "0 exported, 10 up to date, 0 failed -> exports\n"
    assert contents(Path("exports")) == before
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())


def test_parts_give_one_run_s_bytes_and_a_whole_run_puts_their_records_together(meshes):
    words = ("--format", "obj", "--format", "glb")
    assert run(*words, "--out", "one").exit_code == 0
    for part in ("1/2", "0/2"):
        with run_lock(Path("parts"), Shard(int(part[0]) ^ 1, 2)):  # the other one is at work
            assert run(*words, "--out", "parts", "--shard", part).exit_code == 0
            assert run(*words, "--out", "parts").exit_code == 4
    names = {"export-0-of-2.jsonl", "export-1-of-2.jsonl"}
    written = contents(Path("parts"))
    lines = [line for name in sorted(names) for line in written.pop(name).decode().splitlines()]
    whole = contents(Path("one"))
    assert sorted(lines) == sorted(whole.pop(RECORD).decode().splitlines()) and len(lines) == 4
    assert written == whole
    # A part knows what others did, and what it did itself before; the newest record of a file counts.
    assert run("--format", "glb", "--height", "1.5", "--out", "parts", "--shard", "0/3").stdout.startswith("1 exported")
    assert CliRunner().invoke(cli, ["verify", "parts"]).exit_code == 0
    assert run(*words, "--out", "parts").stdout.startswith("1 exported, 3 up to date")
    assert contents(Path("parts")) == contents(Path("one"))


@pytest.mark.parametrize("change", ["source", "options", "output", "missing output", "overwrite"])
def test_what_is_out_of_date_is_done_again(meshes, change):
    assert run("--format", "obj").exit_code == 0
    fresh = contents(Path("exports"))
    words: list[str] = []
    if change == "source":
        (meshes / "a.glb").write_bytes(glb_bytes(body_asset("other", level=1)))
    elif change == "options":
        words = ["--height", "1.5"]
    elif change == "output":
        Path("exports/a.obj").write_bytes(Path("exports/a.obj").read_bytes()[:50])
    elif change == "missing output":
        Path("exports/a.png").unlink()
    else:
        words = ["--overwrite"]
    result = run("--format", "obj", *words)
    assert result.exit_code == 0, result.output
    both = change in ("options", "overwrite")
    assert result.stdout.startswith("2 exported, 0 up" if both else "1 exported, 1 up")
    if change not in ("options", "source"):
        assert contents(Path("exports")) == fresh
    if change == "source":
        assert "\no other\n" in Path("exports/a.obj").read_text()


def test_options_reach_the_asset(meshes):
    result = run(meshes / "a.glb", "--height", "1.9", "--texture-size", "32", "--texture-codec", "jpeg", "--out", "o")
    assert result.exit_code == 0, result.output
    asset = read_glb(Path("o/a.glb"))
    assert asset.height_m == pytest.approx(1.9)
    assert asset.texture.shape == (32, 16, 3)
    assert asset.provenance["height_source"] == "given"
    assert b"image/jpeg" in Path("o/a.glb").read_bytes()


def test_rejected_meshes_are_exported_when_named(meshes):
    assert run(meshes / "rejected", "--out", "o").exit_code == 0
    assert sorted(contents(Path("o"))) == [RECORD, "weak.glb"]


def test_a_folder_named_rejected_further_down_is_an_ordinary_one(meshes):
    deep = meshes / "sub" / "rejected" / "c.glb"
    deep.parent.mkdir()
    deep.write_bytes((meshes / "a.glb").read_bytes())
    assert run().exit_code == 0
    assert "sub/rejected/c.glb" in contents(Path("exports"))


def test_one_bad_mesh_costs_only_itself(meshes):
    (meshes / "cut.glb").write_bytes((meshes / "a.glb").read_bytes()[:200])
    result = run("--format", "glb", "--format", "stl", "--json")
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert (report["done"], report["skipped"], report["failed"]) == (4, 0, 2)
    [first, _] = [item for item in report["items"] if item["status"] == "failed"]
    assert (first["source"], first["error"]) == ("cut.glb", "glb_malformed")
    assert result.stderr.count("cut.glb: this is no sound GLB") == 1
    assert set(contents(Path("exports"))) == {"a.glb", "a.stl", "sub/b.c.glb", "sub/b.c.stl", RECORD}
    assert run("--format", "glb").exit_code == 3


def test_nothing_but_bad_meshes_is_exit_code_4(meshes):
    (meshes / "cut.glb").write_bytes(b"glTF")
    assert run(meshes / "cut.glb").exit_code == 4


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["nowhere"], "there is no nowhere\nhint: Make meshes first: mmgen reconstruct photos/ --out nowhere\n"),
        (["empty"], "no .glb files in empty\nhint: Make meshes first: mmgen reconstruct photos/ --out empty\n"),
    ],
)
def test_without_meshes_the_way_to_get_some_is_named(meshes, words, text):
    Path("empty").mkdir()
    result = run(*words)
    assert result.exit_code == 4
    assert text in result.stderr
    assert not Path("exports").exists()


def test_names_that_some_file_system_takes_for_one_are_refused_before_work(meshes):
    (meshes / "A.glb").write_bytes((meshes / "a.glb").read_bytes())
    result = run()
    assert result.exit_code == 4
    assert "meshes/a.glb and meshes/A.glb would both write a.glb" in result.stderr
    assert "Rename one of the two" in result.stderr
    assert not Path("exports").exists()


def test_meshes_are_never_overwritten(meshes):
    before = contents(meshes)
    result = run("--out", meshes, "--overwrite")
    assert result.exit_code == 4
    assert "would overwrite the mesh" in result.stderr
    assert contents(meshes) == before


def test_files_of_the_user_are_kept_unless_told_otherwise(meshes):
    Path("exports").mkdir()
    Path("exports/a.mtl").write_text("mine")
    result = run("--format", "obj")
    assert result.exit_code == 3
    assert "exports/a.mtl exists and is not recorded in export.jsonl" in result.stderr
    assert Path("exports/a.mtl").read_text() == "mine"
    assert not Path("exports/a.obj").exists()
    assert run("--format", "obj", "--overwrite").exit_code == 0
    assert Path("exports/a.mtl").read_text() != "mine"


@pytest.mark.parametrize("claimed", ["before the change", "by a record from elsewhere"])
def test_an_export_that_somebody_worked_on_in_is_kept(meshes, claimed):
    assert run("--format", "obj").exit_code == 0
    if claimed != "before the change":
        record = Path("exports", RECORD)
        record.write_text(record.read_text().replace('"sub/b.c.mtl"', '"a.png"'))
    Path("exports/a.obj").write_text("worked on in another program")
    result = run("--format", "obj", "--height", "1.5")
    assert result.exit_code == 3
    assert "exports/a.obj exists and was changed since export.jsonl was written" in result.stderr
    assert Path("exports/a.obj").read_text() == "worked on in another program"


def test_a_pipe_in_the_place_of_an_export_is_not_waited_for(meshes):
    Path("exports").mkdir()
    os.mkfifo("exports/a.obj")
    result = run("--format", "obj")
    assert result.exit_code == 3 and "exports/a.obj exists and is not recorded" in result.stderr


def test_a_lost_or_cut_record_costs_nothing(meshes):
    assert run().exit_code == 0
    before = contents(Path("exports"))
    Path("exports", RECORD).write_bytes(before[RECORD][:-20])
    assert run().stdout.startswith("1 exported, 1 up")
    Path("exports", RECORD).unlink()
    assert run().stdout.startswith("2 exported, 0 up")
    assert contents(Path("exports")) == before


def test_an_interrupted_run_keeps_what_it_did(meshes, monkeypatch):
    import mmgen.assets.exporting as exporting

    real = exporting.export_glb

    def interrupted(data, stem, *rest):
        if stem == "b.c":
            raise KeyboardInterrupt
        return real(data, stem, *rest)

    monkeypatch.setattr(exporting, "export_glb", interrupted)
    run()
    monkeypatch.undo()
    monkeypatch.chdir(meshes.parent)
    assert len(Path("exports", RECORD).read_text().splitlines()) == 1
    assert run().stdout.startswith("1 exported, 1 up")


def test_dry_run_writes_nothing_and_names_every_file(meshes):
    result = run("--format", "obj", "--dry-run", "--json")
    assert result.exit_code == 0
    plan = json.loads(result.stdout)
    assert plan["items"][0] == {"source": "a.glb", "format": "obj", "outputs": ["a.obj", "a.mtl", "a.png"]}
    assert len(plan["items"]) == 2
    assert "exports/a.obj" in run("--format", "obj", "--dry-run").stdout
    assert not Path("exports").exists()


def test_limit_takes_the_first_in_sorted_order(meshes):
    assert run("--limit", "1").exit_code == 0
    assert sorted(contents(Path("exports"))) == ["a.glb", RECORD]


@pytest.mark.parametrize(
    "words",
    [
        ["--up", "z"],
        ["--format", "fbx"],
        ["--texture-size", "100"],
        ["--texture-size", "x"],
        ["--height", "0"],
        ["--limit", "0"],
    ],
)
def test_wrong_usage_is_exit_code_2(meshes, words):
    assert run(*words).exit_code == 2


def test_odd_file_names_are_exported(meshes):
    import os

    odd = os.fsencode(meshes) + b"/b\xffd \xc3\xa4.glb"
    Path(os.fsdecode(odd)).write_bytes((meshes / "a.glb").read_bytes())
    result = run("--format", "obj", "--json")
    assert result.exit_code == 0, result.output
    assert os.path.exists(b"exports/b\xffd \xc3\xa4.obj")
    assert run("--format", "obj").stdout.startswith("0 exported, 3 up")


def test_levels_of_detail_stand_beside_each_other_and_are_skipped_when_up_to_date(meshes):
    (meshes / "a.glb").write_bytes(glb_bytes(body_asset("a", level=2)))
    words = (meshes / "a.glb", "--out", "o", "--lod", "1", "--format", "glb", "--format", "stl")
    assert run(*words).exit_code == 0
    assert sorted(contents(Path("o"))) == ["a_lod0.glb", "a_lod0.stl", "a_lod1.glb", "a_lod1.stl", RECORD]
    assert Path("o/a_lod0.glb").read_bytes() == (meshes / "a.glb").read_bytes()
    assert len(read_glb(Path("o/a_lod1.glb")).faces) == 80
    assert run(*words).stdout.startswith("0 exported, 4 up")


@pytest.mark.parametrize("kind", ["obj", "usdz"])
def test_webp_for_formats_whose_readers_do_not_know_it_is_wrong_usage(meshes, kind):
    result = run("--format", kind, "--format", "glb", "--texture-codec", "webp")
    assert result.exit_code == 2 and f"webp is not for {kind}" in result.stderr


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_a_texture_that_nothing_is_asked_of_is_not_encoded_again(meshes, codec):
    """Every new encoding would lose a little more."""
    (meshes / "a.glb").write_bytes(glb_bytes(body_asset("a", level=1), codec))
    assert run(meshes / "a.glb", "--out", "o").exit_code == 0
    assert Path("o/a.glb").read_bytes() == (meshes / "a.glb").read_bytes()
    assert run(meshes / "a.glb", "--out", "o", "--format", "obj").exit_code == 0
    assert Path("o/a.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_processes_write_the_same_bytes_as_one(meshes):
    assert run("--out", "one", "--workers", "1").exit_code == 0
    result = run("--out", "two", "--workers", "2")
    assert result.exit_code == 0 and "files a second" in result.stderr
    assert contents(Path("one")) == contents(Path("two"))
