"""The gallery in a real browser, opened from disk. Each start costs seconds, so there are two."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from asset_samples import waving_asset
from browser import find_chromium, open_page
from painted import BLUE, RED, count_colour, painted_asset

from mmgen.assets.glb import glb_bytes
from mmgen.gallery import cards, collect_items
from mmgen.gallery.page import render_page
from mmgen.work.records import Record

NAMES = ("<img src=x onerror=alert(1)>", "plain", "</script><script>document.title='owned'</script>")
HEIGHTS_M = (1.1, 1.7, 1.9)
EMPTY_PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


@pytest.fixture
def items(tmp_path: Path, monkeypatch) -> list:
    """Three meshes, one failure; still pictures are empty, so that every mark on the screen comes from WebGL."""
    find_chromium()
    monkeypatch.setattr(cards, "poster_webp", lambda asset, view: EMPTY_PICTURE)
    records = [Record("late.jpg", "failed", "oom", "Use less.", "no memory")]
    for index, (name, height_m) in enumerate(zip(NAMES, HEIGHTS_M, strict=True)):
        records.append(Record(f"{name}.jpg", "ok", output=f"{index}.glb", mask_iou=0.9 - 0.1 * index))
        # v outside 0..1: the marks are in place only if the viewer honours the sampler's wrapT
        (tmp_path / f"{index}.glb").write_bytes(glb_bytes(painted_asset(height_m, v_shift=float(index))))
    (tmp_path / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    return collect_items(tmp_path)


def write_page(folder: Path, page: str) -> str:
    """Its address."""
    path = folder / "gallery.html"
    path.write_text(page, encoding="utf-8")
    return path.resolve().as_uri()


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
    page = write_page(tmp_path, render_page("<b>Title</b>", built))
    document, picture = open_page(page, done="document.documentElement.dataset.state !== 'loading'")
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
    assert len(tags.named("script")) == 5 + 1 + 3


DRIVER = """
Element.prototype.setPointerCapture = () => {};  // made-up pointers cannot be captured
const log = {};
HTMLAnchorElement.prototype.click = function () { log.download = [this.download, this.href.slice(0, 5)]; };
const pause = (time_ms) => new Promise((resolve) => setTimeout(resolve, time_ms));
const names = () => cards.filter((card) => !card.hidden).sort((a, b) => a.style.order - b.style.order)
  .map((card) => items[card.dataset.index].name);
const pixel = () => [...part("canvas").getContext("2d").getImageData(
  part("canvas").width / 2, part("canvas").height / 2, 1, 1).data];
