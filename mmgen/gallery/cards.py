"""One card of the gallery: pictures, figures and the text beside them."""

import html
from dataclasses import dataclass, replace
from typing import Any

from mmgen.assets.asset import Asset
from mmgen.assets.glb import read_file, read_glb
from mmgen.core.errors import ItemError
from mmgen.gallery.figures import details, short_figures
from mmgen.gallery.items import GalleryItem
from mmgen.gallery.pictures import data_uri, home_view, person_box, photo_jpeg, poster_webp
from mmgen.previews import View

GOOD, CHECK, FAILED = "good", "check", "failed"
GOOD_MASK_IOU = 0.85
"""From here on a reconstruction counts as good on its card."""


@dataclass(frozen=True)
class Card:
    """What the page needs of one item.

    Attributes:
        html: The card, everything in it escaped.
        for_script: What the page's script needs: plain JSON.
        group: `good`, `check` or `failed`.
        mask_iou: 0..1, or None where it is not known.
        has_mesh: Whether there is a mesh to show.
        glb: The mesh file's bytes where the page has to hold them itself.
        unreadable: What is wrong with the item's mesh file; None where it is sound or there is none.
    """

    html: str
    for_script: dict[str, Any]
    group: str
    mask_iou: float | None
    has_mesh: bool
    glb: bytes | None
    unreadable: ItemError | None


def make_card(item: GalleryItem, rank: int) -> Card:
    """Read and render one item. Never raises for a bad file: the card then says what is wrong.

    Args:
        item: What to show.
        rank: Position in the input order, from 0.
    """
    try:
        asset = read_glb(item.glb) if item.glb else None
        glb = read_file(item.glb) if item.glb else None
        unreadable = None
    except ItemError as error:
        glb, asset, unreadable = None, None, error
        item = replace(item, error=error.code, message=error.message, hint=error.hint)
    group = _group(item, asset)
    photo = _photo_address(item, asset)
    view, right = View(), _problem(item)
    if asset is not None:
        view = home_view(asset, has_photo=photo is not None)
        right = _stage(data_uri("webp", poster_webp(asset, view)), has_photo=photo is not None)
    for_script = {
        "rank": rank,
        "name": item.name,
        "file": item.name.rsplit("/", 1)[-1] + ".glb",
        "view": {"azimuth": view.azimuth_deg, "elevation": view.elevation_deg},
        "group": group,
        "mask_iou": item.mask_iou,
        "ssim": item.ssim,
        "bytes": None if glb is None else len(glb),
        "details": details(item, asset, glb),
    }
    text = _CARD.format(
        rank=rank,
        group=group,
        name=html.escape(item.name),
        media=_media(rank, _photo(photo, item), right, opens=asset is not None),
        badge=_badge(item, group),
        figures=html.escape(short_figures(item, asset, glb)),
    )
    return Card(text, for_script, group, item.mask_iou, asset is not None, glb, unreadable)


def _photo_address(item: GalleryItem, asset: Asset | None) -> str | None:
    """The photo, small; None where it cannot be read: the run's record says why."""
    if item.photo is None:
        return None
    try:
        return data_uri("jpeg", photo_jpeg(item.photo, person_box(asset) if asset else None))
    except ItemError:
        return None


_CARD = """<article class="card" data-index="{rank}" data-drawn="false">
{media}
<div class="caption">
<div class="heading"><h2 title="{name}">{name}</h2>{badge}</div>
<p class="figures">{figures}</p>
</div>
</article>"""


def _group(item: GalleryItem, asset: Asset | None) -> str:
    if asset is None:
        return FAILED
    is_weak = item.mask_iou is not None and item.mask_iou < GOOD_MASK_IOU
    return CHECK if is_weak or item.low_confidence is not None or item.status != "ok" else GOOD


def _photo(address: str | None, item: GalleryItem) -> str:
    if address is None:
        return ""
    picture = f'<img src="{address}" alt="Input photo" loading="lazy" decoding="async">'
    count = len(item.used_photos)
    tag = f"1 of {count} photos" if count > 1 else "Photo"
    return f'<div class="photo">{picture}<span class="tag">{tag}</span></div>'


def _media(rank: int, left: str, right: str, opens: bool) -> str:
    if opens:
        return f'<a class="media" href="#asset-{rank}" aria-label="Open the large view">{left}{right}</a>'
    return f'<div class="media">{left}{right}</div>'


def _stage(poster: str, has_photo: bool) -> str:
    picture = f'<img class="poster" src="{poster}" alt="The mesh" loading="lazy" decoding="async">'
    tag = '<span class="tag">Same view</span>' if has_photo else ""
    return f'<div class="stage">{picture}<canvas></canvas>{tag}</div>'


def _problem(item: GalleryItem) -> str:
    lines = [f'<span class="code">{html.escape(item.error or "failed")}</span>']
    if item.message:
        lines.append(f"<p>{html.escape(item.message)}</p>")
    if item.hint:
        lines.append(f'<p class="hint">{html.escape(item.hint)}</p>')
    return f'<div class="problem">{"".join(lines)}</div>'


def _badge(item: GalleryItem, group: str) -> str:
    if group == FAILED:
        return '<span class="badge failed">failed</span>'
    if item.mask_iou is None:
        return ""
    return f'<span class="badge {group}" title="Outline match (MaskIoU)">{100 * item.mask_iou:.0f}%</span>'
