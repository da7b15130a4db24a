"""Serves one gallery folder to this machine, and nothing else to anybody."""

import shutil
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mmgen.core.errors import FatalError
from mmgen.gallery import PAGE_NAME
from mmgen.gallery.stores import FILE_NAME, FILES_FOLDER

HOST = "127.0.0.1"
TYPES = {".glb": "model/gltf-binary", ".webp": "image/webp", ".jpg": "image/jpeg"}
YEAR_S = 365 * 24 * 3600


class GalleryServer(ThreadingHTTPServer):
    """An HTTP server of a folder that `write_gallery_folder` wrote, on 127.0.0.1.

    It answers with the page and with files whose names a gallery gives, taken from the folder's own `files/`; an
    address never becomes a path. Requests under another host's name (DNS rebinding) are refused.

    Args:
        port: 0 takes a free one; `address` tells which.

    Raises:
        FatalError: `port_taken`.
    """

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise FatalError(
                "port_taken",
                f"port {port} of {HOST} cannot be used: {error.strerror or error}",
                "Choose another --port, or leave it out for any free one.",
            ) from error

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_port}/"

    def is_own_name(self, host: str) -> bool:
        """Whether a request's Host header names this server."""
        return host in {f"{name}:{self.server_port}" for name in (HOST, "localhost")}


class _Handler(BaseHTTPRequestHandler):
    server: GalleryServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody wants a line per picture."""

    def _answer(self, with_body: bool) -> None:
        if not self.server.is_own_name(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        place = self._place()
        if place is None or not place.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with place.open("rb") as file:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", TYPES.get(place.suffix, "text/html; charset=utf-8"))
            self.send_header("Content-Length", str(place.stat().st_size))
            kept = f"private, max-age={YEAR_S}, immutable" if place.suffix in TYPES else "no-store"
            self.send_header("Cache-Control", kept)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.end_headers()
            if with_body:
                shutil.copyfileobj(file, self.wfile)

    def _place(self) -> Path | None:
        """The file that an address means, built from names that we gave and no others."""
        match unquote(urlsplit(self.path).path).split("/"):
            case ["", "" | "index.html"]:
                return self.server.folder / PAGE_NAME
            case ["", "files", name] if FILE_NAME.fullmatch(name):
                return self.server.folder / FILES_FOLDER / name
        return None
