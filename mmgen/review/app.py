"""The desk's routes: thin, typed, bounded. What they do is in `mmgen.review.desk`."""

import asyncio
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mmgen.assets.formats import FORMATS, ExportFormat
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from mmgen.gallery.pages import environment
from mmgen.review import limits, uploads
from mmgen.review.desk import Conflict, Desk, Verdict
from mmgen.review.entries import Entry
from mmgen.review.guard import Access, Guard
from mmgen.review.stills import KINDS, page_photo, still
from mmgen.review.takeaway import write_zip
from mmgen.work.records import Choices, Facing

POLL_S, LOOK_S = 20.0, 0.25
"""How long a page's question for news stays open, and how often it is looked for some."""

FOREVER = {"cache-control": "private, max-age=31536000, immutable"}
FRESH = {"cache-control": "no-store"}
SCRIPTS = {
    "glb.js": ("mmgen.gallery", "text/javascript"),
    "viewer.js": ("mmgen.gallery", "text/javascript"),
    "controls.js": ("mmgen.gallery", "text/javascript"),
    "wall.js": ("mmgen.review", "text/javascript"),
    "skeleton.js": ("mmgen.gallery", "text/javascript"),
    "mask.js": ("mmgen.review", "text/javascript"),
    "drop.js": ("mmgen.review", "text/javascript"),
    "desk.js": ("mmgen.review", "text/javascript"),
    "desk.css": ("mmgen.review", "text/css"),
}


class AnyText(StringConvertor):
    """What Starlette's own `path` leaves out: a file may have a line break in its name."""

    regex = r"[\s\S]*"


register_url_convertor("any_text", AnyText())


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `/decide`."""

    version: str
    verdict: Verdict | None = None
    note: str = ""


class Correction(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `/correct`."""

    version: str
    facing: Facing | None = None
    refine_steps: int | None = None
    texture_rows: int | None = None


