"""`mmgen evaluate` as it is typed: perfect, wrong and missing answers, masks of others, and what scripts rely on."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from evaluation_scenes import AZIMUTHS_DEG, NAMES, people, truth_arrays, with_camera, write_data, write_meshes
from PIL import Image

from mmgen.cli import cli
from mmgen.evaluation import running

CONTRACT = {
    *("mask_iou", "ssim", "ssim_in_mask", "novel_mask_iou", "novel_ssim", "back_ssim", "azimuth_error_deg_median"),
    *("chamfer", "volume_iou"),
}
"""Names that scripts rely on."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos with truth."""
    return write_data(tmp_path_factory.mktemp("evaluate") / "people")


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The true bodies under their true cameras."""
    return write_meshes(tmp_path_factory.mktemp("evaluate") / "meshes")


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["evaluate", "--workers", "1", "--device", "cpu", *map(str, words)])


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}


def figures(*words: str | Path) -> dict[str, float]:
    result = call(*words, "--json")
    assert result.exit_code == 0, result.stderr
    metrics = json.loads(result.stdout)["metrics"]
    assert isinstance(metrics, dict)
    return metrics


@pytest.fixture(scope="module")
def perfect(data: Path, meshes: Path) -> dict[str, float]:
    return figures("--data", data, "--meshes", meshes)


def test_the_contract(data: Path, meshes: Path, perfect: dict[str, float]) -> None:
    result = call("--data", data, "--meshes", meshes, "--json")
    answer = json.loads(result.stdout)
    assert answer["n"] == answer["n_truth"] == 3 and answer["failed"] == 0 and answer["exit_code"] == 0
    assert answer["metrics"] == perfect
    assert set(perfect) >= CONTRACT
    columns = ("novel_mask_iou", "novel_ssim", "back_mask_iou", "back_ssim", "chamfer", "volume_iou")
    assert set(perfect) >= {prefix + name for prefix in ("template_", "billboard_") for name in columns}
    assert not any("fid" in name for name in perfect), "no Inception, no FID"


def test_the_true_bodies_score_near_one(perfect: dict[str, float]) -> None:
    for name in ("mask_iou", "truth_mask_iou", "novel_mask_iou", "back_mask_iou"):
        assert perfect[name] > 0.93, name
    assert perfect["covered_iou"] > 0.98
    for name in ("ssim", "ssim_in_mask", "novel_ssim", "back_ssim"):
        assert perfect[name] > 0.95, name
    assert perfect["volume_iou"] > 0.99 and perfect["chamfer"] < 1e-3
    for name in ("azimuth_error_deg_median", "elevation_error_deg", "distance_error"):
        assert perfect[name] == pytest.approx(0, abs=0.02), name
    assert perfect["front_back_accuracy"] == perfect["azimuth_within_20_deg"] == 1
    assert perfect["azimuth_spread_deg"] > 50
    assert perfect["frechet_colour_edge_recon"] < 0.1 * perfect["frechet_colour_edge_90"]
    assert perfect["billboard_novel_mask_iou"] < perfect["template_novel_mask_iou"] < perfect["novel_mask_iou"] - 0.05


def test_refinement_is_for_weights(data: Path, meshes: Path) -> None:
    result = call("--data", data, "--meshes", meshes, "--refine", "5")
    assert result.exit_code == 2 and "--refine is for --weights" in result.stderr


def test_a_wrong_camera_is_seen(data: Path, tmp_path: Path, perfect: dict[str, float]) -> None:
    def turned(one):
        return with_camera(one, azimuth_deg=one.provenance["camera"]["azimuth_deg"] + 120)

    wrong = figures("--data", data, "--meshes", write_meshes(tmp_path / "m", turned))
    assert wrong["azimuth_error_deg_median"] == pytest.approx(120, abs=0.1)
    assert wrong["novel_ssim"] < perfect["novel_ssim"] - 0.1 and wrong["ssim"] < perfect["ssim"] - 0.1
    assert wrong["chamfer"] == pytest.approx(perfect["chamfer"], abs=1e-6), "the canonical frame knows no camera"


def test_the_crop_decides_where_the_asset_is_drawn(data: Path, tmp_path: Path) -> None:
    def shifted(one):
        crop = one.provenance["crop_px"] | {"left": one.provenance["crop_px"]["left"] + 4}
        return replace(one, provenance=one.provenance | {"crop_px": crop})

    aside = figures("--data", data, "--meshes", write_meshes(tmp_path / "m", shifted))
    assert 0.5 < aside["mask_iou"] < 0.85
    assert aside["novel_mask_iou"] > 0.93, "compared where position drops out"


def test_another_height_of_the_asset_changes_nothing(data: Path, tmp_path: Path, perfect: dict[str, float]) -> None:
    def smaller(one):
        return replace(one, vertices=one.vertices * np.float32(0.5))

    assert figures("--data", data, "--meshes", write_meshes(tmp_path / "m", smaller)) == pytest.approx(
        perfect, abs=2e-3
    )


def test_unit_lens_and_size_of_the_truth_do_not_matter(data: Path, meshes: Path, tmp_path: Path, perfect) -> None:
    """Centimetres, an origin far away, a lens of twice the focal length from twice as far."""
    other = tmp_path / "people"
    shutil.copytree(data, other)
    for person in people():
        camera = replace(person.camera, distance=2 * person.camera.distance, focal=2 * person.camera.focal)
        arrays = truth_arrays(replace(person, camera=camera))
        shift = np.array([300.0, 20.0, -40.0])
        arrays["vertices"] = 100 * arrays["vertices"].astype(np.float64) + shift
        rigid = arrays["world_to_camera"].astype(np.float64)
        rigid[:3, 3] = 100 * rigid[:3, 3] - rigid[:3, :3] @ shift
        arrays["world_to_camera"] = rigid
        np.savez((other / "truth" / person.name).with_suffix(".npz"), **arrays)
    scores = figures("--data", other, "--meshes", meshes)
    for name in ("novel_mask_iou", "novel_ssim", "back_ssim", "chamfer", "volume_iou", "azimuth_error_deg_median"):
        assert scores[name] == pytest.approx(perfect[name], abs=0.02), name
    assert scores["distance_error"] < 0.03


def test_trivial_answers_are_their_own_columns(data: Path) -> None:
    card = figures("--data", data, "--trivial", "billboard")
    for name in ("novel_mask_iou", "back_ssim", "chamfer", "volume_iou"):
        assert card[name] == pytest.approx(card[f"billboard_{name}"], abs=1e-5), name
    assert card["mask_iou"] > 0.9 and card["ssim"] > 0.9, "blind to the other sides"
    assert card["novel_mask_iou"] < 0.6 and card["azimuth_spread_deg"] == 0
    errors = [abs(azimuth) for azimuth in AZIMUTHS_DEG]
    assert card["azimuth_error_deg_median"] == pytest.approx(sorted(errors)[1], abs=0.01)
    shape = figures("--data", data, "--trivial", "template")
    assert shape["novel_mask_iou"] == pytest.approx(shape["template_novel_mask_iou"])
    assert 0.3 < shape["mask_iou"] < 0.9


def test_masks_of_other_methods_by_hand(data: Path, tmp_path: Path) -> None:
    """16 true pixels of one photo: half of them and as many outside, then soft ones."""
    root, others = tmp_path / "data", tmp_path / "theirs"
    for name in ("a/1.jpg", "a/2.jpg"):
        for folder in (root, root / "masks", others):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 32), (90, 80, 70)).save(root / name)
        true = np.zeros((32, 24), np.uint8)
        true[8:12, 4:8] = 255
        Image.fromarray(true).save((root / "masks" / name).with_suffix(".png"))
    half = np.zeros((32, 24), np.uint8)
    half[8:12, 6:10] = 255  # 8 of 16 hit, 8 beside: 8 / 24
    Image.fromarray(half).save(others / "a" / "1.png")
    soft = np.zeros((32, 24), np.uint8)
    soft[8:12, 4:8] = 102  # 0.4 everywhere inside: 0.4 / 1
    soft[0, 0] = 255  # and one pixel outside: 6.4 / 17
    Image.fromarray(soft).save(others / "a" / "2.png")
    result = call("--data", root, "--predicted-masks", others, "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["metrics"] == {"mask_iou": pytest.approx((8 / 24 + 6.4 / 17) / 2, abs=1e-6)} and answer["n"] == 2
    rows = [json.loads(line) for line in (tmp_path / "out" / "per_item.jsonl").read_text().splitlines()]
    assert [row["mask_iou"] for row in rows] == [pytest.approx(8 / 24, abs=1e-6), pytest.approx(6.4 / 17, abs=1e-6)]
    assert "data:image/webp" in (tmp_path / "out" / "report.html").read_text()


def test_a_missing_mask_costs_its_photo_and_no_other(data: Path, meshes: Path, tmp_path: Path) -> None:
    broken = tmp_path / "people"
    shutil.copytree(data, broken)
    (broken / "masks" / NAMES[0]).with_suffix(".png").unlink()
    (broken / "truth" / NAMES[1]).with_suffix(".npz").write_bytes(b"PK\x03\x04 no zip")
    result = call("--data", broken, "--meshes", meshes, "--json", "--out", tmp_path / "out")
    answer = json.loads(result.stdout)
    assert result.exit_code == answer["exit_code"] == 3
    assert answer["n"] == 1 and answer["errors"] == {"mask_missing": 1, "truth_unreadable": 1}
    assert "looked for masks/query/0001_c1s1_000001_00.png" in result.stderr
    rows = {
        one["input"]: one for one in map(json.loads, (tmp_path / "out" / "per_item.jsonl").read_text().splitlines())
    }
    assert rows[NAMES[0]]["status"] == "failed" and rows[NAMES[0]]["error"] == "mask_missing"
    assert rows[NAMES[2]]["status"] == "ok" and rows[NAMES[2]]["true_azimuth_deg"] == AZIMUTHS_DEG[2]
    assert "mask_missing" in (tmp_path / "out" / "report.html").read_text()
    parts = [call("--data", broken, "--meshes", meshes, "--out", tmp_path / "p", "--shard", f"{i}/2") for i in (0, 1)]
    assert [part.exit_code for part in parts] == [3, 3] and "not there yet: 1-of-2" in parts[0].stderr
    assert contents(tmp_path / "p") == contents(tmp_path / "out")


def test_meshes_that_are_missing_or_know_no_camera(data: Path, tmp_path: Path) -> None:
    def bare(one):
        return replace(one, provenance={"input": one.name})

    folder = write_meshes(tmp_path / "m", bare)
    (folder / NAMES[0]).with_suffix(".glb").unlink()
    (folder / NAMES[1]).with_suffix(".glb").write_bytes(b"glTF")
    result = call("--data", data, "--meshes", folder, "--json")
    assert result.exit_code == 4, "nothing could be scored"
    answer = json.loads(result.stdout)
    assert answer["n"] == 0 and answer["metrics"] == {}
    assert set(answer["errors"]) == {"asset_camera_missing", "glb_malformed", "mesh_missing"}
    assert call("--data", data, "--meshes", folder, "--out", tmp_path / "out").exit_code == 4
    assert (tmp_path / "out" / "report.html").read_text().count("<article>") == 3
    assert "does not say how it lies in its photo (KeyError: 'photo_size_px')" in result.stderr


def test_photos_of_another_shape_are_refused(data: Path, tmp_path: Path) -> None:
    def wide(one):
        return replace(one, provenance=one.provenance | {"photo_size_px": [96, 96]})

    result = call("--data", data, "--meshes", write_meshes(tmp_path / "m", wide))
    assert result.exit_code == 4 and "made from a photo of 96 x 96 pixels, not 56 x 96 (photo_size)" in result.stderr


def test_the_table(data: Path) -> None:
    result = call("--data", data, "--trivial", "billboard", "--limit", "1")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["measure", "scored", "mean", "template", "cardboard", "cut-out"]
    chamfer = next(line for line in lines if line.startswith("Chamfer"))
    assert re.fullmatch(r"Chamfer / height \(less is better\)( +0\.\d{4}){3}", chamfer)
    assert "1 photos scored, 1 of them against truth, 0 failed" in result.stderr


def test_written_files_are_those_of_three_parts_and_hold_no_links(
    data: Path, meshes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--data", data, "--meshes", meshes)
    assert call(*words, "--out", tmp_path / "one").exit_code == 0
    monkeypatch.setattr(running, "CHUNK_PHOTOS", 1)
    assert call(*words, "--seed", "1", "--out", tmp_path / "two", "--shard", "0/3").exit_code == 0  # of another run
    for index in (2, 1, 0):
        assert not (tmp_path / "two" / "metrics.json").exists()
        result = call(*words, "--out", tmp_path / "two", "--shard", f"{index}/3")
        assert result.exit_code == 0, result.stderr
    assert "all 3 parts are there" in result.stderr
    for name in ("metrics.json", "per_item.jsonl", "report.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    page = (tmp_path / "one" / "report.html").read_text()
    assert "default-src 'none'" in page and "http" not in re.sub(r'(http-equiv|base64,[^"]+)', "", page)
    assert page.count("<article>") == 3 and "<svg" in page and "{{" not in page
    assert json.loads((tmp_path / "one" / "metrics.json").read_text())["n"] == 3


def test_names_are_escaped_in_the_page(tmp_path: Path) -> None:
    data = write_data(tmp_path / "d", lambda name: f"test/<img src=x onerror=alert(1)>{Path(name).stem}.jpg", count=1)
    result = call("--data", data, "--trivial", "billboard", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=x" not in page and "&lt;img src=x" in page


def test_the_published_protocol_goes_through_jpeg(data: Path, meshes: Path, perfect: dict[str, float]) -> None:
    published = figures("--data", data, "--meshes", meshes, "--published-protocol")
    assert published["mask_iou"] != perfect["mask_iou"]
    assert published["mask_iou"] == pytest.approx(perfect["mask_iou"], abs=0.01)
    assert published["ssim"] == pytest.approx(perfect["ssim"], abs=0.02)
    assert published["chamfer"] == perfect["chamfer"]


def test_wrong_usage(data: Path, meshes: Path, tmp_path: Path) -> None:
    two = call("--data", data, "--meshes", meshes, "--trivial", "template")
    assert two.exit_code == 2 and "--meshes and --trivial exclude each other" in two.stderr
    alone = call("--data", data, "--meshes", meshes, "--shard", "0/2")
    assert alone.exit_code == 2 and "--shard needs --out" in alone.stderr
    both = call("--data", data, "--weights", "w.safetensors", "--size", "64x32")
    assert both.exit_code == 2 and "--size and --weights exclude each other" in both.stderr
    for words, code in (
        (("--meshes", tmp_path / "none"), "there is no folder"),
        (("--predicted-masks", tmp_path / "none"), "there is no folder"),
        (("--weights", tmp_path / "none"), "there is no weights file"),
        (("--trivial", "template", "--inception", tmp_path / "none"), "there is no file"),
        (("--trivial", "template", "--split", "train"), "has no part 'train'; it has: gallery, query"),
    ):
        result = call("--data", data, *words)
        assert result.exit_code == 4 and code in result.stderr, result.stderr


def test_dry_run_writes_nothing(data: Path, tmp_path: Path) -> None:
    words = ("--data", data, "--trivial", "template", "--out", tmp_path / "out", "--dry-run", "--json")
    result = call(*words)
    assert result.exit_code == 0 and not (tmp_path / "out").exists()
    answer = json.loads(result.stdout)
    assert (answer["images"], answer["mask_files"], answer["truth_files"], answer["split"]) == (3, 3, 3, "test")
