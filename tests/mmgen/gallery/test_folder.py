"""The gallery as a folder with separate files, and its server."""

import http.client
import io
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import find_chromium, open_page
from click.testing import CliRunner
from painted import BLUE, RED, count_colour, painted_asset
from PIL import Image

from mmgen.assets.glb import glb_bytes
from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.gallery import collect_items, stores, write_gallery_folder
from mmgen.gallery.items import GalleryItem
from mmgen.gallery.pictures import home_view, person_box, photo_jpeg
from mmgen.gallery.server import GalleryServer
from mmgen.previews import View
from mmgen.work.records import Record

FROM_BEHIND = {"azimuth_deg": 180.0, "elevation_deg": 5.0}


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    """`back` was photographed from behind, `front` has no photo, `bad` failed."""
    folder, photos = tmp_path / "meshes", tmp_path / "photos"
    folder.mkdir()
    photos.mkdir()
    Image.new("RGB", (64, 128), (1, 200, 3)).save(photos / "back.png")
    asset = painted_asset()
    (folder / "back.glb").write_bytes(glb_bytes(replace(asset, provenance={"camera": FROM_BEHIND})))
    (folder / "front.glb").write_bytes(glb_bytes(replace(asset, provenance={"camera": {"azimuth_deg": 180}})))
    records = [
        Record("back.png", "ok", output="back.glb", mask_iou=0.9, root=str(photos)),
        Record("bad.png", "failed", "oom", "Use less.", "no memory", root=str(photos)),
    ]
    (folder / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    return folder


def items_of(folder: Path) -> list[GalleryItem]:
    return collect_items(folder)


@pytest.fixture
def served(meshes: Path) -> Iterator[GalleryServer]:
    folder = meshes.parent / "gallery"
    write_gallery_folder(folder, "Served", items_of(meshes))
    (meshes.parent / "secret.glb").write_text("not yours")
    (folder / "notes.txt").write_text("not yours")
    with GalleryServer(folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def ask(server: GalleryServer, path: str, method: str = "GET", host: str | None = None) -> tuple[int, bytes, dict]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)) as connection:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


def script_items(page: bytes) -> list[dict]:
    return json.loads(page.decode().partition('id="items">')[2].partition("</script>")[0])