class Joining(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `/join`."""

    partner: str


class Restoring(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `/restore`."""

    version: str
    number: int


class TakeAway(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `/zip`."""

    keys: list[str]
    format: ExportFormat = "glb"


def make_app(desk: Desk, access: Access) -> ASGIApp:
    """The whole application, guarded."""
    views = Views(desk, access)
    one = "/asset/{key}"
    routes = [
        Route("/", views.page),
        Route("/static/{name}", views.static),
        Route("/changes", views.changes),
        Route("/photo/{name:any_text}", views.upload, methods=["PUT"]),
        Route("/zip", views.zip, methods=["POST"]),
        Route(one + "/still/{kind}/{version}.webp", views.still),
        Route(one + "/photo.jpg", views.photo),
        Route(one + "/mesh.glb", views.mesh),
        Route(one + "/walk.glb", views.walk),
        Route(one + "/mask.png", views.mask),
        Route(one + "/mask.png", views.save_mask, methods=["PUT"]),
        Route(one + "/region", views.region, methods=["POST"]),
        Route(one + "/details", views.details),
        Route(one + "/decide", views.decide, methods=["POST"]),
        Route(one + "/correct", views.correct, methods=["POST"]),
        Route(one + "/join", views.join, methods=["POST"]),
        Route(one + "/restore", views.restore, methods=["POST"]),
        Route(one + "/cancel", views.cancel, methods=["POST"]),
    ]
    handlers = {ItemError: _told, FatalError: _told, Conflict: _conflict, ClientDisconnect: _gone, OSError: _full}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), access)


class Views:
    """One method per route."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access
        self._page = environment().get_template("review/page.html")

    async def page(self, request: Request) -> Response:
        """The page itself; everything on it comes by script."""
        title = self._desk.meshes.resolve().name
        text = self._page.render(title=title, token=self._access.token, version=__version__, formats=FORMATS)
        return Response(text, media_type="text/html", headers=FRESH)

    async def static(self, request: Request) -> Response:
        """Scripts and style, from the package."""
        name = request.path_params["name"]
        if name not in SCRIPTS:
            return Response(status_code=404)
        package, kind = SCRIPTS[name]
        text = resources.files(package).joinpath(name).read_text("utf-8")
        return Response(text, media_type=kind, headers=FRESH)

    async def changes(self, request: Request) -> Response:
        """News since a revision; waits for some."""
        since = _number(request.query_params.get("since", "0"))
        for _ in range(round(POLL_S / LOOK_S)):
            news = await run_in_threadpool(self._desk.changes, since)
            if news["revision"] > since or self._desk.is_ending.is_set():
                break
            await asyncio.sleep(LOOK_S)  # no thread waits: pages are many, threads are few
        return JSONResponse(news, headers=FRESH)

    async def upload(self, request: Request) -> Response:
        """Photos and zips, one a request."""
        name = request.path_params["name"]
        with tempfile.NamedTemporaryFile(prefix="mmgen-upload-") as file:
            size = 0
            async for chunk in request.stream():
                size += len(chunk)
                if size > limits.UPLOAD_BYTES:
                    raise uploads.too_large(name)
                file.write(chunk)
            file.flush()
            received = await run_in_threadpool(
                lambda: list(uploads.receive_file(self._desk.photos, name, Path(file.name)))
            )
        kept = [one.relative for one in received if one.relative is not None]
        await run_in_threadpool(self._desk.take_in, kept)
        return JSONResponse(
            [{"name": one.name, "error": None if one.error is None else _words(one.error)} for one in received]
        )

    async def still(self, request: Request) -> Response:
        """A small picture; its address names what is in it."""
        entry = await self._entry(request)
        kind = request.path_params["kind"]
        if kind not in KINDS or entry.item is None:
            return Response(status_code=404)
        data = await run_in_threadpool(still, self._desk.meshes, entry.item.glb, entry.item.photo, kind)
        return Response(data, media_type="image/webp", headers=FOREVER)

    async def photo(self, request: Request) -> Response:
        """The whole photo."""
        path = await run_in_threadpool(self._desk.photo_file, await self._entry(request))
        return Response(await run_in_threadpool(page_photo, path), media_type="image/jpeg", headers=FRESH)

    async def mesh(self, request: Request) -> Response:
        """The GLB."""
        entry = await self._entry(request)
        if entry.item is None or entry.item.glb is None:
            return Response(status_code=404)
        from mmgen.assets.glb import read_file

        data = await run_in_threadpool(read_file, entry.item.glb)
        return Response(data, media_type="model/gltf-binary", headers=FRESH)

    async def walk(self, request: Request) -> Response:
        """The GLB with a skeleton and a walk."""
        data = await run_in_threadpool(self._desk.walk, await self._entry(request))
        return Response(data, media_type="model/gltf-binary", headers=FRESH)

    async def mask(self, request: Request) -> Response:
        """The mask in use."""
        data = await run_in_threadpool(self._desk.mask, await self._entry(request))
        return Response(data, media_type="image/png", headers=FRESH)

    async def save_mask(self, request: Request) -> Response:
        """A corrected mask."""
        png = await _body(request, limits.MASK_BYTES)
        version = request.query_params.get("version", "")
        return _shown(await run_in_threadpool(self._desk.correct_mask, request.path_params["key"], version, png))

    async def region(self, request: Request) -> Response:
        """«This region too»: mask and scribble as two PNGs, the first's length in a header."""
        body = await _body(request, 2 * limits.MASK_BYTES)
        split = _number(request.headers.get("x-first-length", "0"))
        grow = partial(self._desk.grow, await self._entry(request), body[:split], body[split:])
        data = await run_in_threadpool(grow, request.query_params.get("remove") != "1")
        return Response(data, media_type="image/png", headers=FRESH)

    async def details(self, request: Request) -> Response:
        """Figures of one asset, and its older versions."""
        entry = await self._entry(request)
        return JSONResponse(await run_in_threadpool(self._desk.details, entry), headers=FRESH)

    async def decide(self, request: Request) -> Response:
        """Accept, reject, note."""
        body = await _json(request, Decision)
        key = request.path_params["key"]
        return _shown(await run_in_threadpool(self._desk.decide, key, body.version, body.verdict, body.note))

    async def correct(self, request: Request) -> Response:
        """Another facing, more steps, another texture size."""
        body = await _json(request, Correction)
        choices, words = _choices(body)
        return _shown(
            await run_in_threadpool(self._desk.correct, request.path_params["key"], body.version, choices, words)
        )

    async def join(self, request: Request) -> Response:
        """A second photo of the same person."""
        body = await _json(request, Joining)
        return _shown(await run_in_threadpool(self._desk.join, request.path_params["key"], body.partner))

    async def restore(self, request: Request) -> Response:
        """An older version back."""
        body = await _json(request, Restoring)
        key = request.path_params["key"]
        return _shown(await run_in_threadpool(self._desk.bring_back, key, body.version, body.number))

    async def cancel(self, request: Request) -> Response:
        """Forget or stop a job."""
        entry = await self._entry(request)
        return JSONResponse({"stopped": await run_in_threadpool(self._desk.cancel, entry)})

    async def zip(self, request: Request) -> Response:
        """Chosen assets in one file."""
        body = await _json(request, TakeAway)
        entries = await run_in_threadpool(self._desk.entries)
        chosen = [entries[key] for key in dict.fromkeys(body.keys) if key in entries]
        folder = tempfile.TemporaryDirectory(prefix="mmgen-zip-")
        target = Path(folder.name) / "assets.zip"
        count = await run_in_threadpool(write_zip, target, chosen, body.format)
        headers = {**FRESH, "x-assets": str(count)}
        done = BackgroundTask(folder.cleanup)
        return FileResponse(
            target, filename="assets.zip", media_type="application/zip", headers=headers, background=done
        )

    async def _entry(self, request: Request) -> Entry:
        return await run_in_threadpool(self._desk.entry, request.path_params["key"])


def _choices(body: Correction) -> tuple[Choices, str]:
    """What is chosen, and in a word what was corrected.

    Raises:
        ItemError: `choice_invalid`.
    """
    if body.refine_steps is not None and not 0 <= body.refine_steps <= limits.REFINE_STEPS:
        raise ItemError("choice_invalid", f"{body.refine_steps} steps", f"0 to {limits.REFINE_STEPS} are possible.")
    if body.texture_rows is not None and body.texture_rows not in limits.TEXTURE_ROWS:
        known = ", ".join(map(str, limits.TEXTURE_ROWS))
        raise ItemError("choice_invalid", f"a texture of {body.texture_rows} rows", f"{known} are possible.")
    given = {"facing": body.facing, "refinement": body.refine_steps, "texture": body.texture_rows}
    words = [name for name, value in given.items() if value is not None] or ["again"]
    return Choices(body.facing, body.refine_steps, body.texture_rows), words[0]


async def _body(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        ItemError: `upload_too_large`.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise ItemError("upload_too_large", "the request is too large", f"At most {limit} bytes.")
    return bytes(data)


async def _json(request: Request, kind: Callable[..., Any]) -> Any:
    """A typed body.

    Raises:
        ItemError: `request_invalid`.
    """
    try:
        return msgspec.json.decode(await _body(request, limits.JSON_BYTES), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ItemError("request_invalid", f"the request is not understood: {error}", "Load the page again.") from error


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _shown(entry: Entry) -> Response:
    return JSONResponse(entry.as_json(), headers=FRESH)


def _words(error: ItemError | FatalError) -> dict[str, str]:
    return {"error": error.code, "message": error.message, "hint": error.hint}


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, (ItemError, FatalError))
    return JSONResponse(_words(error), 404 if error.code == "asset_unknown" else 422)


async def _conflict(request: Request, error: Exception) -> Response:
    assert isinstance(error, Conflict)
    return JSONResponse(
        {
            "error": "changed_meanwhile",
            "message": f"{error.entry.name} was changed in another window or by a run",
            "hint": "Look at it as it is now, then decide again.",
            "item": error.entry.as_json(),
        },
        409,
    )


async def _full(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    where = "" if error.filename is None else f" {display_name(error.filename)}"
    words = {
        "error": "storage_failed",
        "message": f"Reading or writing{where} failed: {error.strerror or error}",
        "hint": "Free space or check the disk and its rights, then do it again; what was saved is kept",
    }
    return JSONResponse(words, 507)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)
