"""One card of the gallery: pictures, figures and the text beside them."""

from dataclasses import dataclass, replace
from typing import Any

from mmgen.assets.asset import Asset
from mmgen.assets.glb import read_file, read_glb
from mmgen.core.errors import ItemError
from mmgen.gallery.figures import details, short_figures
from mmgen.gallery.items import GalleryItem
from mmgen.gallery.pages import data_uri
from mmgen.gallery.pictures import home_view, person_box, photo_jpeg, poster_webp
from mmgen.gallery.walks import walk_data
from mmgen.previews import View

GOOD, CHECK, FAILED = "good", "check", "failed"
GOOD_MASK_IOU = 0.85
"""From here on a reconstruction counts as good on its card."""


@dataclass(frozen=True)
class Card:
    """What the page needs of one item.

    Attributes:
        rank: Position in the input order, from 0.
        item: The item, with its error where its mesh cannot be read.
        group: `good`, `check` or `failed`.
        photo: Address of the photo's picture, or None.
        poster: Address of the mesh's picture; None where there is no mesh to show.
        back: Address of its picture from the other side.
        back_title: What that side is: `Back`, or `Front` of who is seen from behind.
        figures: One line of figures.
        for_script: What the page's script needs: plain JSON.
        walk: Skin and loop of a mesh that can walk, for the page's script; None for the others.
        unreadable: What is wrong with the item's mesh file; None where it is sound or there is none.
    """

    rank: int
    item: GalleryItem
    group: str
    photo: str | None
    poster: str | None
    back: str | None
    back_title: str
    figures: str
    for_script: dict[str, Any]
    glb: bytes | None
    walk: bytes | None
    unreadable: ItemError | None

    @property
    def name(self) -> str:
        """How the item is called."""
        return self.item.name

    @property
    def mask_iou(self) -> float | None:
        """0..1, or None where it is not known."""
        return self.item.mask_iou

    @property
    def has_mesh(self) -> bool:
        """Whether there is a mesh to show."""
        return self.poster is not None

    @property
    def photo_count(self) -> int:
        """Photos that the mesh was made from, as far as the record tells."""
        return len(self.item.used_photos)


def make_card(item: GalleryItem, rank: int) -> Card:
    """Read and draw one item. Never raises for a bad file: the card then says what is wrong.

    Args:
        rank: Position in the input order, from 0.
    """
    asset, glb, unreadable = None, None, None
    try:
        if item.glb:
            asset, glb = read_glb(item.glb), read_file(item.glb)
    except ItemError as error:
        asset, unreadable = None, error
        item = replace(item, error=error.code, message=error.message, hint=error.hint)
    group = _group(item, asset)
    photo = _photo_address(item, asset)
    view, poster, back, walk = View(), None, None, None
    if asset is not None and glb is not None:
        walk = walk_data(asset, glb)
        view = home_view(asset, has_photo=photo is not None)
        other_side = replace(view, azimuth_deg=view.azimuth_deg + 180)
        poster, back = (data_uri("webp", poster_webp(asset, one)) for one in (view, other_side))
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
    figures = short_figures(item, asset, glb)
    back_title = "Back" if abs(view.azimuth_deg) <= 90 else "Front"
    return Card(rank, item, group, photo, poster, back, back_title, figures, for_script, glb, walk, unreadable)


def _photo_address(item: GalleryItem, asset: Asset | None) -> str | None:
    """The photo, small; None where it cannot be read: the run's record says why."""
    if item.photo is None:
        return None
    try:
        return data_uri("jpeg", photo_jpeg(item.photo, person_box(asset) if asset else None))
    except ItemError:
        return None


def _group(item: GalleryItem, asset: Asset | None) -> str:
    if asset is None:
        return FAILED
    is_weak = item.mask_iou is not None and item.mask_iou < GOOD_MASK_IOU
    return CHECK if is_weak or item.low_confidence is not None or item.status != "ok" else GOOD
