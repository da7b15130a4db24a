"""`mmgen verify --rerun`: the same bytes again, and plain words where that cannot be."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from click.testing import CliRunner
from puppets import OPTIONS, draw_people

from mmgen.assets.exporting import ExportRun, plan_jobs, run_jobs
from mmgen.assets.formats import ExportOptions
from mmgen.assets.glb import glb_bytes, read_glb
from mmgen.assets.tree import GlbFile, list_glbs
from mmgen.cli import cli
from mmgen.core.errors import ItemError
from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.batch import BatchConfig, run_batch
from mmgen.reconstruction.fit import FitReconstructor
from mmgen.reconstruction.job import Job
from mmgen.reconstruction.rerun import Rerunner, Whereabouts
from mmgen.work.callbacks import RunCallbacks

RERUNNER = Rerunner(Whereabouts())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`photos/0.png` of somebody 1.90 m tall, as a list says, and `meshes/` that one run made of it."""
    root = tmp_path_factory.mktemp("rerun")
    draw_people(root / "photos", 1)
    (root / "photos" / "list.jsonl").write_text('{"path": "0.png", "height_m": 1.9}')
    out = root / "meshes"
    job = Job(out, partial(FitReconstructor, OPTIONS), OPTIONS.result_options(), MaskSource("alpha"), 0.0, out / "log")
    assert (
        run_batch(BatchConfig(list_inputs([root / "photos" / "list.jsonl"], out), job), RunCallbacks()).exit_code == 0
    )
    return root


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy whose run record still names the first place of the photo."""
    shutil.copytree(made / "meshes", tmp_path / "meshes")
    return tmp_path


def mesh(folder: Path) -> GlbFile:
    return GlbFile(PurePosixPath("0.glb"), folder / "meshes" / "0.glb")


def rewritten(folder: Path, **changes: object) -> GlbFile:
    asset = read_glb(mesh(folder).path)
    mesh(folder).path.write_bytes(glb_bytes(replace(asset, provenance=asset.provenance | changes), "jpeg"))
    return mesh(folder)


def test_the_command_finds_the_photo_by_the_run_record_and_makes_the_same_bytes(made):
    result = CliRunner().invoke(cli, ["verify", str(made / "meshes"), "--rerun"])
    assert result.exit_code == 0, result.output
    assert "made again: 1 of 1 with the same bytes" in result.stdout
    asset = read_glb(made / "meshes" / "0.glb")
    assert asset.height_m == pytest.approx(1.9, rel=1e-6)
    assert (asset.provenance["height_m"], asset.provenance["height_source"]) == (1.9, "given")
    assert asset.provenance["options"]["height_m"] == 1.6, "what the run gives those without a height of their own"


def test_exports_are_made_again_with_all_that_they_changed(made, tmp_path):
    options = ExportOptions(texture_size=16, texture_codec="png", height_m=1.5, material="both")
    jobs = plan_jobs(list_glbs(made / "meshes"), ["glb"], options, tmp_path, lods=1)
    run_jobs(jobs, ExportRun(tmp_path, options), lambda result: None)
    there = Rerunner(Whereabouts(photos=made / "photos"))
    for file in list_glbs(tmp_path):
        assert there.difference(file) is None, file


def test_a_photo_that_moved_is_found_where_the_user_says_whatever_it_is_called_now(made, folder):
    shutil.copy(made / "photos" / "0.png", folder / "other.png")
    assert Rerunner(Whereabouts(photos=folder / "other.png")).difference(mesh(folder)) is None
    with pytest.raises(ItemError, match=r"the photo 0.png is not there .*nowhere") as caught:
        Rerunner(Whereabouts(photos=folder / "nowhere")).difference(mesh(folder))
    assert caught.value.code == "photo_missing" and "--photos" in caught.value.hint


def test_another_photo_under_the_name_is_not_taken_for_the_one(folder):
    draw_people(folder / "new", 1)
    with (folder / "new" / "0.png").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ItemError, match="is not the photo that it was made from") as caught:
        Rerunner(Whereabouts(photos=folder / "new")).difference(mesh(folder))
    assert caught.value.code == "photo_changed"


def test_a_mesh_that_somebody_changed_is_told_by_figures(folder):
    asset = read_glb(mesh(folder).path)
    moved = asset.vertices.copy()
    moved[0, 0] += 0.002
    changed = replace(asset, vertices=moved, texture=np.zeros_like(asset.texture), provenance=asset.provenance)
    mesh(folder).path.write_bytes(glb_bytes(changed, "jpeg"))
    difference = RERUNNER.difference(mesh(folder))
    assert difference is not None and "vertices differ by up to 2 mm" in difference and "texels differ" in difference


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"input_sha256": "0" * 64}, "photo_changed", "was changed since"),
        ({"mask_sha256": "0" * 64}, "mask_changed", "the mask of .* is not the one"),
        ({"mask_source": "folder"}, "mask_missing", "its mask came from a folder"),
        ({"weights_sha256": "0" * 64, "options": {"method": "network"}}, "weights_differ", "made with weights 00000"),
        ({"options": {"template": "1" * 64}}, "template_differs", "a template of hash 1111"),
        ({"options": {"refine_steps": "many"}}, "options_unknown", "options that mmgen .* does not know"),
        ({"options": {"refine_steps": 2**31 - 1}}, "options_unknown", "options that mmgen .* does not know"),
        ({"input": "../0.png"}, "provenance_invalid", "names a photo that is none"),
        ({"height_m": "tall"}, "options_unknown", "options that mmgen .* does not know"),
        ({"export": {"novelty": 1}}, "options_unknown", "options that mmgen .* does not know"),
        ({"options": {"novelty": 1}}, "options_unknown", "options that mmgen .* does not know"),
    ],
)
def test_what_is_not_as_it_was_is_named(folder, changes, code, words):
    if "options" in changes:
        changes = changes | {"options": OPTIONS.result_options() | changes["options"]}
    with pytest.raises(ItemError, match=words) as caught:
        RERUNNER.difference(rewritten(folder, **changes))
    assert caught.value.code == code


def test_a_mesh_without_provenance_cannot_be_made_again(folder):
    asset = replace(read_glb(mesh(folder).path), provenance={"input": "0.png"})
    mesh(folder).path.write_bytes(glb_bytes(asset))
    result = CliRunner().invoke(cli, ["verify", str(mesh(folder).path), "--rerun"])
    assert result.exit_code == 3
    assert "cannot be made again: it does not say how it was made" in result.stdout


def test_whereabouts_without_rerun_are_wrong_usage(folder):
    assert CliRunner().invoke(cli, ["verify", str(folder / "meshes"), "--photos", "x"]).exit_code == 2