def test_server_gives_the_page_and_its_files_and_nothing_else(served: GalleryServer, meshes: Path) -> None:
    assert served.address == f"http://127.0.0.1:{served.server_port}/" and served.server_port
    status, page, headers = ask(served, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"connect-src 'self'" in page and b"img-src 'self' data: blob:" in page and b'id="glb-' not in page
    models = [item["model"] for item in script_items(page)]
    assert models[1] is None
    status, data, headers = ask(served, f"/{models[0]}")
    assert status == 200 and data == (meshes / "back.glb").read_bytes()
    assert headers["Content-Type"] == "model/gltf-binary" and "immutable" in headers["Cache-Control"]
    assert ask(served, f"/{models[0]}", "HEAD")[:2] == (200, b"")
    name = models[0].removeprefix("files/")
    for path in (
        "/notes.txt", "/files/", "/files", "/files/../notes.txt", "/files/%2e%2e/notes.txt", "/../secret.glb",
        "/files/..%2f..%2fsecret.glb", f"/files/{name}/", "/files/" + "0" * 20 + ".glb", "/etc/passwd",
        "/files/%00" + name, "/files/" + name + "%0a",
    ):  # fmt: skip
        assert ask(served, path)[0] == 404, path
    assert ask(served, "/", host=f"evil.example:{served.server_port}")[0] == 403
    assert ask(served, "/", host=f"localhost:{served.server_port}")[0] == 200
    assert ask(served, "/", "POST")[0] == 501
    with pytest.raises(FatalError, match=r"port \d+ of 127\.0\.0\.1 cannot be used: .*\(port_taken\)"):
        GalleryServer(served.folder, served.server_port)


def test_second_gallery_draws_nothing_again_and_clears_what_is_gone(meshes: Path, monkeypatch) -> None:
    folder = meshes.parent / "gallery"
    first = write_gallery_folder(folder, "g", items_of(meshes)).page
    files = {path.name for path in (folder / "files").iterdir()}
    assert sorted(name.rsplit(".")[1] for name in files) == ["glb", "glb", "jpg", "webp", "webp"]
    (folder / "files" / "mine.txt").write_text("kept")
    monkeypatch.setattr(stores, "poster_webp", lambda asset, view: pytest.fail("drawn again"))
    monkeypatch.setattr(stores, "photo_jpeg", lambda path, box: pytest.fail("read again"))
    assert write_gallery_folder(folder, "g", items_of(meshes)).page == first
    (meshes / "front.glb").unlink()
    write_gallery_folder(folder, "g", items_of(meshes))
    left = {path.name for path in (folder / "files").iterdir()}
    assert left < files | {"mine.txt"} and "mine.txt" in left and len(left) == 3 + 1


def test_posters_look_as_the_photo_does_or_at_the_front(meshes: Path) -> None:
    folder = meshes.parent / "gallery"
    page = write_gallery_folder(folder, "g", items_of(meshes)).page
    views = {item["name"]: item["view"]["azimuth"] for item in script_items(page)}
    assert views == {"back": -180, "bad": 0, "front": 0}  # without a photo beside it: the front
    posters = [np.asarray(Image.open(path).convert("RGB")) for path in (folder / "files").glob("*.webp")]
    assert sorted(count_colour(picture, RED) > 1000 for picture in posters) == [False, True]
    assert sorted(count_colour(picture, BLUE) > 1000 for picture in posters) == [False, True]
    for camera in (None, 3, {}, {"azimuth_deg": "x", "elevation_deg": 1}, {"azimuth_deg": 1e999, "elevation_deg": 0}):
        assert home_view(replace(painted_asset(), provenance={"camera": camera}), has_photo=True) == View()


def test_of_a_large_photo_the_person_is_shown(tmp_path: Path) -> None:
    Image.new("RGB", (800, 400), BLUE).save(tmp_path / "a.png")
    crop = {"left": 500.0, "top": 100.0, "width": 100.0, "height": 200.0}
    asset = replace(painted_asset(), provenance={"crop_px": crop, "photo_size_px": [400, 800]})
    assert person_box(asset) == (480, 60, 620, 340)
    assert Image.open(io.BytesIO(photo_jpeg(tmp_path / "a.png", (480, 60, 620, 340)))).size == (140, 280)
    for odd in ({}, {"crop_px": crop}, {"crop_px": 3, "photo_size_px": [400, 800]}):
        assert person_box(replace(asset, provenance=odd)) is None
    for size, left in (([310, 160], 30.0), ([400, 800], 1e300), ([400, 800], float("nan")), ([0, 0], 0.0)):
        stated = {"crop_px": crop | {"left": left}, "photo_size_px": size}
        assert person_box(replace(asset, provenance=stated)) is None, stated


def test_command_writes_a_folder_or_serves_one(meshes: Path, monkeypatch) -> None:
    out = meshes.parent / "out"
    done = CliRunner().invoke(cli, ["gallery", str(meshes), "--out", str(out)])
    assert done.exit_code == 0 and (out / "index.html").is_file() and "mmgen gallery --serve" in done.stderr
    refused = CliRunner().invoke(cli, ["gallery", str(meshes), "--serve", "--out", "x.html"])
    assert refused.exit_code == 2 and "--serve needs a folder" in refused.stderr
    monkeypatch.setattr(GalleryServer, "serve_forever", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    served = CliRunner().invoke(cli, ["gallery", str(meshes), "--serve", "--out", str(out)])
    assert served.exit_code == 0 and served.stdout.startswith("http://127.0.0.1:") and "ended" in served.stderr


@pytest.mark.slow
def test_served_page_draws_every_model_in_a_browser(served: GalleryServer) -> None:
    find_chromium()
    document, picture = open_page(served.address, done="document.documentElement.dataset.state !== 'loading'")
    root = document.partition("<html")[2].partition(">")[0]
    assert 'data-state="ready"' in root and 'data-models-drawn="2"' in root and 'data-errors="[]"' in root
    assert count_colour(picture, RED) > 500 and count_colour(picture, BLUE, 60) > 500  # its front; its photo's side
