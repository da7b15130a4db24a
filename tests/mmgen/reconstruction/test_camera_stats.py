import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from painted import painted_asset
from PIL import Image

from mmgen.assets.asset import Asset, place_on_ground
from mmgen.assets.glb import glb_bytes
from mmgen.cli import cli
from mmgen.core.errors import ItemError
from mmgen.previews.histograms import BAR, MARGIN, PANEL, Histogram, histogram_sheet
from mmgen.reconstruction import camera_stats
from mmgen.reconstruction.camera_stats import CameraRow, photos_of, row_of, rows_of_photos, summary, warnings_of
from mmgen.reconstruction.result import placement
from recon.template import ellipsoid_template

PROTOTYPE = ellipsoid_template(level=2).vertices.numpy()


def seen_from(azimuth_deg: float, moved: float = 0.0, **camera: object) -> Asset:
    """A mesh photographed from there, all vertices moved away from the template by a length, pivot elsewhere."""
    body = (PROTOTYPE + np.float32([moved, 0, 0])).astype(np.float32)
    pose = {"azimuth_deg": azimuth_deg, "elevation_deg": 4.0, "distance": 3.0, "offset": [0.1, -0.2], **camera}
    provenance = {"camera": pose, "placement": placement(body), "weights_sha256": "w"}
    return replace(painted_asset(), vertices=place_on_ground(body, 1.66), provenance=provenance)


def test_a_row_has_the_camera_and_the_offsets_from_the_template() -> None:
    row = row_of(seen_from(190.0, moved=0.07), {"w": PROTOTYPE}, "x")
    assert row == pytest.approx(row) and row.azimuth_deg == pytest.approx(-170)
    assert (row.elevation_deg, row.distance, row.offset_x, row.offset_y) == (4, 3, 0.1, -0.2)
    assert row.mean_shape_offset == pytest.approx(0.07, abs=1e-5)  # whatever the height and the pivot of the asset
    assert math.isnan(row_of(seen_from(0), {"other": PROTOTYPE}, "x").mean_shape_offset)
    for camera in (seen_from(math.nan), seen_from(0, offset=[1]), replace(painted_asset(), provenance={})):
        with pytest.raises(ItemError, match=r"x does not say from where its photo was taken \(camera_unknown\)"):
            row_of(camera, {}, "x")


def test_azimuths_are_averaged_around_the_circle() -> None:
    around = summary([CameraRow(angle, 0, 3, 0, 0) for angle in (179, -179, 170, -170)])
    assert abs(around["statistics"]["azimuth_deg"]["mean"]) == pytest.approx(180)
    assert around["statistics"]["azimuth_deg"]["std"] < 10 and around["statistics"]["mean_shape_offset"] is None
    bins = around["histograms"]["azimuth_deg"]
    assert (bins["edges"][0], bins["edges"][-1], sum(bins["counts"]), bins["counts"][-1]) == (-180, 180, 4, 2)
    everywhere = summary([CameraRow(angle, 0, 3, 0, 0) for angle in range(-180, 180, 30)])
    assert everywhere["azimuth_shares"] == pytest.approx({"front": 3 / 12, "sides": 6 / 12, "back": 3 / 12}, abs=1e-3)
    assert everywhere["azimuth_concentration"] == pytest.approx(0, abs=1e-6) and not warnings_of(everywhere)
    one_side = summary([CameraRow(30 + 0.1 * step, 0, 3, 0, 0) for step in range(10)])
    assert "seen from 30 degrees" in warnings_of(one_side)[0]
    json.dumps(one_side, allow_nan=False)


def test_command_reads_meshes_and_says_which_have_no_camera(tmp_path: Path) -> None:
    for index, angle in enumerate((0.0, 90.0, -90.0)):
        (tmp_path / f"{index}.glb").write_bytes(glb_bytes(seen_from(angle)))
    (tmp_path / "none.glb").write_bytes(glb_bytes(painted_asset()))
    out = tmp_path / "c.png"
    planned = CliRunner().invoke(cli, ["camera-stats", str(tmp_path), "--out", str(out), "--dry-run"])
    assert planned.exit_code == 0 and not out.exists()
    done = CliRunner().invoke(cli, ["camera-stats", str(tmp_path), "--out", str(out), "--json"])
    report = json.loads(done.stdout)
    assert done.exit_code == 3 and "none.glb" in done.stderr and report["n"] == 3
    assert report["statistics"]["azimuth_deg"]["min"] == -90 and report["statistics"]["distance"]["median"] == 3
    with Image.open(out) as picture:
        assert picture.size[0] == 3 * PANEL[1] + 2 * MARGIN


def test_photos_go_through_the_networks(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 64)).save(tmp_path / name)

    class Networks:
        weights_sha256 = "w"

        def prepare(self, item):
            if item.name == "a.png":
                raise ItemError("mask_missing", "no mask", "Give one.")
            return (item,)

        def reconstruct(self, batch):
            return [type("Result", (), {"asset": seen_from(45.0)}) for _ in batch]

    heard = []
    rows = rows_of_photos(photos_of(tmp_path), Networks(), {}, heard.append)
    assert [row.azimuth_deg for row in rows] == [45] and heard[0].code == "mask_missing" and heard[1] is None
    assert camera_stats.NAMES[0] == "azimuth_deg"


def test_bars_are_as_high_as_their_counts() -> None:
    sheet = histogram_sheet("t", [Histogram("a", "", (0, 1, 2), (1, 4)), Histogram("b", "unknown")])
    blue = (sheet == np.array(BAR)).all(axis=-1)
    middle = MARGIN + PANEL[1] // 2
    heights = [int(blue[:, middle + side].sum()) for side in (-40, 40)]
    assert heights[1] == pytest.approx(4 * heights[0], abs=3) and not blue[:, MARGIN + PANEL[1] :].any()
