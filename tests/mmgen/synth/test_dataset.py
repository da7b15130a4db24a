"""The data set folder: layout, bytes, resume, refusals, and the command."""

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from mmgen.cli import cli
from mmgen.core.errors import FatalError, MmgenError
from mmgen.synth.archive import npz_bytes, pack_array
from mmgen.synth.crowd import CrowdOptions
from mmgen.synth.dataset import claim_folder, unfinished
from mmgen.synth.layout import entries, image_paths, make_plan

NAME = re.compile(r"^(bounding_box_train|bounding_box_test|query)/(\d{4})_c([1-6])s([1-6])_(\d{6})_(\d{2})\.jpg$")
SMALL = ["--identities", "3", "--views", "2", "--poses", "1", "--height", "48", "--test-fraction", "0.34"]
TRUTH_FIELDS = set(
    "vertices faces colors azimuth_deg elevation_deg distance offset world_to_camera intrinsics"
    " light_direction_camera light_ambient light_sun"
    " prototype_rest prototype_posed prototype_joints prototype_rotations".split()
)


def synth(out: Path, *arguments: str) -> Result:
    """Run the command on a small data set."""
    return CliRunner().invoke(cli, ["synth", str(out), *SMALL, "--workers", "1", *arguments])


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the lock."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".mmgen" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set."""
    out = tmp_path_factory.mktemp("synth") / "people"
    result = synth(out)
    assert result.exit_code == 0, result.output
    return out


def test_every_image_has_a_mask_and_truth_of_its_size(made: Path) -> None:
    images = [name for name in contents(made) if NAME.match(name)]
    assert len(images) == 6
    for name in images:
        with Image.open(made / name) as image, Image.open(made / "masks" / name.replace(".jpg", ".png")) as mask:
            assert image.size == mask.size == (24, 48) and image.mode == "RGB" and mask.mode == "L"
            assert set(np.unique(np.asarray(mask))) == {0, 255}
        with np.load(made / "truth" / name.replace(".jpg", ".npz"), allow_pickle=False) as truth:
            assert set(truth) == TRUTH_FIELDS
            assert truth["vertices"].dtype == truth["colors"].dtype == np.float32 and truth["faces"].dtype == np.int32
            assert truth["vertices"].shape == truth["colors"].shape and truth["faces"].max() < len(truth["vertices"])
            assert truth["azimuth_deg"].shape == () and truth["world_to_camera"].shape == (4, 4)
            assert truth["intrinsics"][0, 2] == 12


def test_the_index_says_how_it_was_made_and_who_is_who(made: Path) -> None:
    index = json.loads((made / "synth.json").read_text())
    assert index["complete"] and index["settings"]["identities"] == 3 and index["counts"]["images"] == 6
    assert [who["label"] for who in index["identities"]] == ["0001", "0002", "0003"]
    assert [who["split"] for who in index["identities"]] == ["train", "train", "test"]
    assert sorted(image for who in index["identities"] for image in who["images"]) == sorted(
        name for name in contents(made) if NAME.match(name)
    )
    assert "CC0" in index["licence"]
    assert (made / "contact_sheet.jpg").stat().st_size > 1000


def test_a_second_run_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    assert synth(tmp_path / "again").exit_code == 0
    assert contents(tmp_path / "again") == contents(made)


