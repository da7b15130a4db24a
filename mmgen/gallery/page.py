"""The gallery page: an HTML file that holds everything."""

from collections.abc import Sequence
from statistics import median_high

from mmgen.gallery.cards import CHECK, FAILED, GOOD, GOOD_MASK_IOU, Card
from mmgen.gallery.pages import json_for_html, render

CHIP_LABELS = {"all": "All", GOOD: "Good", CHECK: "To check", FAILED: "Failed"}
SCRIPTS = ("gallery/glb.js", "gallery/viewer.js", "gallery/controls.js", "gallery/skeleton.js", "gallery/gallery.js")


def render_page(title: str, cards: Sequence[Card]) -> str:
    """The whole page as text, to be written as UTF-8.

    Pictures come from data and blob addresses.
    """
    return render(
        "gallery/page.html",
        ["gallery/page.css"],
        SCRIPTS,
        "img-src data: blob:",
        title=title,
        summary=_summary(cards),
        chips=_chips(cards),
        cards=cards,
        items=json_for_html([card.for_script for card in cards]),
        good_mask_iou=GOOD_MASK_IOU,
    )


def _summary(cards: Sequence[Card]) -> str:
    shown = [card for card in cards if card.has_mesh]
    parts = [f"{len(shown)} {'mesh' if len(shown) == 1 else 'meshes'}"]
    failed = len(cards) - len(shown)
    if failed:
        parts.append(f"{failed} failed")
    overlaps = [card.mask_iou for card in shown if card.mask_iou is not None]
    if overlaps:
        parts.append(f"median outline match {100 * median_high(overlaps):.0f}%")
    return " · ".join(parts)


def _chips(cards: Sequence[Card]) -> list[tuple[str, str, int]]:
    """(group, label, number of cards) of the groups that are not empty."""
    counts = {group: sum(card.group == group for card in cards) for group in (GOOD, CHECK, FAILED)}
    return [(group, CHIP_LABELS[group], count) for group, count in {"all": len(cards), **counts}.items() if count]
