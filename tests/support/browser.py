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
    deadline_s = time.monotonic() + TIMEOUT_S
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        _browser(Path(profile), window) as port_file,
    ):
        port, path = _wait(lambda: _port_and_path(port_file), deadline_s, "the browser's port")
        address_of_browser = f"ws://127.0.0.1:{port}{path}"
        patience = {"open_timeout": TIMEOUT_S, "ping_interval": None, "proxy": None, "max_size": None}
        with connect(address_of_browser, **patience) as socket:
            browser = _Session(socket)
            target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
            tab = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            browser.ask("Page.navigate", tab, url=address)
            _wait(lambda: browser.value(tab, f"document.readyState === 'complete' && ({done})"), deadline_s, done)
            document = browser.value(tab, "document.documentElement.outerHTML")
            shot = browser.ask("Page.captureScreenshot", tab, format="png")["data"]
            browser.ask("Browser.close")
    return document, np.asarray(Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB"))


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
        return self.ask("Runtime.evaluate", tab, expression=script, returnByValue=True)["result"].get("value")
