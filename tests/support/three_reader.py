"""three.js in a headless Chromium as a reader of GLBs: where it puts their vertices, at rest and within a loop."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from browser import Page, driven_page, find_chromium

THREE = Path(__file__).parents[1] / "node" / "node_modules" / "three"
PAGE = """<!doctype html>
<script type="importmap">{"imports": {"three": "/build/three.module.js"}}</script>
<script type="module">
import { AnimationMixer, Vector3 } from "three";
import { GLTFLoader } from "/examples/jsm/loaders/GLTFLoader.js";
async function vertices(text, seconds) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const { scene, animations } = await new GLTFLoader().parseAsync(bytes.buffer, "");
  const mixer = new AnimationMixer(scene);
  if (animations.length) mixer.clipAction(animations[0]).play();
  const answer = [];
  for (const moment of seconds) {
    if (moment !== null) mixer.setTime(moment);
    scene.updateMatrixWorld(true);
    scene.traverse((mesh) => {
      if (!mesh.isMesh) return;
      const point = new Vector3();
      const count = mesh.geometry.attributes.position.count;
      answer.push(Array.from({ length: count }, (_, index) => mesh.getVertexPosition(index, point).applyMatrix4(mesh.matrixWorld).toArray()));
    });
  }
  return answer;
}
Object.assign(window, { vertices });
</script>"""  # noqa: E501


class _Files(SimpleHTTPRequestHandler):
    """The page at `/`, and the package's files."""

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: object) -> None:
        pass


class ThreeReader:
    """three.js, waiting for files."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def vertices(self, glb: bytes, seconds: tuple[float | None, ...] = (None,)) -> np.ndarray:
        """[T, V, 3] in the world, at moments of the file's loop; None is before anything plays."""
        text = base64.b64encode(glb).decode()
        return np.array(self._page.value(f"vertices('{text}', {json.dumps(seconds)})"))


@contextmanager
def three_reader() -> Iterator[ThreeReader]:
    """Skips the test where Chromium or the package is missing."""
    find_chromium()
    if not THREE.is_dir():
        pytest.skip("three is not installed: make tools")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(THREE))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            with driven_page(f"http://127.0.0.1:{server.server_address[1]}/") as page:
                page.wait("window.vertices !== undefined")
                yield ThreeReader(page)
        finally:
            server.shutdown()
