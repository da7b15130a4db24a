"""The curve of confidence: which assets count as bad, and how many of them each limit flags."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from evaluation_scenes import NAMES, write_data, write_meshes

from mmgen.cli import cli
from mmgen.core.errors import FatalError, ItemError
from mmgen.evaluation.calibration import Expected, confidence_curve, read_expected
from mmgen.evaluation.mesh_predictions import MeshFolder
from mmgen.evaluation.scoring import ItemScore


def score(name: str, confidence: float, **row: float) -> ItemScore:
    return ItemScore(name, {"confidence": confidence, "mask_iou": 0.95, "azimuth_deg": 10.0} | row)


def flagged(curve: dict, below: float) -> tuple[float | None, float | None]:
    [point] = [one for one in curve["points"] if one["below"] == below]
    return point["bad_flagged"], point["good_flagged"]


def test_bad_is_what_fits_badly_faces_the_wrong_way_or_is_expected_to_be() -> None:
    scores = [
        score("good", 0.9),
        score("unsure but good", 0.45),
        score("thin", 0.2, mask_iou=0.74),
        score("wrong way by truth", 0.4, azimuth_error_deg=91.0),
        score("wrong way by eye", 0.9),
        score("cut", 0.6),
    ]
    expected = {"wrong way by eye": Expected("back"), "cut": Expected("front", is_bad=True), "good": Expected("front")}
    curve = confidence_curve(scores, expected)
    assert curve is not None and (curve["bad"], curve["good"]) == (4, 2)
    assert flagged(curve, 0.1) == (0, 0)
    assert flagged(curve, 0.5) == (0.5, 0.5)
    assert flagged(curve, 0.7) == (0.75, 0.5)


def test_a_refusal_is_right_or_a_false_alarm_where_somebody_looked() -> None:
    refused = [ItemScore(name, error=ItemError("no_person", "nobody", "look")) for name in ("cut", "whole", "unknown")]
    curve = confidence_curve([score("sure", 0.9), *refused], {"cut": Expected(is_bad=True), "whole": Expected("front")})
    assert curve is not None and (curve["bad"], curve["good"]) == (1, 2)
    assert flagged(curve, 0.1) == (1, 0.5)
    assert confidence_curve(refused, {"cut": Expected(is_bad=True)}) is None, "nothing has a confidence"


def test_the_command_prints_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, meshes = write_data(tmp_path / "people"), write_meshes(tmp_path / "meshes")
    shutil.rmtree(data / "truth")  # its measures take long
    monkeypatch.setattr(MeshFolder, "confidence_of", lambda self, item: 0.35 if NAMES[0] in item.name else 0.95)
    looked = tmp_path / "looked.csv"
    words = ["evaluate", "--data", str(data), "--meshes", str(meshes), "--workers", "1", "--expected", str(looked)]
    names = json.loads(CliRunner().invoke(cli, [*words[:-2], "--json"]).stdout)
    assert names["confidence_curve"]["bad"] == 0 and flagged(names["confidence_curve"], 0.5) == (None, 0.3333)
    looked.write_text(f"name,facing,bad\n{NAMES[0]},,yes\n")
    shown = CliRunner().invoke(cli, words)
    assert shown.exit_code == 0, shown.stderr
    assert "Confidence: flagged of 1 bad and 2 good assets\n" in shown.stdout
    assert "below 0.3    0.0%    0.0%\nbelow 0.4  100.0%    0.0%\n" in shown.stdout


@pytest.mark.parametrize("text", ["name,facing\na,front\n", "name,facing,bad\na,sideways,\n", None])
def test_a_list_that_is_none_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "looked.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FatalError, match=r"looked\.csv is no list of expectations"):
        read_expected(path)
