"""`mmgen verify` and `mmgen inspect`: every planted fault is found, sound files pass, the Khronos validator agrees."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asset_samples import body_asset, grid_asset, join_glb, split_glb
from click.testing import CliRunner, Result

from mmgen.assets.formats import ExportOptions, export_files
from mmgen.assets.glb import glb_bytes
from mmgen.assets.khronos import find_validator, run_validator
from mmgen.assets.rules import check_glb
from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.work.records import Record

ASSET = body_asset(level=1, texture=np.full((16, 8, 3), 90, np.uint8))
SOUND = glb_bytes(ASSET)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)))


@pytest.fixture
def khronos() -> Path:
    folder = find_validator()
    if folder is None:
        pytest.skip("needs node and the npm package gltf-validator: npm install --prefix tests/node")
    return folder


@pytest.fixture
def no_khronos(monkeypatch) -> None:
    monkeypatch.setattr("mmgen.assets.verification.find_validator", lambda: None)


def rules_broken(data: bytes, severity: str = "error") -> set[str]:
    return {finding.rule for finding in check_glb(data, "a.glb") if finding.severity == severity}


def with_document(change) -> bytes:
    document, binary = split_glb(SOUND)
    change(document)
    return join_glb(document, binary)


def with_values(view: int, change) -> bytes:
    """SOUND with the numbers of one buffer view changed in place."""
    document, binary = split_glb(SOUND)
    start, length = document["bufferViews"][view]["byteOffset"], document["bufferViews"][view]["byteLength"]
    values = np.frombuffer(binary[start : start + length], "<u2" if view == 3 else "<f4").copy()
    change(values)
    return join_glb(document, binary[:start] + values.tobytes() + binary[start + length :])


def put(index, value):
    return lambda values: values.__setitem__(index, value)


def test_sound_files_have_no_findings():
    assert check_glb(SOUND, "a.glb") == []
    assert check_glb(glb_bytes(body_asset(level=3), "jpeg"), "a.glb") == []
    assert check_glb(glb_bytes(grid_asset(10)), "a.glb") == []


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("container", SOUND[:-4]),
        ("version", with_document(lambda d: d["asset"].update(version="1.0"))),
        ("buffer_length", with_document(lambda d: d["buffers"][0].update(byteLength=40))),
        ("alignment", with_document(lambda d: d["bufferViews"][3].update(byteOffset=1))),
        ("targets", with_document(lambda d: d["bufferViews"][0].pop("target"))),
        ("counts", with_document(lambda d: d["accessors"][1].update(count=5))),
        ("finite", with_values(2, put(3, np.nan))),
        ("bounds", with_document(lambda d: d["accessors"][0]["max"].__setitem__(1, 1.71))),
        ("bounds", with_document(lambda d: d["accessors"][0].pop("min"))),
        ("index_range", with_values(3, put(7, 60000))),
        ("unit_normals", with_values(1, lambda v: v.__imul__(np.float32(0.99)))),
        ("degenerate_triangles", with_values(3, lambda v: put(0, v[1])(v))),
        ("texture", with_document(lambda d: d["images"][0].update(bufferView=0))),
        ("sampler", with_document(lambda d: d["samplers"][0].update(wrapS=10497))),
        ("extensions", with_document(lambda d: d["materials"][0].pop("extensions"))),
        ("extensions", with_document(lambda d: d.update(extensionsRequired=["KHR_materials_unlit"]))),
        ("materials", with_document(lambda d: d["materials"][0]["pbrMetallicRoughness"].pop("metallicFactor"))),
        ("materials", with_document(lambda d: d["materials"][0].update(doubleSided=True))),
        ("materials", with_document(lambda d: d["materials"][0].update(alphaMode="BLEND"))),
        ("feet_on_ground", glb_bytes(replace(ASSET, vertices=ASSET.vertices + np.float32(0.01)))),
        ("provenance", with_document(lambda d: d["asset"].pop("extras"))),
        ("provenance", with_document(lambda d: d["asset"].update(extras=[1]))),
        ("reads_back", with_document(lambda d: d["meshes"][0]["primitives"][0].update(mode=1))),
    ],
)
def test_every_rule_finds_its_fault(rule, data):
    assert rule in rules_broken(data)


def test_faces_without_area_and_odd_textures_are_warnings():
    vertices = ASSET.vertices.copy()
    a, b, c = ASSET.faces[0]
    vertices[c] = (vertices[a] + vertices[b]) / 2
    data = glb_bytes(replace(ASSET, vertices=vertices, texture=np.zeros((10, 8, 3), np.uint8)))
    assert rules_broken(data) == set()
    assert rules_broken(data, "warning") == {"thin_triangles", "texture_size"}


@pytest.mark.parametrize(
    "options", [ExportOptions(), ExportOptions(64, "jpeg", 1.8, "lit"), ExportOptions(None, "webp", None, "both")]
)
def test_khronos_has_nothing_to_say_about_our_files(khronos, tmp_path, options):
    ball = body_asset("wälker №1", level=3)
    assets = [
        replace(ball, seen=np.linspace(0, 1, len(ball.vertices), dtype=np.float32)),
        grid_asset(65536),
        body_asset("tiny", level=0),
    ]
    paths = []
    for number, asset in enumerate(assets):
        for kind in ("glb", "gltf"):
            for name, content in export_files(asset, f"asset {number}", kind, options).items():
                (tmp_path / name).write_bytes(content)
            paths.append(tmp_path / f"asset {number}.{kind}")
    summary, findings = run_validator(khronos, paths)
    assert findings == []
    assert (summary.files, summary.errors, summary.warnings, summary.infos, summary.hints) == (6, 0, 0, 0, 0)


def test_khronos_waits_for_no_pipe_that_a_mesh_names(khronos, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.glb").write_bytes(with_document(lambda document: document["images"].append({"uri": "pipe"})))
    _, findings = run_validator(khronos, [tmp_path / "a.glb"])
    assert any("no regular file" in finding.message for finding in findings)


def test_khronos_and_our_rules_find_the_same_planted_fault(khronos, tmp_path):
    (tmp_path / "bad.glb").write_bytes(with_values(1, put(0, 5.0)))
    result = run("verify", tmp_path / "bad.glb", "--json")
    assert result.exit_code == 3
    verdict = json.loads(result.stdout)
    assert {finding["rule"] for finding in verdict["findings"]} == {"unit_normals", "khronos"}
    assert {finding["file"] for finding in verdict["findings"]} == {"bad.glb"}
    assert verdict["khronos"]["errors"] == 1


def test_a_broken_validator_is_only_a_warning(khronos, tmp_path, monkeypatch):
    package = tmp_path / "node_modules" / "gltf-validator"
    package.mkdir(parents=True)
    (package / "index.js").write_text("throw new Error('broken install')")
    monkeypatch.setenv("MMGEN_GLTF_VALIDATOR", str(tmp_path))
    with pytest.raises(FatalError, match=r"does not work: .*broken install.*npm install gltf-validator"):
        run_validator(tmp_path, [tmp_path / "a.glb"])
    (tmp_path / "a.glb").write_bytes(SOUND)
    result = run("verify", tmp_path / "a.glb")
    assert result.exit_code == 0
    assert "0 errors, 1 warnings" in result.stdout


def test_the_validator_is_never_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.glb").write_bytes(SOUND)
    result = run("verify", tmp_path / "a.glb")
    assert result.exit_code == 0
    assert "0 errors, 0 warnings" in result.stdout
    assert "npm install gltf-validator" in result.stderr


def write_run(folder: Path, **changes) -> Path:
    """A run folder with one good, one rejected and one failed photo; `changes` go to the good one's record."""
    (folder / "sub").mkdir(parents=True)
    (folder / "rejected").mkdir()
    provenance = {"input_sha256": "1" * 64}
    records = []
    for name, status in (("sub/a.glb", "ok"), ("rejected/b.glb", "rejected")):
        data = glb_bytes(replace(ASSET, name=Path(name).stem, provenance=provenance))
        (folder / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        record = Record(f"{name}.jpg", status, output=name, output_sha256=digest, input_sha256="1" * 64)  # type: ignore[arg-type]
        records.append(replace(record, mask_iou=0.84, ssim=0.7, seconds=2.0, mask_source="file", version="0.1.0"))
    records[0] = replace(records[0], **changes)
    records.append(Record("c.jpg", "failed", error="image_truncated", hint="Copy it again.", seconds=0.1))
    (folder / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    return folder


def folder_faults(folder: Path) -> list[tuple[str, str, str]]:
    result = run("verify", folder, "--json")
    findings = json.loads(result.stdout)["findings"]
    assert (result.exit_code == 3) == any(finding["severity"] == "error" for finding in findings)
    return [(finding["rule"], finding["file"], finding["message"]) for finding in findings]


def test_a_sound_run_passes(no_khronos, tmp_path):
    folder = write_run(tmp_path / "meshes")
    result = run("verify", folder)
    assert result.exit_code == 0, result.output
    assert "2 GLBs, records: 1 failed, 1 ok, 1 rejected; 0 errors, 0 warnings" in result.stdout


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"output_sha256": "0" * 64}, "its bytes are not the recorded ones"),
        ({"input_sha256": "2" * 64}, "input_sha256 is '1111.*' in the mesh and '2222.*' in the record"),
        ({"output": None}, "recorded as made, without an output"),
        ({"output": "../x.glb"}, "line 1, is no run record: the path '../x.glb' does not stay inside"),
        ({"output": "gone.glb"}, "recorded and not there"),
        ({"output": "rejected/b.glb"}, "2 records claim this output"),
        ({"status": "rejected"}, "recorded as rejected and not in rejected/"),
        ({"status": "odd"}, r"line 1, is no run record: Invalid enum value 'odd' - at `\$.status`"),
        ({"status": "failed"}, "recorded as failed without an error class and a hint"),
        ({"mask_iou": 1.5}, "mask_iou is 1.5, not a number up to 1"),
    ],
)
def test_records_that_do_not_fit_the_folder(no_khronos, tmp_path, changes, text):
    faults = folder_faults(write_run(tmp_path / "meshes", **changes))
    import re

    assert [fault for fault in faults if re.search(text, fault[2])]


