"""A web page to look at meshes: one file that works from disk and needs no network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmgen.core.errors import ItemError
from mmgen.gallery.cards import make_card
from mmgen.gallery.items import GalleryItem, collect_items
from mmgen.gallery.page import render_page

__all__ = ["Gallery", "build_gallery", "collect_items"]


@dataclass(frozen=True)
class Gallery:
    """A finished page.

    Attributes:
        page: The whole file, UTF-8.
        failed: Names of the items that failed in the run and have no mesh.
        unreadable: What went wrong with the meshes that this call could not read; their cards say so too.
    """

    page: bytes
    shown: tuple[str, ...]
    failed: tuple[str, ...]
    unreadable: tuple[ItemError, ...]


def build_gallery(
    title: str,
    items: Sequence[GalleryItem],
    on_item: Callable[[bool], None] = lambda failed: None,
) -> Gallery:
    """Render all items and put them on one page.

    Args:
        items: What to show, in order; see `collect_items`.
        on_item: Called after each item with whether it has no mesh to show.

    Returns:
        The page. The same files give the same bytes.
    """
    cards = []
    for rank, item in enumerate(items):
        cards.append(make_card(item, rank))
        on_item(not cards[-1].has_mesh)
    pairs = list(zip(items, cards, strict=True))
    return Gallery(
        page=render_page(title, cards).encode("utf-8"),
        shown=tuple(item.name for item, card in pairs if card.has_mesh),
        failed=tuple(item.name for item, _ in pairs if item.glb is None),
        unreadable=tuple(card.unreadable for card in cards if card.unreadable is not None),
    )
