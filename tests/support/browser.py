"""A headless Chromium for tests: opens a page, waits until it says that it is done, and tells what became of it."""

import base64
import io
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
TIMEOUT_S = 120


def find_chromium() -> str:
    """Path of the browser; skips the test where there is none."""
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip(f"none of {', '.join(NAMES)} is on PATH")


def open_page(address: str, done: str, window: tuple[int, int] = (1280, 900)) -> tuple[str, np.ndarray]:
    """Open a page with a fresh profile; the document and the picture of the window once the page is done.

    Args:
        address: `file://` or `http://`, with a fragment if wanted.
        done: JavaScript that is true when the page has done its work. It is asked again and again: how fast the
            machine draws must not decide what a test sees.
        window: Width and height, pixels.

    Raises:
        TimeoutError: The page was not done in `TIMEOUT_S`.
    """
    with driven_page(address, window) as page:
        page.wait(f"document.readyState === 'complete' && ({done})")
        return page.value("document.documentElement.outerHTML"), page.shot()


class Page:
    """One tab that a test drives: JavaScript, keys, the mouse, files."""

    def __init__(self, browser: "_Session", tab: str) -> None:
        self._browser, self._tab = browser, tab

    def value(self, script: str) -> Any:
        """What an expression is worth; promises are waited for."""
        return self._browser.value(self._tab, script)

    def wait(self, script: str) -> Any:
        """Ask until an expression is true.

        Raises:
            TimeoutError: it was not in `TIMEOUT_S`.
        """
        return _wait(lambda: self.value(script), time.monotonic() + TIMEOUT_S, script)

    def shot(self) -> np.ndarray:
        """The window, [H, W, 3] uint8."""
        data = self._browser.ask("Page.captureScreenshot", self._tab, format="png")["data"]
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))

    def key(self, key: str) -> None:
        """Press and let go, such as `a` or `Enter`."""
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self._browser.ask("Input.dispatchKeyEvent", self._tab, type="keyDown", key=key, **text)
        self._browser.ask("Input.dispatchKeyEvent", self._tab, type="keyUp", key=key)

    def drag(self, points: list[tuple[float, float]]) -> None:
        """With the left button held, from place to place of the window, pixels."""
        kinds = ["mousePressed", *["mouseMoved"] * (len(points) - 2), "mouseReleased"]
        for kind, (x, y) in zip(kinds, points, strict=True):
            values = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            self._browser.ask("Input.dispatchMouseEvent", self._tab, **values)

    def choose_files(self, selector: str, files: list[Path]) -> None:
        """Give files to an `<input type=file>`."""
        document = self._browser.ask("DOM.getDocument", self._tab)["root"]["nodeId"]
        node = self._browser.ask("DOM.querySelector", self._tab, nodeId=document, selector=selector)["nodeId"]
        self._browser.ask("DOM.setFileInputFiles", self._tab, nodeId=node, files=[str(path) for path in files])


@contextmanager
def driven_page(address: str, window: tuple[int, int] = (1280, 900)) -> Iterator[Page]:
    """A browser with a fresh profile and one tab at `address`, still loading."""
    deadline_s = time.monotonic() + TIMEOUT_S
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        _browser(Path(profile), window) as port_file,
    ):
        port, path = _wait(lambda: _port_and_path(port_file), deadline_s, "the browser's port")
        patience = {"open_timeout": TIMEOUT_S, "ping_interval": None, "proxy": None, "max_size": None}
        with connect(f"ws://127.0.0.1:{port}{path}", **patience) as socket:
            browser = _Session(socket)
            target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
            tab = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            browser.ask("Page.navigate", tab, url=address)
            yield Page(browser, tab)
            browser.ask("Browser.close")


@contextmanager
def _browser(profile: Path, window: tuple[int, int]) -> Iterator[Path]:
    """A running browser; yields the file in which it will tell its port and address."""
    command = [find_chromium(), *FLAGS, f"--user-data-dir={profile}", f"--window-size={window[0]},{window[1]}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield profile / "DevToolsActivePort"
        finally:
            process.kill()


def _port_and_path(file: Path) -> list[str] | None:
    """Both lines of the file, once it is there and whole."""
    lines = file.read_text().split() if file.exists() else []
    return lines if len(lines) == 2 else None


def _wait(look: Any, deadline_s: float, what: str) -> Any:
    while not (found := look()):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {TIMEOUT_S} s for {what}")
        time.sleep(0.02)
    return found


class _Session:
    """Commands of the DevTools protocol and their answers, one at a time."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._numbers = socket, count(1)

    def ask(self, method: str, tab: str | None = None, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        request: dict[str, object] = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(request | ({"sessionId": tab} if tab else {})))
        while (answer := json.loads(self._socket.recv(timeout=TIMEOUT_S))).get("id") != number:
            pass  # an event nobody asked about
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def value(self, tab: str, script: str) -> Any:
        """What an expression is in the page; None while the page is between two documents."""
        return self.ask("Runtime.evaluate", tab, expression=script, returnByValue=True, awaitPromise=True)[
            "result"
        ].get("value")
