"""Requests to the desk's application without a network: plain ASGI."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from mmgen.review.guard import TOKEN_HEADER, Access

ACCESS = Access.of("secret", "127.0.0.1", 8000)
HOST = ("host", "127.0.0.1:8000")
TOKEN = (TOKEN_HEADER, "secret")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def ask(
    app: ASGIApp,
    path: str,
    method: str = "GET",
    body: bytes | dict[str, Any] = b"",
    headers: Sequence[tuple[str, str]] = (HOST, TOKEN),
) -> Answer:
    """One request; a query may follow the path."""
    place, _, query = path.partition("?")
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": place,
        "raw_path": place.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    sent: list[dict[str, Any]] = []
    parts = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()  # the other side keeps the connection
        return parts.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start = sent[0]
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))
