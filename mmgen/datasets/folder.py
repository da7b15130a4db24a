"""Any folder of photos: everything is `train`, nobody is known."""

from pathlib import Path

from mmgen.datasets.structures import Scan, SourceImage, wrong_layout
from mmgen.listing import display_name, list_images


def scan(source: Path) -> Scan:
    """List the photos below `source`.

    Raises:
        FatalError: `no_images`; `dataset_layout` where there is no such folder.
    """
    if not source.is_dir():
        raise wrong_layout(display_name(source), "a folder of photos")
    files = list_images([source])
    return Scan(tuple(SourceImage(file.path, file.relative.as_posix(), "train") for file in files))
