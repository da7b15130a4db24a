"""Several generated data sets as one: `python -m mmgen.datasets.joined A B ... --out OUT`.

Training photos with their masks and truth, as links where the file system has them. Nobody is renamed, so no two may
share a number: `mmgen synth` counts from 1, `mmgen.training.fitted_truth --first` from anywhere.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.files import link_or_copy
from mmgen.core.listing import display_name
from mmgen.datasets.reading import TRAIN, DataSetPhoto, read_data_set


def join(folders: Sequence[Path], out: Path) -> int:
    """Link the training photos of data sets into a new one; returns their number.

    Raises:
        FatalError: `identity_shared`, `truth_missing`, or as from `read_data_set`.
    """
    owner: dict[str, Path] = {}
    photos = 0
    for folder in folders:
        for photo in read_data_set(folder).photos:
            if photo.split != TRAIN:
                continue
            _check(photo, folder, owner)
            for path in (photo.given_mask, photo.truth, photo.image):
                assert path is not None
                target = out / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    link_or_copy(path, target)
            photos += 1
    return photos


def _check(photo: DataSetPhoto, folder: Path, owner: dict[str, Path]) -> None:
    if photo.truth is None:
        raise FatalError("truth_missing", f"{photo.name} of {display_name(folder)} has no truth", "Leave it out.")
    who = photo.identity or photo.name
    if owner.setdefault(who, folder) != folder:
        what = f"{display_name(owner[who])} and {display_name(folder)} both have a person {who}"
        raise FatalError("identity_shared", what, "Make one of them again with other numbers.")


def main() -> None:
    """Join; prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        photos = join(options.folders, options.out)
    except FatalError as error:
        parser.error(f"{error.message}. {error.hint}")
    sys.stdout.write(json.dumps({"photos": photos}) + "\n")


if __name__ == "__main__":
    main()
