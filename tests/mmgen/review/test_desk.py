"""The desk and its routes over a run folder made by a reconstructor that costs nothing."""

import csv
import errno
import io
import json
import os
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from desk_requests import ACCESS, ask
from fake_worker import fake_main, reconstruct_here
from fakes import make_photos
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.review.app import make_app
from mmgen.review.desk import Conflict, Desk
from mmgen.review.versions import kept
from mmgen.review.worker import masks_of
from mmgen.work.records import Choices, PhotoRecord, Record, Review, append_record, read_records


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path / "meshes", "cpu", fake_main)
    yield made
    made.close()


@pytest.fixture
def filled(desk):
    """Two photos, reconstructed."""
    make_photos(desk.photos, ["a.png", "b.png"])
    reconstruct_here(desk.meshes, desk.photos, ["a.png", "b.png"])
    return desk


def settled(desk):
    deadline_s = time.monotonic() + 60
    while desk.workshop.doing():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    return [entry for _, entry in sorted(desk.entries().items(), key=lambda pair: pair[1].name)]


def test_photos_wait_are_made_and_are_told(desk):
    make_photos(desk.photos, ["a.png", "fail.png"])
    assert {entry.state for entry in desk.entries().values()} == {"waiting"}
    news = desk.changes(0)
    assert [item["name"] for item in news["items"]] == ["a", "fail"]
    desk.resume()
    settled(desk)
    later = desk.changes(news["revision"])
    assert {item["name"]: item["state"] for item in later["items"]}["a"] == "ok"
    assert desk.changes(later["revision"])["items"] == []


def test_a_word_is_written_into_the_record_and_only_on_what_was_seen(filled):
    first, _ = settled(filled)
    decided = filled.decide(first.key, first.version, "accepted", "fine")
    record = read_records(filled.meshes)["a.png"]
    assert (record.review.verdict, record.review.note) == ("accepted", "fine") and record.review.time
    line = json.loads((filled.meshes / "manifest.jsonl").read_text().splitlines()[-1])
    assert line["review"]["verdict"] == "accepted"
    with pytest.raises(Conflict):  # a second window still shows the state before
        filled.decide(first.key, first.version, "rejected", "")
    assert filled.decide(first.key, decided.version, None, "").review.verdict is None


def test_a_verdict_outlives_a_run_that_changes_nothing_and_not_a_new_mesh(filled):
    first, _ = settled(filled)
    entry = filled.decide(first.key, first.version, "accepted", "fine")
    filled.workshop.submit(filled.photos, ("a.png",), "a.png")
    assert settled(filled)[0].review.verdict == "accepted"
    corrected = filled.correct(entry.key, settled(filled)[0].version, Choices(refine_steps=3), "refinement")
    assert corrected.review.verdict is None
    after = settled(filled)[0]
    assert (
        after.review.choices.refine_steps == 3
        and after.review.corrected == ("refinement",)
        and after.review.note == "fine"
    )
    assert after.record.key != first.record.key


def test_a_drawn_mask_stands_where_the_next_run_looks_and_an_old_version_comes_back(filled):
    first, _ = settled(filled)
    mask = np.zeros((40, 20), np.uint8)
    mask[5:35, 5:15] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    filled.correct_mask(first.key, first.version, buffer.getvalue())
    after = settled(filled)[0]
    place = filled.photos / "masks" / "a.png"
    assert np.array_equal(np.asarray(Image.open(place)), mask) and after.record.key != first.record.key
    [version] = filled.details(after)["versions"]
    filled.bring_back(after.key, after.version, version["number"])
    back = settled(filled)[0]
    assert back.record.key == first.record.key and not place.exists()
    assert len(filled.details(back)["versions"]) == 2
    filled.workshop.submit(filled.photos, ("a.png",), "a.png")
    assert settled(filled)[0].record.output_sha256 == first.record.output_sha256


