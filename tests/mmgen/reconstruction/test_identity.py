"""Photos of one person to one asset: who is who, bad photos left out, records, resuming, the same bytes again."""

import json
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath

import pytest
import torch
from people_photos import people_rgba, written

from mmgen.assets.glb import glb_bytes, read_glb
from mmgen.assets.tree import GlbFile
from mmgen.assets.verification import verify
from mmgen.core.errors import FatalError, ItemError
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.mesh_predictions import MeshFolder
from mmgen.evaluation.photos import Loaded
from mmgen.gallery.items import collect_items
from mmgen.models.weights import save_weights
from mmgen.photos.inputs import InputItem, UsageError, list_inputs
from mmgen.reconstruction.batch import BatchConfig, Summary, run_batch
from mmgen.reconstruction.identities import by_identity
from mmgen.reconstruction.options import ReconstructOptions, build_reconstructor, job_of
from mmgen.reconstruction.rerun import Rerunner, Whereabouts
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import Choices, read_records
from recon.encoders import AttributeEncoder, aligned_config
from recon.template import ellipsoid_template


def photo(path: str, height_m: float | None = None, root: str = "/in") -> InputItem:
    return InputItem(Path(root, path), Path(root), PurePath(path), f"{path}.glb", height_m)


def test_people_are_known_by_market_names_or_by_folders():
    items = [
        photo("query/0002_c1s1_000451_03.jpg"),
        photo("gallery/0002_c3s1_000551_00.png", root="/other"),
        photo("query/0000_c1s1_000451_03.jpg"),
        photo("query/-1_c1s1_000451_03.jpg"),
        photo("friends/anna.b/1.jpg", 1.6),
        photo("friends/anna.b/2.jpg"),
        photo("top.jpg"),
    ]
    found = by_identity(items)
    assert [(one.name, one.output, len(one.photos)) for one in found] == [
        ("0002", "0002.glb", 2),
        ("friends/anna.b", "friends/anna.b.glb", 2),
        ("in", "in.glb", 1),
    ]
    assert [one.height_m for one in found] == [None, 1.6, None] and found[1].photos[1].height_m == 1.6


def test_nobody_and_two_heights_are_refused():
    with pytest.raises(FatalError, match=r"all photos are junk \(-1\) or distractors \(0000\)"):
        by_identity([photo("-1_c1s1_000451_03.jpg")])
    with pytest.raises(UsageError, match=r"of someone 1\.6 m and 1\.7 m tall"):
        by_identity([photo("a/1.jpg", 1.6), photo("a/2.jpg", 1.7)])


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> ReconstructOptions:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    template = ellipsoid_template(2, (0.25, 0.9, 0.15))
    encoder = AttributeEncoder(aligned_config(height=128, width=64, shape_space="free"), template).eval()
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, encoder, template, {})
    return ReconstructOptions(texture_size=(64, 32), masks="alpha", weights=path, by_identity=True, refine_steps=0)


def run(folder: Path, options: ReconstructOptions, chunk_items: int = 8) -> Summary:
    out = folder / "meshes"
    items = list_inputs([folder / "in"], out, arranged=by_identity)
    return run_batch(BatchConfig(items, job_of(options, out), chunk_items=chunk_items), RunCallbacks())


