"""Any folder of photos: everything is `train`, nobody is known."""

from pathlib import Path

from mmgen.core.listing import display_name, list_images
from mmgen.datasets.structures import Scan, SourceImage, truth_of, wrong_layout


def scan(source: Path) -> Scan:
    """List the photos below `source`.

    Raises:
        FatalError: `no_images`; `dataset_layout` where there is no such folder.
    """
    if not source.is_dir():
        raise wrong_layout(display_name(source), "a folder of photos")
    files = list_images([source])
    names = [file.relative.as_posix() for file in files]
    truths = [truth_of(source, name) for name in names]
    return Scan(
        tuple(
            SourceImage(file.path, name, "train", truth=truth)
            for file, name, truth in zip(files, names, truths, strict=True)
        )
    )
