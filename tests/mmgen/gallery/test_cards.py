"""What a card shows: from where, which part of the photo, and what somebody decided."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from painted import BLUE, RED, count_colour, painted_asset
from PIL import Image

from mmgen.assets.glb import glb_bytes
from mmgen.cli import cli
from mmgen.core.files import sha256_file
from mmgen.gallery import build_gallery, collect_items
from mmgen.gallery.cards import make_card
from mmgen.gallery.pictures import home_view, person_box, photo_jpeg, poster_webp
from mmgen.previews import View
from mmgen.work.records import Record, Review

FROM_BEHIND = {"azimuth_deg": 180.0, "elevation_deg": 5.0}


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """`back` was photographed from behind and accepted, `front` has no photo, `bad` failed."""
    folder, photos = tmp_path / "meshes", tmp_path / "photos"
    folder.mkdir()
    photos.mkdir()
    Image.new("RGB", (64, 128), (1, 200, 3)).save(photos / "back.png")
    asset = painted_asset()
    (folder / "back.glb").write_bytes(glb_bytes(replace(asset, provenance={"camera": FROM_BEHIND})))
    (folder / "front.glb").write_bytes(glb_bytes(replace(asset, provenance={"camera": {"azimuth_deg": 180}})))
    records = [
        Record(
            *("back.png", "ok"),
            output="back.glb",
            mask_iou=0.9,
            root=str(photos),
            input_sha256=sha256_file(photos / "back.png"),
            review=Review("accepted"),
        ),
        Record("bad.png", "failed", "oom", "Use less.", "no memory", root=str(photos)),
    ]
    (folder / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    return folder


def test_posters_look_as_the_photo_does_or_at_the_front(meshes: Path) -> None:
    items = collect_items(meshes)
    assert [item.name for item in items] == ["back", "bad", "front"]
    gallery = build_gallery("g", items)
    assert b'"azimuth": -180' in gallery.page and gallery.shown == ("back", "front") and gallery.failed == ("bad",)
    behind = home_view(replace(painted_asset(), provenance={"camera": FROM_BEHIND}), has_photo=True)
    alone = home_view(replace(painted_asset(), provenance={"camera": FROM_BEHIND}), has_photo=False)
    posters = [
        np.asarray(Image.open(io.BytesIO(poster_webp(painted_asset(), view))).convert("RGB"))
        for view in (behind, alone)
    ]
    assert alone == View() and [count_colour(picture, RED) > 1000 for picture in posters] == [False, True]
    assert [count_colour(picture, BLUE) > 1000 for picture in posters] == [True, False]
    for camera in (None, 3, {}, {"azimuth_deg": "x", "elevation_deg": 1}, {"azimuth_deg": 1e999, "elevation_deg": 0}):
        assert home_view(replace(painted_asset(), provenance={"camera": camera}), has_photo=True) == View()


def test_cards_show_the_other_side_too(meshes: Path) -> None:
    made = {card.name: card for card in map(make_card, collect_items(meshes), range(3))}
    assert [made[name].back_title for name in ("back", "front")] == ["Front", "Back"]
    address = made["back"].back
    assert address is not None and made["bad"].back is None
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))
    assert count_colour(picture, RED) > 1000 > count_colour(picture, BLUE)


def test_of_a_photo_the_person_is_shown(tmp_path: Path) -> None:
    Image.new("RGB", (800, 400), BLUE).save(tmp_path / "a.png")
    crop = {"left": 500.0, "top": 100.0, "width": 100.0, "height": 200.0}
    asset = replace(painted_asset(), provenance={"crop_px": crop, "photo_size_px": [400, 800]})
    assert person_box(asset) == (502, 105, 598, 295)
    beyond = np.asarray(Image.open(io.BytesIO(photo_jpeg(tmp_path / "a.png", (-40, 205, 55, 395)))))
    assert beyond.shape == (190, 95, 3) and count_colour(beyond, BLUE) == pytest.approx(55 * 190, rel=0.02)
    for odd in ({}, {"crop_px": crop}, {"crop_px": 3, "photo_size_px": [400, 800]}):
        assert person_box(replace(asset, provenance=odd)) is None
    for size, left in (([400, 800], 900.0), ([400, 800], 1e300), ([400, 800], float("nan")), ([0, 0], 0.0)):
        stated = {"crop_px": crop | {"left": left}, "photo_size_px": size}
        assert person_box(replace(asset, provenance=stated)) is None, stated


def test_what_somebody_accepted_can_be_shown_and_exported_alone(meshes: Path) -> None:
    run = CliRunner().invoke
    page = meshes.parent / "page.html"
    assert run(cli, ["gallery", str(meshes), "--out", str(page), "--accepted-only"]).exit_code == 0
    assert (
        "1 mesh" in page.read_text()
        and "front" not in page.read_text().partition('id="items">')[2].split("</script>")[0]
    )
    out = meshes.parent / "out"
    assert run(cli, ["export", str(meshes), "--out", str(out), "--accepted-only"]).exit_code == 0
    assert [path.name for path in out.glob("*.glb")] == ["back.glb"]
    (meshes / "manifest.jsonl").unlink()
    refused = run(cli, ["export", str(meshes), "--out", str(out), "--accepted-only"])
    assert refused.exit_code == 4 and "mmgen review" in refused.stderr
    wrong = run(cli, ["gallery", str(meshes), "--out", str(out)])
    assert wrong.exit_code == 2 and "mmgen review" in wrong.stderr