def test_folder_leftovers_are_found(no_khronos, tmp_path):
    folder = write_run(tmp_path / "meshes")
    (folder / "extra.glb").write_bytes(SOUND)
    (folder / "sub" / ".a.glb.tmp-999999999").write_bytes(b"half")
    assert folder_faults(folder) == [
        (
            "leftover",
            "sub/.a.glb.tmp-999999999",
            "leftover of a killed run; the next run of the same command removes it",
        ),
        ("unrecorded", "extra.glb", "no record knows this mesh"),
    ]


def test_a_missing_part_of_a_split_run_is_named(no_khronos, tmp_path):
    folder = write_run(tmp_path / "meshes")
    (folder / "manifest.jsonl").rename(folder / "manifest-1-of-3.jsonl")
    assert folder_faults(folder) == [("parts", "manifest.jsonl", "parts of this run are missing: --shard 0/3, 2/3")]


def test_masks_are_checked_against_their_record_and_may_be_corrected(no_khronos, tmp_path):
    names = ("as-written.png", "corrected.png", "gone.png")
    digest = hashlib.sha256(b"mask").hexdigest()
    records = [Record(name, "ok", output=name, output_sha256=digest) for name in names]
    (tmp_path / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    (tmp_path / "as-written.png").write_bytes(b"mask")
    (tmp_path / "corrected.png").write_bytes(b"better")
    assert run("verify", tmp_path).exit_code == 3
    assert [(file, message.split(";")[0]) for _, file, message in folder_faults(tmp_path)] == [
        ("corrected.png", "changed since it was written, by hand perhaps"),
        ("gone.png", "recorded and not there"),
    ]
    (tmp_path / "gone.png").write_bytes(b"mask")
    assert run("verify", tmp_path).exit_code == 0


@pytest.mark.parametrize("name", ["a.glb", "a.safetensors"])
@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_a_pipe_is_called_one(no_khronos, tmp_path, command, name):
    os.mkfifo(tmp_path / name)
    result = run(command, tmp_path / name)
    assert result.exit_code in (3, 4) and "it is a pipe or a device, not a file" in result.output


def test_a_damaged_manifest_is_named(no_khronos, tmp_path):
    folder = write_run(tmp_path / "meshes")
    (folder / "manifest.jsonl").write_text("{}\n")
    [(rule, file, message)] = folder_faults(folder)
    assert (rule, file) == ("record", "manifest.jsonl")
    assert "line 1" in message


def test_a_run_in_which_everything_failed_is_still_a_run(no_khronos, tmp_path):
    folder = write_run(tmp_path / "meshes")
    lines = (folder / "manifest.jsonl").read_text().splitlines(keepends=True)
    (folder / "manifest.jsonl").write_text(lines[2])
    shutil.rmtree(folder / "sub")
    shutil.rmtree(folder / "rejected")
    assert folder_faults(folder) == []


def test_exports_are_checked_against_their_record(no_khronos, tmp_path):
    meshes, out = write_run(tmp_path / "meshes"), tmp_path / "out"
    assert run("export", meshes, "--format", "glb", "--format", "obj", "--out", out).exit_code == 0
    assert folder_faults(out) == []
    (out / "sub" / "a.obj").write_text("changed")
    (out / "sub" / "a.png").unlink()
    assert folder_faults(out) == [
        ("export_record", "sub/a.obj", "changed since it was exported"),
        ("export_record", "sub/a.png", "recorded as exported and not there"),
    ]


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_nothing_there_is_exit_code_4(tmp_path, command):
    result = run(command, tmp_path / "none")
    assert result.exit_code == 4
    assert "there is no " in result.stderr and "mmgen reconstruct" in result.stderr
    assert run(command, tmp_path).exit_code == 4


def test_inspect_describes_a_mesh(tmp_path):
    (tmp_path / "a.glb").write_bytes(SOUND)
    facts = json.loads(run("inspect", tmp_path / "a.glb", "--json").stdout)
    assert (facts["kind"], facts["vertices"], facts["faces"], facts["open_edges"]) == ("glb", 42, 80, 0)
    assert facts["stored_vertices"] > 42
    assert facts["height_m"] == pytest.approx(1.7)
    assert facts["texture"] | {"bytes": 0} == {"width": 8, "height": 16, "bytes": 0, "codec": "png"}
    assert facts["material"]["unlit"] is True
    assert facts["sha256"] == hashlib.sha256(SOUND).hexdigest()
    assert facts["provenance"]["mask_iou"] == 0.875
    text = run("inspect", tmp_path / "a.glb").stdout
    assert "height_m" in text and "mask_iou" in text


def test_inspect_describes_a_run(tmp_path):
    facts = json.loads(run("inspect", write_run(tmp_path / "meshes"), "--json").stdout)
    assert facts["status"] == {"failed": 1, "ok": 1, "rejected": 1}
    assert facts["errors"] == {"image_truncated": 1}
    assert facts["mask_iou"] == {"median": 0.84, "min": 0.84, "max": 0.84, "histogram": [0, 0, 0, 0, 0, 0, 0, 0, 2, 0]}
    assert facts["seconds"] == {"total": 4.1, "median": 2.0, "max": 2.0}


def test_inspect_lists_what_it_cannot_read(tmp_path):
    (tmp_path / "a.glb").write_bytes(SOUND)
    (tmp_path / "b.glb").write_bytes(SOUND[:50])
    facts = json.loads(run("inspect", tmp_path, "--json").stdout)
    assert (facts["kind"], facts["meshes"], list(facts["broken"])) == ("folder", 1, ["b.glb"])
    result = run("inspect", tmp_path / "b.glb")
    assert result.exit_code == 3
    assert "b.glb: this is no sound GLB" in result.stderr


def test_inspect_knows_what_it_does_not_know(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    result = run("inspect", tmp_path / "a.txt")
    assert result.exit_code == 4
    assert "a.txt is nothing that inspect knows" in result.stderr


def test_control_characters_never_reach_the_terminal(tmp_path):
    (tmp_path / "a.glb").write_bytes(glb_bytes(replace(ASSET, provenance={"in\x1b[31m": "\x1b]0;x\x07"})))
    assert "\x1b" not in run("inspect", tmp_path / "a.glb").stdout


def test_no_validator_of_the_working_directory_is_run(tmp_path, monkeypatch):
    (tmp_path / "node_modules" / "gltf-validator").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MMGEN_GLTF_VALIDATOR", raising=False)
    assert find_validator() != tmp_path