def test_an_older_version_replaces_nothing_of_the_users(filled):
    first, _ = settled(filled)
    filled.correct(first.key, first.version, Choices(refine_steps=3), "refinement")
    after = settled(filled)[0]
    (filled.meshes / "a.glb").write_bytes(b"glTF of another program")
    [old] = filled.details(after)["versions"]
    assert filled.details(after)["figures"][0][1].startswith("this is no sound GLB")
    with pytest.raises(ItemError, match="glb exists, and mmgen did not write it"):
        filled.bring_back(after.key, after.version, old["number"])
    assert (filled.meshes / "a.glb").read_bytes() == b"glTF of another program"
    [line] = filled.meshes.glob(".mmgen/versions/*/0001/record.jsonl")
    line.write_text(line.read_text().replace('"input": "a.png"', '"input": "b.png"'))
    assert [one.number for one in kept(filled.meshes, first.key)] != [1]


def test_a_job_that_is_stopped_leaves_the_desk_at_work(desk):
    make_photos(desk.photos, ["a.png", "b.png", "kill.png"])
    for name in ("a.png", "b.png"):
        desk.workshop.submit(desk.photos, (name,), name)
    assert desk.workshop.cancel("b.png")
    states = {entry.name: entry.state for entry in settled(desk)}
    assert states["a"] == "ok" and states["b"] == "waiting"
    assert not desk.workshop.cancel("b.png")


def test_a_full_disk_is_said_and_nothing_is_decided(filled, monkeypatch):
    first, _ = settled(filled)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(filled.meshes / "manifest.jsonl"))

    monkeypatch.setattr("mmgen.review.desk.append_record", full)
    body = {"version": first.version, "verdict": "accepted", "note": ""}
    answer = ask(make_app(filled, ACCESS), f"/asset/{first.key}/decide", "POST", body)
    assert answer.status == 507 and "No space left" in answer.json["message"]
    assert read_records(filled.meshes)["a.png"].review is None


def test_the_routes_say_what_they_refuse(filled):
    app = make_app(filled, ACCESS)
    first, _ = settled(filled)
    place = f"/asset/{first.key}"
    assert ask(app, f"{place}/decide", "POST", {"version": "old", "verdict": "accepted"}).status == 409
    assert ask(app, f"{place}/decide", "POST", {"version": first.version, "verdict": "perhaps"}).status == 422
    assert ask(app, f"{place}/decide", "POST", b"[" * 50_000).status == 422
    assert ask(app, f"{place}/decide", "POST", b"x" * 10**6).json["error"] == "upload_too_large"
    assert ask(app, f"{place}/correct", "POST", {"version": first.version, "refine_steps": 2**31}).status == 422
    assert ask(app, f"{place}/mask.png?version={first.version}", "PUT", b"no png").json["error"] == "mask_unreadable"
    assert ask(app, f"{place}/walk.glb").json["error"] == "rig_other_mesh"
    assert ask(app, "/asset/0000/details").status == 404
    assert ask(app, "/static/../app.py").status == 404
    assert ask(app, f"{place}/still/..%2f/x.webp").status == 404
    assert ask(app, f"{place}/still/same/{first.version}.webp").headers["content-type"] == "image/webp"
    assert ask(app, f"{place}/mesh.glb").body == (filled.meshes / "a.glb").read_bytes()
    page = ask(app, "/").body.decode()
    assert "secret" in page and "<script>" not in page


def test_chosen_assets_go_into_one_zip_with_their_figures(filled):
    first, second = settled(filled)
    filled.decide(first.key, first.version, "accepted", "=1+1")
    answer = ask(make_app(filled, ACCESS), "/zip", "POST", {"keys": [first.key, second.key, "no"], "format": "obj"})
    assert answer.headers["x-assets"] == "2"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert {"a.obj", "a.mtl", "b.obj", "figures.csv"} <= set(archive.namelist())
        rows = list(csv.DictReader(io.StringIO(archive.read("figures.csv").decode("utf-8-sig"))))
    assert [(row["name"], row["verdict"], row["note"]) for row in rows] == [("a", "accepted", "'=1+1"), ("b", "", "")]


