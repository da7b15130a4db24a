"""`mmgen masks`: a tree of masks, a record, work that is done once, corrections that stay."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from mask_files import BODY, photo_file, save, shades
from PIL import Image

from mmgen.cli import cli
from mmgen.core.errors import ItemError
from mmgen.masks import network
from mmgen.masks.structures import Guess
from mmgen.work.records import read_records


@pytest.fixture(autouse=True)
def guesses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A network that always finds the same person, except in photos of `bad`; hears of every photo asked for."""
    asked: list[str] = []

    def guess(rgb: np.ndarray, name: str) -> tuple[Guess, ...]:
        asked.append(name)
        if "bad" in name:
            raise ItemError("mask_unusable", f"{name} is not to be trusted", "Give a mask.")
        return (Guess(np.where(BODY, np.uint8(255), np.uint8(0)), 0.62),)

    monkeypatch.setattr(network, "guess_people", guess)
    return asked


def masks(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["masks", *map(str, words), "--workers", "1"])


def test_masks_mirror_the_tree_and_are_made_once(tmp_path: Path, guesses: list[str]) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photo_file(photos, "a.png")
    photo_file(photos, "inner/b.jpg")
    photo_file(photos, "inner/bad.png")
    save(photos / "a_mask.png", shades(BODY))
    result = masks(photos, "--out", out, "--json")
    assert result.exit_code == 3
    data = json.loads(result.stdout)
    assert (data["schema"], data["ok"], data["failed"], data["exit_code"]) == ("mmgen.masks/1", 2, 1, 3)
    assert "low confidence: inner/b.png: quality 0.62" in result.stderr
    assert "bad.png is not to be trusted (mask_unusable). Give a mask." in result.stderr
    for name in ("a.png", "inner/b.png"):
        np.testing.assert_array_equal(np.asarray(Image.open(out / name)), np.where(BODY, 255, 0))
    records = read_records(out)
    sources = {name: (record.status, record.mask_source, record.mask_quality) for name, record in records.items()}
    assert sources == {
        "a.png": ("ok", "sibling", None),
        "inner/b.jpg": ("ok", "network", 0.62),
        "inner/bad.png": ("failed", None, None),
    }
    before = (out / "inner/b.png").stat().st_mtime_ns
    guesses.clear()
    assert "2 of 3 are done already" in masks(photos, "--out", out).stderr
    assert len(guesses) == 1 and (out / "inner/b.png").stat().st_mtime_ns == before


def test_what_was_corrected_by_hand_stays(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for name in ("a.png", "bad.png"):
        photo_file(photos, name)
    assert masks(photos, "--out", out, "--method", "network").exit_code == 3
    for name in ("a.png", "bad.png"):
        save(out / name, shades(BODY[:, ::-1]))
    assert masks(photos, "--out", out, "--method", "network").exit_code == 0
    records = read_records(out)
    assert [record.mask_source for record in records.values()] == ["corrected", "corrected"]
    assert "a.png was corrected by hand and stays" in records["a.png"].notes[0]
    np.testing.assert_array_equal(np.asarray(Image.open(out / "a.png")), np.where(BODY[:, ::-1], 255, 0))
    assert masks(photos, "--out", out, "--method", "network", "--overwrite").exit_code == 3
    np.testing.assert_array_equal(np.asarray(Image.open(out / "a.png")), np.where(BODY, 255, 0))


def test_another_network_makes_new_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guesses: list[str]) -> None:
    photo_file(tmp_path / "photos")
    masks(tmp_path / "photos", "--out", tmp_path / "out")
    monkeypatch.setattr("mmgen.reconstruction.job.network_sha256", lambda: "other")
    guesses.clear()
    masks(tmp_path / "photos", "--out", tmp_path / "out")
    assert len(guesses) == 1


def test_the_plan_writes_nothing(tmp_path: Path) -> None:
    photo_file(tmp_path / "photos")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"")
    result = masks(tmp_path / "photos", "--out", tmp_path / "out", "--dry-run", "--json")
    assert result.exit_code == 3 and json.loads(result.stdout)["todo"] == ["a.png", "broken.jpg"]
    assert "will fail: broken.jpg" in result.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--overwrite", "--retry-failed"), "exclude each other"),
        (("--method", "none"), "leaves nothing to do"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    photo_file(tmp_path)
    result = masks(tmp_path, "--out", tmp_path / "out", *words)
    assert result.exit_code == 2 and message in result.stderr


def test_two_photos_of_one_name_have_a_mask_each(tmp_path: Path) -> None:
    photo_file(tmp_path / "photos", "a.png")
    photo_file(tmp_path / "photos", "a.jpg")
    result = masks(tmp_path / "photos", "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a.jpg.png", "a.png.png"]


def test_a_name_that_is_too_long_costs_itself_alone(tmp_path: Path) -> None:
    photo_file(tmp_path, "a.png")
    (tmp_path / "list.txt").write_text("a.png\n" + "x" * 5000 + ".png\n")
    assert masks(tmp_path / "list.txt", "--out", tmp_path / "out").exit_code == 3
    statuses = sorted(record.status for record in read_records(tmp_path / "out").values())
    assert statuses == ["failed", "ok"] and (tmp_path / "out" / "a.png").is_file()
