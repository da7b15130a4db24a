"""The gallery page: an HTML file that holds everything."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib import resources

from mmgen.core.version import __version__
from mmgen.gallery.cards import CHECK, FAILED, GOOD, GOOD_MASK_IOU, Card

CHIP_LABELS = {"all": "All", GOOD: "Good", CHECK: "To check", FAILED: "Failed"}


def render_page(title: str, cards: Sequence[Card]) -> str:
    """The whole page as text, to be written as UTF-8.

    The content security policy allows the three scripts and the style sheet by their hashes, pictures from data and
    blob addresses, and nothing else: a script that slips in through a name does not run, and no request is made.
    """
    viewer, controls, gallery = (_source(name) for name in ("viewer.js", "controls.js", "gallery.js"))
    template = _source("page.html")
    style = template.split("<style>")[1].split("</style>")[0]
    parts = {
        "POLICY": _policy([viewer, controls, gallery], style),
        "GENERATOR": html.escape(f"mmgen {__version__}"),
        "TITLE": html.escape(title),
        "HEADING": html.escape(title),
        "SUMMARY": html.escape(_summary(cards)),
        "CHIPS": _chips(cards),
        "CARDS": "\n".join(card.html for card in cards),
        "FOOTER": html.escape(_footer()),
        "ITEMS": json_for_html([card.for_script for card in cards]),
        "MODELS": "\n".join(_model(index, card.glb) for index, card in enumerate(cards) if card.glb is not None),
        "VIEWER": viewer,
        "CONTROLS": controls,
        "GALLERY": gallery,
    }
    # one pass, so that nothing inside an inserted part (a file called "{{ITEMS}}", say) is taken for a place to fill
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: parts[match[1]], template)


def json_for_html(data: object) -> str:
    """JSON in plain ASCII that cannot end the script element it stands in."""
    text = json.dumps(data, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _source(name: str) -> str:
    return resources.files("mmgen.gallery").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], style: str) -> str:
    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode() + "'"

    allowed = " ".join(digest(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {digest(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _model(index: int, glb: bytes) -> str:
    # a script element of an unknown type is inert text that the browser neither runs nor lays out
    return f'<script type="text/plain" id="glb-{index}">{base64.b64encode(glb).decode()}</script>'


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _summary(cards: Sequence[Card]) -> str:
    shown = [card for card in cards if card.has_mesh]
    parts = [_count(len(shown), "mesh").replace("meshs", "meshes")]
    failed = len(cards) - len(shown)
    if failed:
        parts.append(f"{failed} failed")
    overlaps = sorted(card.mask_iou for card in shown if card.mask_iou is not None)
    if overlaps:
        parts.append(f"median outline match {100 * overlaps[len(overlaps) // 2]:.0f}%")
    return " · ".join(parts)


def _chips(cards: Sequence[Card]) -> str:
    counts = {"all": len(cards)} | {
        group: sum(card.group == group for card in cards) for group in (GOOD, CHECK, FAILED)
    }
    return "".join(
        f'<button type="button" data-show="{group}" aria-pressed="{str(group == "all").lower()}">'
        f'{CHIP_LABELS[group]}<span class="count">{count}</span></button>'
        for group, count in counts.items()
        if count
    )


def _footer() -> str:
    return (
        f"Made by mmgen {__version__}. This page works from disk and sends nothing anywhere. "
        "Outline match is the MaskIoU against the input's mask; "
        f"below {100 * GOOD_MASK_IOU:.0f}% a mesh should be checked. "
        "Likeness is the SSIM. What the photo did not show is the model's guess."
    )
