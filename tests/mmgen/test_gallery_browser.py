"""The gallery in a real browser, opened from disk. Each start costs seconds, so there are two."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browser import find_chromium, run_chromium
from painted import BLUE, RED, count_colour, painted_asset
from PIL import Image

from mmgen.assets.glb import glb_bytes
from mmgen.gallery import cards, collect_items
from mmgen.gallery.page import render_page
from mmgen.runs import Record

NAMES = ("<img src=x onerror=alert(1)>", "plain", "</script><script>document.title='owned'</script>")
HEIGHTS_M = (1.1, 1.7, 1.9)
EMPTY_PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@pytest.fixture
def items(tmp_path: Path, monkeypatch) -> list:
    """Three meshes, one failure; still pictures are empty, so that every mark on the screen comes from WebGL."""
    find_chromium()
    monkeypatch.setattr(cards, "poster_uri", lambda asset: EMPTY_PICTURE)
    records = [Record("late.jpg", "failed", "oom", "Use less.", "no memory")]
    for index, (name, height_m) in enumerate(zip(NAMES, HEIGHTS_M, strict=True)):
        records.append(Record(f"{name}.jpg", "ok", output=f"{index}.glb", mask_iou=0.9))
        # v outside 0..1: the marks are in place only if the viewer honours the sampler's wrapT
        (tmp_path / f"{index}.glb").write_bytes(glb_bytes(painted_asset(height_m, v_shift=float(index))))
    (tmp_path / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    return collect_items(tmp_path)


def open_page(page: str, folder: Path, **options: object) -> tuple[str, np.ndarray]:
    """The document after all scripts have run, and the picture of the window."""
    path, picture = folder / "gallery.html", folder / "shot.png"
    path.write_text(page, encoding="utf-8")
    document = run_chromium(path, "--dump-dom", f"--screenshot={picture}", **options)
    return document, np.asarray(Image.open(picture).convert("RGB"))


class Tags(HTMLParser):
    """Start tags of a document as (name, attributes)."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of all tags of a name."""
        return [attributes for tag, attributes in self.found if tag == name]


def test_all_models_are_drawn_and_look_at_the_viewer(items: list, tmp_path: Path) -> None:
    built = [cards.make_card(item, rank) for rank, item in enumerate(items)]
    document, picture = open_page(render_page("<b>Title</b>", built), tmp_path, window=(1280, 900))
    tags = Tags(document)
    (root,) = tags.named("html")
    assert (root["data-state"], root["data-models-drawn"], root["data-errors"]) == ("ready", "3", "[]")
    drawn = [card for card in tags.named("article") if card["data-drawn"] == "true"]
    assert len(drawn) == 3
    for card in drawn:
        height_m = HEIGHTS_M[NAMES.index(items[int(card["data-index"])].name)]
        expected = np.ptp(painted_asset(height_m).vertices, axis=0)
        np.testing.assert_allclose([float(metres) for metres in card["data-dimensions"].split()], expected, atol=1e-4)
    assert count_colour(picture, RED) > 3 * 500
    assert count_colour(picture, BLUE, 60) == 0
    assert "<title>&lt;b&gt;Title&lt;/b&gt;</title>" in document
    assert {image["src"][:5] for image in tags.named("img") if image.get("src")} == {"data:"}
    assert len(tags.named("script")) == 3 + 1 + 3


def test_large_view_opens_and_a_bad_model_spoils_only_its_card(items: list, tmp_path: Path) -> None:
    built = [cards.make_card(item, rank) for rank, item in enumerate(items)]
    names = [item.name for item in items]
    good, bad = names.index("plain"), names.index(NAMES[0])
    built[bad] = replace(built[bad], glb=b"neither header nor chunks, and that is more than 28 bytes")
    page = render_page("large", built)
    document, picture = open_page(page, tmp_path, window=(1000, 700), fragment=f"#asset-{good}")
    (root,) = Tags(document).named("html")
    assert root["data-state"] == "error" and root["data-models-drawn"] == "2"
    assert json.loads(root["data-errors"]) == [f"{NAMES[0]}: not a GLB file"]
    assert re.search(r"<dialog[^>]* open", document)
    assert '<h3 data-part="name">plain</h3>' in document and "<dd>0.900</dd>" in document
    theatre = picture[20:680, 20:640]
    assert count_colour(theatre, RED) > 5000 and count_colour(theatre, BLUE, 60) == 0
