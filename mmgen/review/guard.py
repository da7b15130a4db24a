"""Who may ask the desk for what: one token, one host name, one origin, and no pause without end."""

import asyncio
import hmac
import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-mmgen-token"
COOKIE = "mmgen-desk-{port}"
"""Cookies are shared by all ports of a host, so the port is in the name."""

LOOPBACK, EVERYWHERE = ("127.0.0.1", "localhost", "::1"), ("0.0.0.0", "::")

SAFE_METHODS = {"GET", "HEAD"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}
BODY_PAUSE_S = 30.0
"""Longest pause within a request's body."""


@dataclass(frozen=True)
class Access:
    """What a request must show.

    Attributes:
        token: secret of this run of the desk, in the address that the command prints.
        hosts: host names with port that belong to it; others are DNS rebinding.
        port: TCP port of the server.
        is_open: it listens on all addresses of the machine; any address in numbers is then its own, since rebinding
            needs a name.
    """

    token: str
    hosts: frozenset[str]
    port: int
    is_open: bool = False

    @staticmethod
    def of(token: str, host: str, port: int) -> "Access":
        """For a server at `host`:`port`; on the loopback address its other name counts too."""
        is_open = host in EVERYWHERE
        own = {host, "localhost"} | ({"127.0.0.1"} if host == "localhost" else set())
        names = own if host in LOOPBACK or is_open else {host}
        return Access(token, frozenset(f"{bracketed(name)}:{port}" for name in names), port, is_open)

    def owns(self, host: str) -> bool:
        """Whether a Host header names this server."""
        if host in self.hosts:
            return True
        name, _, port = host.rpartition(":")
        if not self.is_open or port != str(self.port):
            return False
        try:
            ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return True

    @property
    def cookie(self) -> str:
        """Name of the cookie that carries the token."""
        return COOKIE.format(port=self.port)

    def knows(self, token: str | None) -> bool:
        """Whether it is the token, compared in constant time."""
        return token is not None and hmac.compare_digest(token.encode(), self.token.encode())


def bracketed(host: str) -> str:
    """As it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


class Guard:
    """ASGI middleware that refuses foreign hosts, foreign origins and requests without the token.

    A first visit with `?token=` gets a cookie and the address without it. Reads need the cookie; changes need the
    token in a header of its own, which no foreign page can set without asking first, and are refused from foreign
    origins all the same.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request, or pass it on with the safety headers added to its answer."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        answer = self._refusal(scope)
        if answer is not None:
            answer.headers.update(HEADERS)
            return await answer(scope, receive, send)
        await self._app(scope, _impatient(receive), _with_headers(send))
        return None

    def _refusal(self, scope: Scope) -> Response | None:
        headers, access = Headers(scope=scope), self._access
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not access.owns(hosts[0]):
            return PlainTextResponse("This desk answers under its own address only.", 403)
        request = Request(scope)
        given = request.query_params.get("token")
        if scope["path"] == "/" and given is not None and access.knows(given):
            answer = RedirectResponse("/", 303)
            answer.set_cookie(access.cookie, access.token, httponly=True, samesite="strict", path="/")
            return answer
        if scope["method"] in SAFE_METHODS:
            if access.knows(request.cookies.get(access.cookie)) or access.knows(headers.get(TOKEN_HEADER)):
                return None
            return PlainTextResponse("Open the desk with the address that `mmgen review` printed: it has a token.", 403)
        origins = headers.getlist("origin")
        if origins and not (len(origins) == 1 and access.owns(origins[0].removeprefix("http://"))):
            return PlainTextResponse("This desk takes changes from its own page only.", 403)
        if not access.knows(headers.get(TOKEN_HEADER)):
            return PlainTextResponse("The token is missing.", 403)
        return None


def _impatient(receive: Receive) -> Receive:
    """Gives up on a sender that pauses too long within its body; what comes after that is waited for as ever."""
    is_whole = False

    async def bounded() -> Message:
        nonlocal is_whole
        try:
            message = await asyncio.wait_for(receive(), None if is_whole else BODY_PAUSE_S)
        except TimeoutError:
            return {"type": "http.disconnect"}
        is_whole = not message.get("more_body", False)
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
