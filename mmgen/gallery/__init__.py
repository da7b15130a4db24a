"""A web page to look at meshes: one file that works from disk, or a folder to serve. Neither needs a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import ItemError
from mmgen.core.files import write_bytes_atomic
from mmgen.gallery.cards import make_card
from mmgen.gallery.items import GalleryItem, collect_items
from mmgen.gallery.page import render_page
from mmgen.gallery.stores import EmbeddedStore, FolderStore, Store

__all__ = ["PAGE_NAME", "Gallery", "build_gallery", "collect_items", "write_gallery_folder"]

PAGE_NAME = "index.html"
"""The page of a gallery folder."""


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
    store: Store | None = None,
) -> Gallery:
    """Render all items and put them on one page.

    Args:
        items: What to show, in order; see `collect_items`.
        on_item: Called after each item with whether it has no mesh to show.
        store: Takes pictures and meshes; None puts them into the page.

    Returns:
        The page. The same files give the same bytes.
    """
    store = store or EmbeddedStore()
    cards = []
    for rank, item in enumerate(items):
        cards.append(make_card(item, rank, store))
        on_item(not cards[-1].has_mesh)
    pairs = list(zip(items, cards, strict=True))
    return Gallery(
        page=render_page(title, cards).encode("utf-8"),
        shown=tuple(item.name for item, card in pairs if card.has_mesh),
        failed=tuple(item.name for item, _ in pairs if item.glb is None),
        unreadable=tuple(card.unreadable for card in cards if card.unreadable is not None),
    )


def write_gallery_folder(
    folder: Path, title: str, items: Sequence[GalleryItem], on_item: Callable[[bool], None] = lambda failed: None
) -> Gallery:
    """Like `build_gallery`, as `index.html` with its pictures and meshes in `files/`; for `mmgen.gallery.server`.

    What an earlier gallery in the same folder drew of the same meshes is kept, and what only that one used removed.
    """
    store = FolderStore(folder)
    gallery = build_gallery(title, items, on_item, store)
    write_bytes_atomic(folder / PAGE_NAME, gallery.page)
    store.clear_away()
    return gallery