def test_a_rerun_makes_what_is_missing_and_nothing_else(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "people"
    assert synth(out).exit_code == 0
    lost = next(path for path in sorted((out / "truth" / "query").iterdir()))
    lost.unlink()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("000[12]_*")}
    result = synth(out, "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["images_made"] == 2
    assert {path: path.stat().st_mtime_ns for path in out.rglob("000[12]_*")} == kept
    assert contents(out) == contents(made)


def test_other_settings_into_the_same_folder_are_refused(made: Path) -> None:
    before = contents(made)
    result = synth(made, "--seed", "1")
    assert result.exit_code == 4
    assert "was made with other settings: seed 0 (now 1)" in result.stderr
    assert contents(made) == before


def test_another_style_is_another_setting(made: Path) -> None:
    assert json.loads((made / "synth.json").read_text())["settings"]["style"] == "street"
    result = synth(made, "--style", "studio")
    assert result.exit_code == 4 and "style street (now studio)" in result.stderr


def test_folders_that_hold_other_things_are_refused(tmp_path: Path) -> None:
    plan = make_plan(2, 0.5, CrowdOptions(views=2))
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(FatalError, match=r"is not empty and holds no synth\.json"):
        claim_folder(tmp_path, plan)
    (tmp_path / "synth.json").write_text("[]")
    with pytest.raises(FatalError, match="is no index of a generated data set"):
        claim_folder(tmp_path, plan)


def test_dry_run_forecasts_and_writes_nothing(tmp_path: Path) -> None:
    result = synth(tmp_path / "people", "--dry-run", "--json")
    assert result.exit_code == 0 and not (tmp_path / "people").exists()
    forecast = json.loads(result.stdout)
    assert forecast["images_todo"] == 6 and forecast["seconds"] > 0
    assert "nothing was written" in result.stderr


def test_the_forecast_of_bytes_is_about_right(made: Path, tmp_path: Path) -> None:
    expected = json.loads(synth(tmp_path / "people", "--dry-run", "--json").stdout)["bytes"]
    real = sum(len(data) for name, data in contents(made).items() if "/" in name)
    assert 0.7 < expected / real < 1.4


def test_dry_run_counts_what_is_left(made: Path) -> None:
    assert json.loads(synth(made, "--dry-run", "--json").stdout)["images_todo"] == 0


@pytest.mark.slow
def test_the_number_of_processes_changes_no_byte(made: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["synth", str(tmp_path / "people"), *SMALL, "--workers", "2"])
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "people") == contents(made)


@pytest.mark.slow
def test_parts_make_the_same_data_set_together(made: Path, tmp_path: Path) -> None:
    first = synth(tmp_path / "people", "--shard", "1/2")
    assert first.exit_code == 0, "identities of the other part are no failure"
    assert not json.loads((tmp_path / "people" / "synth.json").read_text())["complete"]
    assert synth(tmp_path / "people", "--shard", "0/2").exit_code == 0
    assert contents(tmp_path / "people") == contents(made)


def test_a_test_person_with_one_view_is_wrong_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["synth", str(tmp_path / "people"), "--views", "1", "--identities", "2"])
    assert result.exit_code == 2 and "use --views 2 or more, or --test-fraction 0" in result.stderr


@pytest.mark.parametrize("views", range(2, 15))
def test_every_query_finds_its_person_under_another_camera(views: int) -> None:
    plan = make_plan(12, 0.5, CrowdOptions(views=views))
    for entry in entries(plan):
        parts = [NAME.match(path) for path in image_paths(plan, entry)]
        assert all(parts)
        rows = [part.groups() for part in parts if part]
        assert len({row[1:] for row in rows}) == views
        queries = [row[2] for row in rows if row[0] == "query"]
        gallery = [row[2] for row in rows if row[0] == "bounding_box_test"]
        if entry.split == "train":
            assert not queries and not gallery
        else:
            assert queries and len(set(queries)) == len(queries)
            assert all(any(other != camera for other in gallery) for camera in queries)


def test_labels_are_unique_and_the_splits_have_the_asked_sizes() -> None:
    plan = make_plan(10, 0.2, CrowdOptions(views=4))
    everyone = entries(plan)
    assert [entry.label for entry in everyone] == list(range(1, 11))
    assert [entry.split for entry in everyone] == ["train"] * 8 + ["test"] * 2
    assert [entry.index for entry in everyone] == [*range(8), 0, 1]
    assert make_plan(10, 0.0, CrowdOptions(views=1)).test_identities == 0
    assert make_plan(10, 0.001, CrowdOptions(views=4)).test_identities == 1
    with pytest.raises(MmgenError, match="have nothing to be matched with"):
        make_plan(10, 0.2, CrowdOptions(views=1))


def test_an_identity_is_unfinished_until_its_last_file_is_there(tmp_path: Path) -> None:
    plan = make_plan(2, 0.5, CrowdOptions(views=2))
    claim_folder(tmp_path, plan)
    assert len(unfinished(tmp_path, plan)) == 2


def test_archives_hold_what_was_put_in_and_depend_on_nothing_else() -> None:
    arrays = {"vertices": np.arange(12, dtype=np.float32).reshape(4, 3), "distance": np.array(2.5, np.float32)}
    first, second = (npz_bytes([pack_array(name, value) for name, value in arrays.items()]) for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None and {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    with np.load(io.BytesIO(first), allow_pickle=False) as loaded:
        assert list(loaded) == list(arrays)
        for name, value in arrays.items():
            assert loaded[name].dtype == value.dtype and np.array_equal(loaded[name], value)
            assert loaded[name].shape == value.shape
