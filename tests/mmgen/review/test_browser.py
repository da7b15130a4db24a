"""The desk as a person uses it, in headless Chromium with the real networks: `pytest -m slow tests/mmgen/review`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from browser import Page, driven_page, find_chromium
from PIL import Image

from mmgen.samples import SAMPLES_FOLDER
from mmgen.work.records import Record, read_records

pytestmark = pytest.mark.slow
AXE = Path(__file__).parents[2] / "node" / "node_modules" / "axe-core" / "axe.min.js"
READY = "document.documentElement.dataset.state === 'ready'"
FRAMES = """new Promise((done) => {
  const box = document.getElementById("wall");
  let [frames, start] = [0, performance.now()];
  const step = (now) => {
    frames += 1;
    box.scrollTop += 900;
    if (now - start < 2000) requestAnimationFrame(step);
    else done(frames / ((now - start) / 1000));
  };
  requestAnimationFrame(step);
})"""


@contextmanager
def running(meshes: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """`mmgen review`, and its address."""
    words = [sys.executable, "-m", "mmgen", "review", str(meshes), "--no-open", "--device", "cpu"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) is not None


def state_of(name: str) -> str:
    """JavaScript: the state of an item by its name."""
    return f"[...items.values()].find((item) => item.name === {json.dumps(name)})?.state"


def at(page: Page, name: str) -> None:
    """Open an asset."""
    page.value(f"openLarge([...items.values()].find((item) => item.name === {json.dumps(name)}).key)")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two people, one of them upside down, and a picture of nobody."""
    folder = tmp_path / "camera"
    folder.mkdir()
    Image.open(SAMPLES_FOLDER / "amber.jpg").save(folder / "amber.png")
    Image.open(SAMPLES_FOLDER / "cobalt.jpg").rotate(180).save(folder / "upside.png")
    sky = np.linspace(90, 230, 256)[:, None, None] * np.array([0.7, 0.85, 1.0])
    Image.fromarray(np.broadcast_to(sky, (256, 128, 3)).astype(np.uint8)).save(folder / "sky.png")
    return sorted(folder.iterdir())


def test_from_dropped_photos_to_a_zip_over_a_killed_server(tmp_path: Path, photos: list[Path]) -> None:
    find_chromium()
    meshes = tmp_path / "meshes"
    with running(meshes) as (address, process), driven_page(address) as page:
        page.wait(READY)
        page.choose_files("#files", photos)
        page.wait("items.size === 3")
        os.kill(process.pid, signal.SIGKILL)
    with running(meshes) as (address, _), driven_page(address) as page:
        page.wait(f"{READY} && {state_of('amber')} === 'ok' && ['ok', 'failed'].includes({state_of('upside')})")
        page.wait(f"{state_of('sky')} === 'failed'")
        assert read_records(meshes)["sky.png"].error is not None

        at(page, "amber")
        page.wait("document.documentElement.dataset.drawn")
        page.key("w")
        page.wait("model?.bones?.length === 16 * model.rig.joints.length")
        hand = "poseOf(model.rig, {}).at(model.rig.joints.length - 1).m43"
        assert abs(page.value(hand.format(0.1)) - page.value(hand.format(0.6))) > 0.02, (
            "half a step later it is elsewhere"
        )
        before = read_records(meshes)["amber.png"].output_sha256
        page.key("m")
        page.wait("document.documentElement.dataset.mask")
        page.value("document.querySelector('[data-tool=eraser]').click()")
        left, top, width, height = page.value(
            "(({x, y, width, height}) => [x, y, width, height])(byId('mask-canvas').getBoundingClientRect())"
        )
        page.drag([(left + width * 0.3, top + height * part) for part in (0.3, 0.4, 0.5, 0.6)])
        page.wait("editor.isChanged")
        page.value("byId('save-mask').click()")
        page.wait("items.get(opened).review?.corrected.includes('mask') && items.get(opened).state === 'ok'")
        assert (meshes / "photos" / "masks" / "amber.png").is_file()
        record = read_records(meshes)["amber.png"]
        assert record.output_sha256 != before and record.review is not None and record.review.verdict is None

        page.value("document.querySelector('[data-facing=back]').click()")
        page.wait("items.get(opened).review.choices.facing === 'back' && items.get(opened).state === 'ok'")
        page.key("a")
        page.wait("items.get(opened).review.verdict === 'accepted'")
        page.value("byId('large').close()")
        page.value("byId('all').click()")
        page.value("byId('take').click()")
        page.wait("document.documentElement.dataset.taken")
    assert read_records(meshes)["amber.png"].is_accepted
    done = subprocess.run(
        [sys.executable, "-m", "mmgen", "reconstruct", meshes / "photos", "--out", meshes, "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout)["skipped"] >= 1 and read_records(meshes)["amber.png"].is_accepted


def test_two_pages_do_not_overwrite_each_other(tmp_path: Path) -> None:
    find_chromium()
    meshes = made_cards(tmp_path, 3)
    with running(meshes) as (address, _), driven_page(address) as one, driven_page(address) as other:
        for page in (one, other):
            page.wait(READY)
        key = one.value("[...items.keys()][0]")
        other.value(f"window.old = items.get('{key}').version")
        one.value(f"decide('{key}', 'accepted')")
        one.wait(f"items.get('{key}').review?.verdict === 'accepted'")
        other.value(f"items.get('{key}').version = window.old; decide('{key}', 'rejected')")
        other.wait("document.getElementById('notes').innerText.includes('changed')")
    assert next(iter(read_records(meshes).values())).is_accepted


def test_ten_thousand_cards_scroll(tmp_path: Path) -> None:
    find_chromium()
    meshes = made_cards(tmp_path, 10_000)
    with running(meshes) as (address, _), driven_page(address, (1280, 720)) as page:
        page.wait(f"{READY} && items.size === 10000")
        frames = page.value(FRAMES)
        nodes = page.value("wall.nodes.size")
        print(f"\n10,000 cards: {frames:.0f} frames a second, {nodes} cards in the document")
        assert nodes < 100 and page.value("byId('wall').scrollTop") > 1000


def made_cards(tmp_path: Path, count: int) -> Path:
    """A run folder of failures, which cost nothing to show."""
    meshes = tmp_path / "meshes"
    meshes.mkdir()
    shared = meshes / "one.glb"
    shared.write_bytes(b"no mesh")
    records = [
        Record(f"{number:05}.png", "ok", output="one.glb", mask_iou=0.9, root=str(tmp_path)) for number in range(count)
    ]
    (meshes / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    return meshes


def test_screen_readers_find_their_way(tmp_path: Path) -> None:
    """axe-core finds nothing on the wall, in the large view and among the keys."""
    find_chromium()
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make tools")
    with running(made_cards(tmp_path, 3)) as (address, _), driven_page(address) as page:
        page.wait(READY)
        page.value(f"{AXE.read_text('utf-8')};0")
        for step in ("0", "openLarge([...items.keys()][0])", "byId('large').close(); byId('help').click()"):
            page.value(step)
            assert page.value("axe.run().then((found) => found.passes.length)") > 10
            problems = page.value("axe.run().then((found) => found.violations.map((one) => [one.impact, one.id]))")
            assert problems == [], step
