"""HTML pages from jinja2 templates: every value is escaped, and the content security policy allows nothing else."""

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mmgen.core.version import __version__


def render(template: str, css: Sequence[str], scripts: Sequence[str] = (), policy: str = "", **values: Any) -> str:
    """Fill a template that extends `gallery/base.html`; the same values give the same text.

    The content security policy allows the style sheet and the scripts by their hashes, and data addresses for pictures:
    a script that slips in through a file's name does not run, and no request is made.

    Args:
        template: path of the template inside the package, such as `gallery/page.html`.
        css: paths of style sheets inside the package, joined after the shared `gallery/base.css`.
        scripts: paths of scripts inside the package, in order.
        policy: directives instead of `img-src data:`.
        values: what the template needs; text is escaped, `Markup` is not.
    """
    style = "".join(map(_source, ("gallery/base.css", *css)))
    sources = [_source(path) for path in scripts]
    return (
        environment()
        .get_template(template)
        .render(
            policy=Markup(_policy(style, sources, policy or "img-src data:")),  # no text of a user is in it
            version=__version__,
            style=Markup(style),
            scripts=list(map(Markup, sources)),
            **values,
        )
    )


def json_for_html(data: object) -> Markup:
    """JSON in plain ASCII that cannot end the script element it stands in."""
    text = json.dumps(data, allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def data_uri(kind: str, data: bytes) -> str:
    """A picture as an address that holds it; `kind` is `jpeg`, `png` or `webp`."""
    return f"data:image/{kind};base64,{_base64(data)}"


@cache
def environment() -> Environment:
    """Templates by their paths in the package, every value escaped and none missing; all pages are made by it."""
    made = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["base64"] = _base64
    return made


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _source(name: str) -> str:
    return resources.files("mmgen").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, scripts: Sequence[str], sources: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{_base64(hashlib.sha256(text.encode()).digest())}'"

    allowed = f"script-src {' '.join(map(digest, scripts))}; " if scripts else ""
    return f"default-src 'none'; {allowed}style-src {digest(style)}; {sources}; base-uri 'none'; form-action 'none'"
