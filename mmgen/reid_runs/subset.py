"""A smaller training set: the photos of some identities, to make virtual people from for a low-data protocol."""

from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.files import link_or_copy, write_text_atomic
from mmgen.core.listing import MASK_FOLDER, display_name
from reid.data.market import read_market
from reid.data.photos import Photo
from reid.data.selection import identity_subset, of_identities

TRAIN = "bounding_box_train"
LIST_NAME = "identities.txt"


@dataclass(frozen=True)
class Subset:
    """Chosen training photos.

    Attributes:
        source: folder that holds `bounding_box_train/`.
        photos: photos of the chosen identities.
        identities: sorted.
    """

    source: Path
    photos: tuple[Photo, ...]
    identities: tuple[str, ...]


def choose_subset(data: Path, share: float, seed: int) -> Subset:
    """The identities that `data.identity_share` and `data.identity_seed` of a manifest choose.

    Args:
        data: Market-1501, or a folder in its layout.
        share: share of the training identities, 0..1.

    Raises:
        ReidError: as from `read_market`.
    """
    train = read_market(data).train
    chosen = identity_subset(train, share, seed)
    photos = of_identities(train, chosen)
    return Subset(Path(photos[0].path).parents[1], photos, tuple(sorted(chosen)))


def write_subset(subset: Subset, out: Path) -> int:
    """Link the photos, and their masks where there are any, into a folder in Market's layout; copy where links fail.

    Args:
        out: a new or empty folder.

    Returns:
        Number of masks.

    Raises:
        FatalError: `folder_not_empty`.
    """
    if out.exists() and any(out.iterdir()):
        raise FatalError("folder_not_empty", f"{display_name(out)} is not empty", "Choose another --out.")
    masks = 0
    for photo in subset.photos:
        name = Path(photo.path).name
        link_or_copy(Path(photo.path), out / TRAIN / name)
        mask = subset.source / MASK_FOLDER / TRAIN / f"{Path(name).stem}.png"
        if mask.is_file():
            link_or_copy(mask, out / MASK_FOLDER / TRAIN / mask.name)
            masks += 1
    write_text_atomic(out / LIST_NAME, "".join(f"{identity}\n" for identity in subset.identities))
    return masks
