"""Which photos show the same person: by names as in Market-1501, else by folder."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath

from mmgen.core.errors import FatalError
from mmgen.core.files import safe_folder
from mmgen.photos.inputs import InputItem, UsageError
from reid.data.layouts import DISTRACTOR, JUNK, parsed_name


def by_identity(items: Sequence[InputItem]) -> list[InputItem]:
    """One item per person, sorted by name, with the person's photos.

    `0002_c1s1_000451_03.jpg` shows person 0002, in whatever folder; junk (-1) and distractors (0000) are nobody and are
    left out. All other photos of one folder show the same person, who is called like the folder.

    Raises:
        FatalError: `no_identities` where all photos are of nobody.
        UsageError: `height_differs` where a list gives one person two heights.
    """
    people: dict[tuple[str, PurePath], list[InputItem]] = {}
    for item in items:
        identity, _ = parsed_name(item.path.name)
        if identity is None:
            people.setdefault((str(item.root), item.relative.parent), []).append(item)
        elif identity not in (JUNK, DISTRACTOR):
            people.setdefault(("", PurePath(identity)), []).append(item)
    if not people:
        raise FatalError(
            "no_identities", "all photos are junk (-1) or distractors (0000) by their names", "Give other photos."
        )
    found = [
        person_of(name if name.parts else PurePath(photos[0].root.name), photos) for (_, name), photos in people.items()
    ]
    return sorted(found, key=lambda person: (person.name, person.path))


def person_of(name: PurePath, photos: Sequence[InputItem]) -> InputItem:
    """One item of all photos of a person called `name`.

    Raises:
        UsageError: `height_differs`.
    """
    height_m = _height(name, photos)
    first = photos[0]
    return InputItem(
        path=first.path.parent,
        root=first.root,
        relative=name,
        output="/".join(map(safe_folder, name.parts)) + ".glb",
        height_m=height_m,
        photos=tuple(replace(photo, height_m=height_m) for photo in photos),
    )


def _height(name: PurePath, photos: Iterable[InputItem]) -> float | None:
    heights = sorted({photo.height_m for photo in photos if photo.height_m is not None})
    if len(heights) > 1:
        raise UsageError(
            "height_differs",
            f"the photos of {name.as_posix()} are of someone {heights[0]:g} m and {heights[-1]:g} m tall",
            "Give one height_m per person.",
        )
    return heights[0] if heights else None