@pytest.fixture(scope="module")
def made(options: ReconstructOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Anna with two good photos and one without a person; Ben with one."""
    folder = tmp_path_factory.mktemp("made")
    first, second, third = people_rgba(3)
    empty = third.copy()
    empty[..., 3] = 0
    written(folder / "in" / "anna", {"1.png": first, "2.png": second, "3.png": empty})
    written(folder / "in" / "ben", {"1.png": third})
    summary = run(folder, options)
    assert (summary.ok, summary.left_out, summary.exit_code) == (2, 1, 3)
    assert [count.error for count in summary.errors] == ["mask_empty"]
    return folder


def test_all_photos_are_in_record_and_provenance(made):
    record = read_records(made / "meshes")["anna"]
    assert record.status == "ok" and record.output == "anna.glb"
    assert sorted((one.input, one.error) for one in record.photos) == [
        ("anna/1.png", None),
        ("anna/2.png", None),
        ("anna/3.png", "mask_empty"),
    ]
    said = read_glb(made / "meshes" / "anna.glb").provenance
    assert [row["input"] for row in said["photos"]] == ["anna/1.png", "anna/2.png"]
    assert said["pose_from"] == record.photos[0].input and said["input_sha256"] == record.input_sha256
    assert sum(row["share"] for row in said["photos"]) == pytest.approx(1, abs=1e-5)
    assert said["mask_iou"] == pytest.approx(sum(row["share"] * row["mask_iou"] for row in said["photos"]), abs=1e-5)
    assert "photos" not in json.loads(replace(record, photos=()).to_line())
    assert verify(made / "meshes").findings == ()


def test_a_second_run_does_nothing_until_a_photo_changes(made, options):
    before = read_records(made / "meshes")
    again = run(made, options)
    assert (again.skipped, again.left_out, again.exit_code) == (2, 1, 3)
    third = made / "in" / "anna" / "3.png"
    data = third.read_bytes()
    try:
        third.write_bytes((made / "in" / "ben" / "1.png").read_bytes())
        changed = run(made, options)
        assert (changed.skipped, changed.left_out, changed.exit_code) == (1, 0, 0)
    finally:
        third.write_bytes(data)
    run(made, options, chunk_items=1)
    after = read_records(made / "meshes")
    assert [one.output_sha256 for one in before.values()] == [one.output_sha256 for one in after.values()]


def test_the_same_bytes_are_made_again_from_provenance(made, options):
    there = Rerunner(Whereabouts(weights=options.weights))
    mesh = GlbFile(PurePosixPath("anna.glb"), made / "meshes" / "anna.glb")
    assert there.difference(mesh) is None
    elsewhere = Rerunner(Whereabouts(photos=made / "in" / "ben", weights=options.weights))
    with pytest.raises(ItemError, match="is not the photo that it was made from"):
        elsewhere.difference(mesh)


def test_each_photo_is_scored_under_its_own_camera(made):
    answers = MeshFolder(made / "meshes")
    said = read_glb(made / "meshes" / "anna.glb")
    for row in said.provenance["photos"]:
        item = DataSetPhoto(row["input"], made / "in" / row["input"], None, None, None)
        answer = answers.answer(Loaded(item, torch.zeros(0), torch.zeros(128, 64), None, (128, 64)))
        assert float(answer.camera.azimuth_deg) == pytest.approx(row["camera"]["azimuth_deg"])
    with pytest.raises(ItemError, match=r"anna/3\.png was not reconstructed"):
        answers.path_of(DataSetPhoto("anna/3.png", made / "in" / "anna" / "3.png", None, None, None))


def test_the_gallery_shows_the_photo_whose_pose_it_is(made):
    anna, ben = collect_items(made / "meshes")
    assert anna.name == "anna" and anna.photo is not None and anna.photo.is_file() and len(anna.photos) == 3
    assert ben.photo == made / "in" / "ben" / "1.png"


def test_nobody_usable_says_so(made, options):
    reconstructor = build_reconstructor(options)
    empty = InputItem(made / "in" / "anna" / "3.png", made / "in", PurePath("anna/3.png"), "3.glb")
    person = InputItem(made, made, PurePath("x"), "x.glb", None, (empty, empty))
    with pytest.raises(ItemError, match="none of the 2 photos of x can be used; the first: "):
        reconstructor.prepare(person)


def test_what_was_chosen_for_one_person_is_done_for_that_person_alone(made, options):
    """Of a batch of two; texture and steps are in what is said and in what is written."""
    out = made / "chosen"
    items = list_inputs([made / "in"], out, arranged=by_identity)
    anna, ben = (
        replace(one, choices=chosen) for one, chosen in zip(items, (Choices(texture_rows=128), Choices()), strict=True)
    )
    maker = build_reconstructor(options)
    first, second = maker.reconstruct([maker.prepare(one)[0] for one in (anna, ben)])
    assert first.asset.texture.shape[:2] == (128, 64) and first.asset.provenance["options"]["texture_size"] == [128, 64]
    assert second.asset.texture.shape[:2] == (64, 32)
    assert glb_bytes(second.asset, "jpeg") == (made / "meshes" / "ben.glb").read_bytes()
