"""Which files of the given folders a run reads, by suffix, for dry runs."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from mmgen.core.listing import IMAGE_SUFFIXES, MASK_ENDINGS, MASK_FOLDERS

Use = Literal["photo", "mask", "not read"]


@dataclass(frozen=True, order=True)
class FileKind:
    """Files of one suffix with one fate.

    Attributes:
        suffix: lower case with its dot; empty for names without one.
        use: `photo` for what is worked on, `mask` for masks beside photos or in `masks/`, else `not read`.
        count: how many there are.
    """

    suffix: str
    use: Use
    count: int


def file_kinds(sources: Sequence[Path], photos: Iterable[Path], out: Path) -> list[FileKind]:
    """Count the files of the folders among `sources`; hidden files, hidden folders and `out` are left out."""
    chosen = {os.path.abspath(photo) for photo in photos}
    counts: Counter[tuple[str, Use]] = Counter()
    for source in sources:
        for folder, folders, names in os.walk(source):
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".") and os.path.abspath(os.path.join(folder, name)) != os.path.abspath(out)
            ]
            inside = PurePath(os.path.relpath(folder, source)).parts
            for name in names:
                if not name.startswith("."):
                    path = PurePath(name)
                    is_chosen = os.path.abspath(os.path.join(folder, name)) in chosen
                    counts[path.suffix.lower(), "photo" if is_chosen else _other_use(path, inside)] += 1
    return sorted(FileKind(suffix, use, count) for (suffix, use), count in counts.items())


def _other_use(path: PurePath, inside: Sequence[str]) -> Use:
    is_masks_place = not MASK_FOLDERS.isdisjoint(part.lower() for part in inside)
    is_mask = is_masks_place or path.stem.lower().endswith(MASK_ENDINGS)
    return "mask" if is_mask and path.suffix.lower() in IMAGE_SUFFIXES else "not read"
