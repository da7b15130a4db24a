import gc
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from augment_folders import OPTIONS, files_of, made, request_for
from click.testing import CliRunner

from mmgen.augment import shard_writer
from mmgen.augment.drawing import ViewRenderer
from mmgen.augment.finalize import close_folder
from mmgen.augment.market_folder import write_market_folder
from mmgen.augment.options import MixOptions, RenderOptions
from mmgen.augment.plan import ResolvedPlan
from mmgen.augment.removal import JOURNAL_NAME, remove_people
from mmgen.augment.store import StoreReader, store_of
from mmgen.augment.verification import is_shard_folder, verify_shards
from mmgen.cli.main import cli
from mmgen.core.errors import FatalError
from mmgen.models.weights import load_weights
from mmgen.work.records import Shard
from recon.camera import project
from recon.render.scene import render_projected
from recon.structures import Camera, TexturedMesh
from reid.data.market import read_market
from reid.data.shards import read_shards


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("augment")


@pytest.fixture(scope="module")
def finished(base):
    out = base / "finished"
    outcome = made(base, out)
    assert outcome.exit_code == 0 and outcome.record is not None
    return out


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def lines_of(out):
    return [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
def test_webdataset_reads_what_the_index_says(finished, monkeypatch):
    webdataset = pytest.importorskip("webdataset")
    monkeypatch.setattr("webdataset.utils.enforce_security", True)
    read = {}
    for name in sorted(path.name for path in finished.glob("shards/*.tar")):
        for sample in webdataset.WebDataset(str(finished / "shards" / name), shardshuffle=False, empty_check=False):
            read[sample["__key__"]] = sample
    gc.collect()
    lines = lines_of(finished)
    assert [photo.identity for photo in read_shards(finished)] == [line["pid"] for line in lines]
    assert len(lines) == len(read) == json.loads((finished / "record.json").read_text())["samples"]
    for line in lines:
        sample = read[line["key"]]
        member = json.loads(sample["json"])
        assert int(sample["cls"]) == member["cls"] == line["cls"]
        data = (finished / line["shard"]).read_bytes()
        offset, size = line["jpg"]
        assert data[offset : offset + size] == sample["jpg"]
        assert all(line[name] == value for name, value in member.items() if name not in ("schema", "generator"))
        assert set(sample) >= {"jpg", "json", "cls"} and "." not in line["key"]


def test_samples_tell_the_truth(finished, base):
    lines = lines_of(finished)
    real = [line for line in lines if line["kind"] == "real"]
    assert len(real) == 12 and {line["cls"] for line in real} == {0, 1, 2, 3}
    for line in real:
        offset, size = line["jpg"]
        photo = (base / "market" / line["sources"][0]).read_bytes()
        assert (finished / line["shard"]).read_bytes()[offset : offset + size] == photo
    sets = {}
    for line in lines:
        if line["kind"] == "virtual":
            sets.setdefault(line["set"], []).append(line)
    record = json.loads((finished / "record.json").read_text())
    assert len(sets) == record["accounting"]["sets"] > 0
    for views in sets.values():
        assert [view["view"]["turn_deg"] for view in views] == [-60, -30, 0, 30, 60]
        assert len({view["shard"] for view in views}) == 1
        azimuths = [view["view"]["azimuth_deg"] for view in views]
        assert all((b - a) % 360 == pytest.approx(30, abs=0.01) for a, b in pairwise(azimuths))
        first = views[0]
        assert first["camid"] == -1 and first["cls"] >= 4
        assert first["pid"] == "".join(first["parents"]) and len(set(first["parents"])) == 2
        assert [path[len("bounding_box_train/") :][:4] for path in first["sources"]] == first["parents"]
        assert {"mask_area", "folded", "source_iou", "view_consistency"} == set(first["quality"])


def test_pictures_are_the_mix_seen_from_the_turned_camera(finished, base):
    """Against the renderer's own entry, pixel by pixel where the person covers all of a pixel."""
    exact = {"elevation_jitter_deg": 0, "distance_jitter": 0, "like_camera": (), "shadow": 0}
    options = replace(OPTIONS, look=RenderOptions(size=(32, 16), background="own", **exact))
    request = request_for(base, finished, options)
    weights, store = (
        load_weights(request.weights),
        store_of(request.plan, request.root, finished, request.weights_sha256),
    )
    reader, virtual = StoreReader(store), ResolvedPlan(request.plan, request.plan.candidates).sets[0]
    views = ViewRenderer(request.plan, reader, weights).draw(virtual)
    own, partner, mesh = reader[virtual.first], reader[virtual.partners[0]], weights.encoder.prototype
    texture = (torch.tensor(own["texture"].astype("f4")) + torch.tensor(partner["texture"].astype("f4"))) / 510
    vertices = mesh.vertices + torch.tensor(own["offsets"].astype("f4"))
    scale, shift = torch.tensor(own["frame"]).split(2)
    assert abs(float(scale.max()) - 1) > 0.02, "the crop is not the photo"
    for view in views:
        camera = Camera(
            torch.tensor([float(own["azimuth_deg"])]), torch.tensor([float(own["elevation_deg"])]),
            torch.tensor([float(own["distance"])]), torch.tensor(own["offset"][None]),
        ).turned(float(view.turn_deg))  # fmt: skip
        body = TexturedMesh(vertices[None], mesh.faces, mesh.face_uv, texture[None])
        ndc, in_camera = project(body.vertices, camera, 32, 32)
        drawn = render_projected(body, ndc * scale + shift, in_camera, (64, 32))
        small = torch.nn.functional.avg_pool2d(drawn.image, 2)[0].permute(1, 2, 0).numpy() * 255
        hard = (drawn.face_index >= 0).float()[None]
        full = torch.nn.functional.avg_pool2d(hard, 2)[0, 0].numpy() == 1
        bare = torch.nn.functional.max_pool2d(hard, 4, 2, 1)[0, 0].numpy() == 0
        assert full.sum() > 20 and bare.sum() > 20
        np.testing.assert_allclose(view.image[full], small[full], atol=0.6)
        assert np.array_equal(view.image[bare], own["plate"][bare])
        assert view.background == virtual.first


def test_parts_give_the_same_bytes_as_one_run(finished, base, tmp_path):
    out = tmp_path / "parts"
    for index in (2, 0):
        outcome = made(base, out, shard=Shard(index, 3))
        assert outcome.record is None and outcome.shards_missing
        assert verify_shards(out).findings[0].rule == "complete" and is_shard_folder(out)
    assert made(base, out, shard=Shard(1, 3)).record is not None
    assert files_of(out) == files_of(finished)
    again = made(base, out)
    assert (again.photos_done, again.views_done) == (0, 0) and again.record is not None


def test_a_run_that_died_goes_on_where_it_was(finished, base, tmp_path, monkeypatch):
    out = tmp_path / "died"
    write = shard_writer.write_shard

    def dies(folder, name, built, key):
        if name.stem == "virtual-000001":
            (folder / name.tar).write_bytes(built.tar[:5000])  # as if the disk had kept a part
            raise MemoryError
        write(folder, name, built, key)

    monkeypatch.setattr(shard_writer, "write_shard", dies)
    with pytest.raises(MemoryError):
        made(base, out)
    monkeypatch.undo()
    (out / "shards/virtual-000000.tar").write_bytes(b"changed since")
    outcome = made(base, out)
    assert outcome.photos_done == 0 and 0 < outcome.views_done < outcome.record["samples"]
    assert files_of(out) == files_of(finished)


def test_other_settings_need_another_folder(copy, base, finished):
    other = replace(OPTIONS, draw=MixOptions(seed=5, mix="regions"), with_real=False)
    with pytest.raises(FatalError, match=r"seed 0 \(now 5\), mix blend \(now regions\)"):
        made(base, copy, other)
    outcome = made(base, copy, other, overwrite=True)
    assert outcome.photos_done == 0 and outcome.exit_code == 0
    assert not list(copy.glob("shards/real-*")) and not verify_shards(copy).findings
    assert {line["mix"]["mode"] for line in lines_of(copy)} == {"regions"}
    assert made(base, copy, other).views_done == 0 < made(base, copy, other, overwrite=True).views_done
    stranger = copy.parent / "stranger"
    stranger.mkdir()
    (stranger / "thesis.tex").write_text("")
    with pytest.raises(FatalError, match="is not empty and holds no"):
        made(base, stranger)


def test_options_of_the_published_method(base, tmp_path):
    options = replace(
        OPTIONS, draw=MixOptions(selection="hardest-half", partners="identity", mix="blend", own_weight=(0.2, 0.8))
    )
    outcome = made(base, tmp_path / "hard", options)
    lines = [line for line in lines_of(tmp_path / "hard") if line["kind"] == "virtual"]
    assert outcome.record["accounting"]["pairs"] == 12
    assert {len(line["sources"]) for line in lines} == {4}  # the photo, and all three of the other person
    weights = {line["pid"]: line["mix"]["own_weight"] for line in lines}
    assert len(set(weights.values())) == len(weights) and all(0.2 <= weight <= 0.8 for weight in weights.values())


def test_bad_photos_spoil_only_what_they_lend(base, tmp_path):
    request_for(base, tmp_path)
    market = shutil.copytree(base / "market", tmp_path / "market")
    shutil.copy(base / "tiny.safetensors", tmp_path)
    broken = market / "bounding_box_train/0002_c1s1_000000_01.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    (market / "masks/bounding_box_train/0003_c1s1_000000_01.png").unlink()
    outcome = made(tmp_path, tmp_path / "out", replace(OPTIONS, masks=str(market / "masks")))
    assert outcome.exit_code == 3 and [note.error for note in outcome.failures] == ["image_truncated", "mask_missing"]
    used = {path for line in lines_of(tmp_path / "out") if line["kind"] == "virtual" for path in line["sources"]}
    assert "bounding_box_train/0003_c1s1_000000_01.jpg" not in used
    assert outcome.record["accounting"]["unusable"] > 0 and outcome.record["kinds"]["real"]["samples"] == 11
    assert not verify_shards(tmp_path / "out").findings
    for mask in market.glob("masks/bounding_box_train/*"):
        mask.unlink()
    with pytest.raises(FatalError, match="none of the training photos"):
        made(tmp_path, tmp_path / "none", replace(OPTIONS, masks=str(market / "masks")))
    assert "mask_missing" in (tmp_path / "none/sources.jsonl").read_text()


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def without_one_sample(out):
    lines = (out / "index.jsonl").read_bytes().splitlines(keepends=True)
    (out / "index.jsonl").write_bytes(b"".join(lines[:-1]))


def renamed_shard(out):
    path = out / "record.json"
    path.write_text(path.read_text().replace("shards/virtual-000001.tar", "pipe:touch owned"))


def with_member(out, name):
    path = out / "shards/virtual-000000.tar"
    data = path.read_bytes()
    key = data[: data.index(b".cls")]
    path.write_bytes(data.replace(key + b".cls", name.ljust(len(key) + 4, b"\0"), 1))


DAMAGES = {
    "one flipped byte": (lambda out: flipped(out / "shards/virtual-000000.tar"), "hash"),
    "a cut tar": (lambda out: os.truncate(out / "shards/virtual-000001.tar", 20_480), "size"),
    "a missing tar": (lambda out: (out / "shards/real-000000.tar").unlink(), "missing"),
    "a sample less in the index": (without_one_sample, "count"),
    "a pipe": (renamed_shard, "shard_name"),
    "a pickle": (lambda out: with_member(out, b"virtual/a/b.pyd"), "tar"),
    "a way out": (lambda out: with_member(out, b"../../etc/passwd.cls"), "tar"),
    "a changed source list": (lambda out: flipped(out / "sources.jsonl"), "sources"),
    "a changed plan": (lambda out: (out / "plan.json").write_text("{}"), "plan"),
    "a wrong count": (
        lambda out: (out / "record.json").write_text(
            (out / "record.json").read_text().replace('"classes"', '"klasses"')
        ),
        "record",
    ),
    "a wrong offset for DALI": (lambda out: flipped(out / "shards/real-000000.idx"), "dali"),
    "a sparse tar": (lambda out: os.truncate(out / "shards/virtual-000001.tar", 1 << 42), "size"),
    "a pipe for an index": (lambda out: ((out / "index.jsonl").unlink(), os.mkfifo(out / "index.jsonl")), "size"),
    "deep JSON": (lambda out: (out / "index.jsonl").write_text("[" * 100_000 + "\n"), "record"),
    "a deep plan": (lambda out: (out / "plan.json").write_text("[" * 100_000), "plan"),
    "a stranger": (lambda out: (out / "shards/virtual-000009.tar").write_bytes(b""), "stray"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds(damage, copy):
    assert not verify_shards(copy).findings
    spoil, rule = DAMAGES[damage]
    spoil(copy)
    assert rule in {finding.rule for finding in verify_shards(copy).findings}
    assert not (copy / "owned").exists()


def test_verify_names_the_sample_even_where_hashes_were_forged(copy):
    path = copy / "shards/virtual-000000.tar"
    line = next(line for line in lines_of(copy) if line["shard"].endswith("virtual-000000.tar"))
    data = bytearray(path.read_bytes())
    data[line["jpg"][0] + 30] ^= 1
    path.write_bytes(data)
    record = json.loads((copy / "record.json").read_text())
    for entry in record["shards"]:
        entry["sha256"] = hashlib.sha256((copy / entry["name"]).read_bytes()).hexdigest()
    (copy / "record.json").write_text(json.dumps(record))
    (finding,) = verify_shards(copy).findings
    assert finding.rule == "sample" and line["key"] in finding.message and "jpg_sha256" in finding.message


def test_verify_finds_a_person_who_changes_clothes_or_bodies(copy):
    """The fault of unordered numbers: hashes fit, and one number stands for two outfits."""
    record, lines = json.loads((copy / "record.json").read_text()), lines_of(copy)
    own = next(line for line in lines if line["kind"] == "virtual")
    other = next(line for line in lines if line["kind"] == "virtual" and line["parents"] != own["parents"])
    for change in ({"mix": {**own["mix"], "own_weight": 0.25}}, {"pid": other["pid"]}, {"sources": other["sources"]}):
        kept = [{**line, **change} if line is own else line for line in lines]
        data = "".join(json.dumps(line) + "\n" for line in kept).encode()
        (copy / "index.jsonl").write_bytes(data)
        record["index"] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (copy / "record.json").write_text(json.dumps(record))
        assert "person" in {finding.rule for finding in verify_shards(copy).findings}, change


def test_verify_on_the_command_line(copy):
    result = CliRunner().invoke(cli, ["verify", str(copy), "--json"])
    verdict = json.loads(result.stdout)
    assert result.exit_code == 0 and verdict["ok"] and verdict["samples"] == len(lines_of(copy))
    flipped(copy / "shards/virtual-000000.tar")
    result = CliRunner().invoke(cli, ["verify", str(copy)])
    assert result.exit_code == 3 and "virtual-000000.tar" in result.stdout


def test_inspect_says_what_the_record_of_the_shards_says(copy):
    facts = json.loads(CliRunner().invoke(cli, ["inspect", str(copy), "--json"]).stdout)
    assert facts["kind"] == "shards" and facts["samples"] == len(lines_of(copy))
    assert facts["shards"] == len(list((copy / "shards").glob("*.tar")))
    assert facts["accounting"] and facts["generator"]
    (copy / "record.json").unlink()
    unfinished = CliRunner().invoke(cli, ["inspect", str(copy)])
    assert unfinished.exit_code == 4 and "the run is not finished" in unfinished.stderr


def test_removed_people_leave_nothing_behind(copy, base, monkeypatch):
    before = {line["key"]: line for line in lines_of(copy)}
    assert remove_people(copy, ["0002"], None, dry_run=True).samples > 0 and len(lines_of(copy)) == len(before)
    monkeypatch.setattr("mmgen.augment.removal.close_folder", lambda *_: 1 / 0)  # killed at the last step
    with pytest.raises(ZeroDivisionError):
        remove_people(copy, ["0002"], None)
    assert not (copy / "record.json").exists()
    monkeypatch.setattr("mmgen.augment.removal.close_folder", close_folder)
    remove_people(copy, ["0002"], None)
    assert not (copy / ".mmgen" / JOURNAL_NAME).exists() and not (copy / ".mmgen/sources").exists()
    after = {line["key"]: line for line in lines_of(copy)}
    gone = {key for key, line in before.items() if "/0002_" in json.dumps([line["sources"], line["background"]])}
    assert set(before) - set(after) == gone and 0 < len(after)
    assert all(before[key]["jpg_sha256"] == line["jpg_sha256"] for key, line in after.items())
    assert all(before[key]["cls"] == line["cls"] for key, line in after.items())
    assert not verify_shards(copy).findings and "/0002_" not in (copy / "sources.jsonl").read_text()
    assert json.loads((copy / "record.json").read_text())["removed"] == ["0002"]
    cut = files_of(copy)
    assert made(base, copy).views_done == 0
    (copy / "record.json").unlink()  # made again from the photos, they stay out
    made(base, copy)
    made_again = files_of(copy)
    assert {name: data for name, data in made_again.items() if name != "contact_sheet.jpg"} == {
        name: data for name, data in cut.items() if name != "contact_sheet.jpg"
    }
    with pytest.raises(FatalError, match="has no identity 0777"):
        remove_people(copy, ["0777"], None)
    with pytest.raises(FatalError, match="is no finished folder of shards"):
        remove_people(copy / "nowhere", ["0002"], None)


def test_dry_run_counts_and_forecasts_without_writing(base, tmp_path):
    request_for(base, tmp_path / "unused")
    out = tmp_path / "market-3d"
    arguments = ["augment-reid", str(base / "market"), "--out", str(out), "--dry-run", "--json", "--workers", "2"]
    arguments += ["--weights", str(base / "tiny.safetensors"), "--size", "32x16"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    answer = json.loads(result.stdout)
    assert result.exit_code == 0 and not out.exists() and answer["forecast"]["workers"] == 2
    assert answer["accounting"]["images"] == 12
    assert answer["forecast"]["samples_todo"] == answer["accounting"]["views"] == 5 * answer["accounting"]["sets"]
    assert answer["forecast"]["photos_todo"] == 12
    lost = CliRunner().invoke(
        cli, [*arguments[:-4], "--weights", str(tmp_path / "none"), "--selection", "hardest-half"]
    )
    answer = json.loads(lost.stdout)
    assert answer["forecast"] is None and answer["accounting"]["views"] is None and "no forecast" in lost.stderr


def test_the_command_writes_beside_the_data_set(base, tmp_path):
    request_for(base, tmp_path / "unused")
    market = shutil.copytree(base / "market", tmp_path / "market")
    arguments = ["augment-reid", str(market), "--weights", str(base / "tiny.safetensors"), "--workers", "1"]
    arguments += ["--format", "folder"]
    result = CliRunner().invoke(cli, [*arguments, "--size", "32x16", "--json"], catch_exceptions=False)
    answer = json.loads(result.stdout)
    assert result.exit_code == 0 and answer["complete"]
    assert answer["market_folder"]["virtual_photos"] == answer["accounting"]["views"]
    assert {"README.md", "contact_sheet.jpg", "index.jsonl", "record.json"} <= set(os.listdir(tmp_path / "market-3d"))
    card = (tmp_path / "market-3d/README.md").read_text()
    assert f"| = virtual images | {answer['accounting']['views']} |" in card
    gone = CliRunner().invoke(cli, ["augment-reid", "--remove-identity", "0001", "--out", str(tmp_path / "market-3d")])
    assert gone.exit_code == 0 and "taken out" in gone.stderr
    for wrong in (["--turns", "5,x"], ["--own-weight", "0.9:0.1"]):
        assert CliRunner().invoke(cli, [*arguments, *wrong]).exit_code == 2
    assert CliRunner().invoke(cli, ["augment-reid"]).exit_code == 2


def test_a_folder_with_markets_names_holds_real_and_virtual_photos(copy, base):
    """One data set for our own reader: cameras stay those of the data set, virtual numbers follow the real ones."""
    state = write_market_folder(copy, base / "market")
    rows = [json.loads(line) for line in (copy / "virtual.jsonl").read_text().splitlines()]
    lines = {line["key"]: line for line in lines_of(copy) if line["kind"] == "virtual"}
    assert len(rows) == len(lines) == state["virtual_photos"] and len({row["file"] for row in rows}) == len(rows)
    found = read_market(copy)
    real = {path.name for path in (base / "market/bounding_box_train").iterdir()}
    assert len(found.train) == len(rows) + len(real) and real <= {Path(photo.path).name for photo in found.train}
    assert {photo.camera for photo in found.train} <= {photo.camera for photo in read_market(base / "market").train}
    assert {int(photo.identity) for photo in found.train} == {1, 2, 3, 4} | {row["number"] for row in rows}
    assert min(row["number"] for row in rows) == state["first_virtual_number"] > 4
    for row in rows:
        line = lines[row["key"]]
        offset, size = line["jpg"]
        assert (copy / row["file"]).read_bytes() == (copy / line["shard"]).read_bytes()[offset : offset + size]
        camera = re.search(r"_c(\d+)", line["sources"][0])[1]
        assert re.search(r"_c(\d+)", row["file"])[1] == camera
    assert len({(row["number"], row["pid"]) for row in rows}) == len({row["pid"] for row in rows})
    before = files_of(copy)
    assert write_market_folder(copy, base / "market") == state and files_of(copy) == before
    assert not verify_shards(copy).findings
    remove_people(copy, ["0002"], None)
    assert not (copy / "virtual.jsonl").exists() and not (copy / "bounding_box_train").exists()


@pytest.mark.slow
def test_two_processes_and_a_kill_give_the_same_bytes(finished, base, tmp_path):
    assert made(base, tmp_path / "two", workers=2).exit_code == 0
    assert files_of(tmp_path / "two") == files_of(finished)
    support = str(Path(__file__).parents[2] / "support")
    script = f"import sys; sys.path[:0] = [{support!r}]; from pathlib import Path;"
    script += f"from augment_folders import made; made(Path({str(base)!r}), Path({str(tmp_path / 'killed')!r}))"
    process = subprocess.Popen([sys.executable, "-c", script])
    while process.poll() is None and not list((tmp_path / "killed").glob("shards/*.tar")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made(base, tmp_path / "killed")
    assert files_of(tmp_path / "killed") == files_of(finished)
