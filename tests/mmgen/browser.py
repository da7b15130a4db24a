"""A headless Chromium for tests: opens a file from disk, gives back the page as it became, or a picture of it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

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
)
TIMEOUT_S = 120
VIRTUAL_TIME_MS = 60000


def find_chromium() -> str:
    """Path of the browser; skips the test where there is none."""
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip(f"none of {', '.join(NAMES)} is on PATH")


def run_chromium(page: Path | str, *actions: str, window: tuple[int, int] = (1280, 900), fragment: str = "") -> str:
    """Open `page` with a fresh profile and return what the browser prints.

    Args:
        page: HTML file, opened by file://, or an address.
        actions: Such as `--dump-dom` and `--screenshot=FILE`.
        window: Width and height, pixels.
        fragment: Goes behind the address, such as `#asset-0`.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            find_chromium(),
            *FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={window[0]},{window[1]}",
            f"--virtual-time-budget={VIRTUAL_TIME_MS}",
            *actions,
            (page if isinstance(page, str) else page.resolve().as_uri()) + fragment,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return done.stdout
