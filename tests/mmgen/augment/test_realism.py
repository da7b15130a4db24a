import json
import shutil

import numpy as np
from augment_folders import OPTIONS, made
from click.testing import CliRunner
from scipy import ndimage

from mmgen.augment import realism
from mmgen.augment.realism import area_under_curve, torso_measures
from mmgen.cli.main import cli


def test_measures_of_a_torso_fall_with_blur_and_leave_the_rest_of_the_picture_out():
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 32, 3)).astype(np.uint8)
    sharp = torso_measures(pictures)
    blurred = torso_measures(ndimage.gaussian_filter(pictures, (0, 1, 1, 0)))
    assert all(blurred[name] < 0.7 * sharp[name] for name in sharp)
    grey = np.repeat(pictures[..., :1], 3, axis=3)
    assert torso_measures(grey)["saturation"] == 0
    outside = pictures.copy()
    outside[:, :8], outside[:, 40:], outside[:, :, :6] = 0, 0, 0
    assert torso_measures(outside) == sharp


def test_area_under_curve_counts_ties_half():
    assert area_under_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert area_under_curve(np.zeros(6), np.arange(6) < 2) == 0.5


def test_the_judge_tells_blurred_from_sharp_people_and_nobody_from_themselves(monkeypatch):
    """On people whom it has not seen; a classifier that could not see sharpness would say 0.5."""
    monkeypatch.setattr(realism, "EPOCHS", 8)
    rng = np.random.default_rng(1)
    sharp = ndimage.gaussian_filter(rng.integers(0, 256, (96, 32, 16, 3)).astype(np.float32), (0, 0.4, 0.4, 0))
    people = tuple(f"{index % 16:04d}" for index in range(len(sharp)))
    real = realism.Pictures(sharp.astype(np.uint8), people)
    blurred = realism.Pictures(ndimage.gaussian_filter(real.rgb, (0, 0.8, 0.8, 0)), people)
    tested = frozenset(people[:5])
    assert realism._judge(real, blurred, tested, 0, lambda _: None) > 0.95
    assert realism._judge(real, real, tested, 0, lambda _: None) == 0.5


def test_verify_prints_realism_only_where_it_can(tmp_path, monkeypatch):
    monkeypatch.setattr(realism, "EPOCHS", 1)
    made(tmp_path, tmp_path / "out", OPTIONS)
    words = ["verify", str(tmp_path / "out"), "--realism"]
    assert "Not measured yet" in (tmp_path / "out/README.md").read_text()
    assert CliRunner().invoke(cli, words).exit_code == 2
    result = CliRunner().invoke(cli, [*words, "--photos", str(tmp_path / "market"), "--json"])
    found = json.loads(result.stdout)["realism"]
    assert set(found["ratios"]) == set(realism.MEASURES) and len(found["aucs"]) == realism.SPLITS
    card = (tmp_path / "out/README.md").read_text()
    assert "not measured" not in card.lower() and f"AUC of {found['auc']:.2f}" in card and "## Reading" in card
    shutil.rmtree(tmp_path / "out/shards")
    result = CliRunner().invoke(cli, [*words, "--photos", str(tmp_path / "market")])
    assert result.exit_code == 3 and "AUC" not in result.stdout