const middle = () => {
  const box = part("canvas").getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2, half: box.height / 2 };
};
function send(Kind, name, right, up, more) {  // right and up in half heights from the middle of the canvas
  const { x, y, half } = middle();
  const place = { clientX: x + right * half, clientY: y - up * half };
  part("canvas").dispatchEvent(new Kind(name, { ...place, pointerId: 1, cancelable: true, ...more }));
}
async function drive() {
  log.shown = [part("name").textContent, part("details").querySelector("dd").textContent];
  log.front = [view.azimuth, pixel()];
  send(PointerEvent, "pointerdown", 0, 0); send(PointerEvent, "pointermove", 0.5, 0.1);
  send(PointerEvent, "pointerup", 0.5, 0.1); send(PointerEvent, "pointermove", 0.9, 0.9);
  log.dragged = [view.azimuth, view.elevation];
  send(KeyboardEvent, "keydown", 0, 0, { key: "ArrowRight" });
  log.key = view.azimuth;
  send(WheelEvent, "wheel", 0.4, 0.2, { deltaY: -400 });
  log.wheel = [view.zoom, (0.4 - view.panX) / view.zoom, (0.2 - view.panY) / view.zoom];
  send(MouseEvent, "dblclick", 0, 0);
  log.reset = [view.azimuth, view.elevation, view.zoom, view.panX];
  send(PointerEvent, "pointerdown", -0.2, 0); send(PointerEvent, "pointerdown", 0.2, 0, { pointerId: 2 });
  send(PointerEvent, "pointermove", 0.6, 0, { pointerId: 2 });
  log.pinch = [view.zoom, view.azimuth];
  send(PointerEvent, "pointerup", 0, 0); send(PointerEvent, "pointerup", 0, 0, { pointerId: 2 });
  send(MouseEvent, "dblclick", 0, 0);
  part("lit").click();
  await redraw();
  log.lit = pixel();
  part("download").click();
  part("next").click();
  log.next = location.hash;
  dialog.close();
  await pause(100);
  const card = cards.find((each) => items[each.dataset.index].name === "plain");
  const picture = () => card.querySelector("canvas").toDataURL();
  await drawCard(Number(card.dataset.index));
  const still = picture();
  card.dispatchEvent(new PointerEvent("pointerenter", { pointerType: "mouse" }));
  const patiently = async (holds) => {
    for (let round = 0; round < 60 && !holds(); round += 1) await pause(200);
    return holds();
  };
  log.turning = await patiently(() => picture() !== still);
  card.dispatchEvent(new PointerEvent("pointerleave"));
  log.rested = await patiently(() => picture() === still);
  order.value = "mask_iou -1"; order.dispatchEvent(new Event("change"));
  log.best = names();
  search.value = "PLAIN"; search.dispatchEvent(new Event("input"));
  log.found = names();
  search.value = ""; search.dispatchEvent(new Event("input"));
  document.querySelector("[data-show=failed]").click();
  log.failed = names();
}
const waiting = setInterval(() => {
  if (!dialog.open || root.dataset.state === "loading") return;
  clearInterval(waiting);
  setTimeout(() => drive().catch((error) => { log.error = String(error); })
    .then(() => { root.dataset.log = JSON.stringify(log); }), 200);
}, 20);
"""


def test_large_view_and_list_do_what_hands_ask_and_a_bad_model_spoils_only_its_card(
    items: list, tmp_path: Path
) -> None:
    built = [cards.make_card(item, rank) for rank, item in enumerate(items)]
    names = [item.name for item in items]
    bad = names.index(NAMES[2])
    built[bad] = replace(built[bad], glb=b"neither header nor chunks, and that is more than 28 bytes")
    page = render_page("driven", built)
    page = re.sub(r"<meta http-equiv[^>]*>", "", page)  # the policy would stop the driver, as it should
    page = page.replace("</body>", f"<script>{DRIVER}</script></body>")
    address = f"{write_page(tmp_path, page)}#asset-{names.index('plain')}"
    document, _ = open_page(address, done="'log' in document.documentElement.dataset", window=(1000, 700))
    (root,) = Tags(document).named("html")
    log = json.loads(root["data-log"])
    assert "error" not in log
    assert (root["data-state"], root["data-models-drawn"]) == ("error", "2")
    assert json.loads(root["data-errors"]) == [f"{NAMES[2]}: not a GLB file"]
    assert log["shown"] == ["plain", "0.800"]
    assert log["front"][0] == 0 and log["front"][1] == pytest.approx(
        [*RED, 255], abs=2
    )  # the texture's colour as it is
    assert log["dragged"] == pytest.approx([-45, -4], abs=0.5) and log["key"] == pytest.approx(-35, abs=0.5)
    assert log["wheel"] == pytest.approx([np.exp(0.6), 0.4, 0.2], abs=0.01)  # what is under the pointer stays there
    assert log["reset"] == [0, 5, 1, 0]
    assert log["pinch"] == pytest.approx([2, 0], abs=0.01)
    assert log["lit"][3] == 255 and log["lit"][0] < RED[0] - 10
    assert log["download"] == ["plain.glb", "blob:"]
    assert log["next"] == f"#asset-{names.index(NAMES[0])}"  # the only other model that could be read
    assert log["turning"] and log["rested"]  # under the mouse, and when it leaves
    assert log["best"] == [NAMES[0], "plain", NAMES[2], "late"]
    assert log["found"] == ["plain"] and log["failed"] == ["late"]


WALK = """
const log = {};
const picture = () => part("canvas").toDataURL();
const patiently = async (holds) => {
  for (let round = 0; round < 60 && !holds(); round += 1) await new Promise((resolve) => setTimeout(resolve, 100));
  return holds();
};
async function drive() {
  const [index] = [opened];
  await redraw();
  const still = picture();
  part("walk").click();
  log.walks = await patiently(() => picture() !== still);
  const model = await modelOf(index);
  const hand = model.rig.joints.length - 1;
  log.places = [0, 0.55].map((seconds) => poseOf(model.rig, seconds)[hand].m43);
  log.bones = model.bones.length / 16;
  part("walk").click();
  await redraw();
  log.stands = picture() === still;
  part("walk").click();
  part("next").click();
  await patiently(() => opened !== index);
  log.hidden = part("walk").hidden;
}
const waiting = setInterval(() => {
  if (!dialog.open || root.dataset.state === "loading") return;
  clearInterval(waiting);
  drive().catch((error) => { log.error = String(error); }).then(() => { root.dataset.log = JSON.stringify(log); });
}, 20);
"""


@pytest.mark.slow
def test_who_has_the_persons_mesh_walks_in_the_large_view(tmp_path: Path) -> None:
    """And nobody else; the GLB for download stays the file's bytes."""
    for name, asset in (("ball", painted_asset()), ("person", waving_asset())):
        (tmp_path / f"{name}.glb").write_bytes(glb_bytes(asset))
    built = [cards.make_card(item, rank) for rank, item in enumerate(collect_items(tmp_path))]
    assert [card.walk is None for card in built] == [True, False]
    assert built[1].glb == (tmp_path / "person.glb").read_bytes()
    page = re.sub(r"<meta http-equiv[^>]*>", "", render_page("walk", built))
    page = page.replace("</body>", f"<script>{WALK}</script></body>")
    document, _ = open_page(f"{write_page(tmp_path, page)}#asset-1", "'log' in document.documentElement.dataset")
    log = json.loads(Tags(document).named("html")[0]["data-log"] or "")
    assert "error" not in log
    assert log["walks"] and log["stands"] and log["hidden"] and log["bones"] == 17
    assert abs(log["places"][0] - log["places"][1]) > 0.1