def test_a_photo_that_waits_can_be_looked_at_and_stopped(desk):
    make_photos(desk.photos, ["a.png", "b.png", "kill.png"])
    desk.take_in(["a.png", "b.png"])
    [waiting] = [entry for entry in desk.entries().values() if entry.name == "b"]
    assert desk.photo_file(waiting) == desk.photos / "b.png"
    assert desk.cancel(waiting)
    assert {entry.name: entry.state for entry in settled(desk)}["b"] == "waiting"


def test_dropped_masks_are_used_and_make_no_asset_of_their_own(desk):
    make_photos(desk.photos, ["a.png", "a_mask.png", "masks/a.png"])
    desk.take_in(["a.png", "a_mask.png", "masks/a.png"])
    assert [entry.name for entry in settled(desk)] == ["a"]


def test_a_photo_without_a_mesh_is_not_accepted(desk):
    make_photos(desk.photos, ["refused.png"])
    desk.take_in(["refused.png"])
    [entry] = settled(desk)
    with pytest.raises(ItemError, match="mesh_missing"):
        desk.decide(entry.key, entry.version, "accepted", "")
    assert desk.decide(entry.key, entry.version, None, "blurred").review.note == "blurred"


def test_odd_names_are_shown_once_escaped_and_safe_in_the_zip(desk):
    make_photos(desk.photos, ["a\nb.png"])
    desk.take_in(["a\nb.png"])
    [entry] = settled(desk)
    assert entry.name == "a\\nb"
    answer = ask(make_app(desk, ACCESS), "/zip", "POST", {"keys": [entry.key]})
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist() == ["a%0Ab.glb", "figures.csv"]


@pytest.fixture
def joined(filled):
    """The asset of both photos, and what is put into the queue from now on."""
    one, other = read_records(filled.meshes).values()
    photos = tuple(PhotoRecord(each.input, each.root, each.input_sha256) for each in (other, one))
    append_record(filled.meshes, replace(one, input="a+b", photos=photos))
    jobs = []
    filled.workshop.submit = lambda *job: jobs.append(job)
    return next(entry for entry in filled.entries().values() if entry.name == "a+b"), jobs


def test_an_asset_of_several_photos_is_computed_again_from_all_of_them(filled, joined):
    entry, jobs = joined
    filled.correct(entry.key, entry.version, Choices(refine_steps=20), "refinement")
    assert jobs == [(filled.photos, ("b.png", "a.png"), "a+b")]
    assert read_records(filled.meshes)["a+b"].review.choices.refine_steps == 20


def test_several_photos_have_no_facing_in_common(filled, joined):
    entry, jobs = joined
    with pytest.raises(ItemError, match="facing_of_several"):
        filled.correct(entry.key, entry.version, Choices(facing="back"), "facing")
    assert jobs == [] and read_records(filled.meshes)["a+b"].review is None


def test_an_older_version_comes_back_though_its_photo_is_gone(filled):
    first, _ = settled(filled)
    filled.correct(first.key, first.version, Choices(refine_steps=20), "refinement")
    settled(filled)
    (filled.photos / "a.png").unlink()
    entry = filled.entry(first.key)
    assert filled.bring_back(entry.key, entry.version, 1).state == "ok"


def test_a_join_has_a_card_while_it_is_computed(filled):
    settled(filled)
    filled.workshop.doing = lambda: {"a+b": "working"}
    filled._events += 1
    assert {item["name"]: item["state"] for item in filled.changes(0)["items"]}["a+b"] == "working"


def test_masks_are_looked_for_where_the_run_did_unless_somebody_corrected_them():
    record = Record("a.png", "ok", mask_root="/data/a\\nb")
    assert masks_of(record) == "/data/a\nb"
    assert masks_of(replace(record, review=Review(corrected=("mask",)))) == "auto"
    assert masks_of(Record("a.png", "ok", mask_source="network")) == "auto"
