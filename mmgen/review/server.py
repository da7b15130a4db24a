"""Runs the desk on one address until it is interrupted."""

import asyncio
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from mmgen.core.errors import FatalError
from mmgen.review import limits
from mmgen.review.app import make_app
from mmgen.review.desk import Desk
from mmgen.review.guard import Access, bracketed

TOKEN_BYTES = 24


class PatientProtocol(H11Protocol):
    """HTTP that closes a connection which asks nothing for a while; uvicorn waits for its first request for ever."""

    def connection_made(self, transport: Any) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._stray = asyncio.get_running_loop().call_later(limits.STRAY_CONNECTION_S, self._drop)

    def _drop(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop it."""
        self._stray.cancel()
        super().connection_lost(exc)


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        FatalError: `port_taken`.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise FatalError(
            "port_taken",
            f"port {port} of {host} cannot be used: {error.strerror or error}",
            "Choose another --port, or leave it out for any free one.",
        ) from error


class DeskServer(uvicorn.Server):
    """A server of one desk.

    Args:
        access: who may ask, as the address says.
    """

    def __init__(self, desk: Desk, access: Access) -> None:
        super().__init__(_configured(make_app(desk, access)))
        self._desk = desk

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of pages that wait for news: cut off in the middle, they would leave a traceback at the console."""
        self._desk.is_ending.set()
        await super().shutdown(sockets)


def _configured(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=PatientProtocol,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=2,
        server_header=False,
    )


def serve(meshes: Path, device: str, listening: socket.socket, host: str, ready: Callable[[str], None]) -> None:
    """Serve the desk of a run folder until Ctrl-C.

    Args:
        meshes: run folder; made if missing.
        device: `cpu` or `cuda:N`.
        listening: from `bound_socket`.
        host: as given; other names than it are refused.
        ready: called with the address, token and all, before the first request.
    """
    port = listening.getsockname()[1]
    access = Access.of(secrets.token_urlsafe(TOKEN_BYTES), host, port)
    desk = Desk(meshes, device)
    try:
        desk.resume()
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        ready(f"http://{bracketed(shown)}:{port}/?token={access.token}")
        DeskServer(desk, access).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        desk.close()
