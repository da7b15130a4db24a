"""What is known about one photo, and a data set of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["real", "virtual"]

VIRTUAL_CAMERA = -1


@dataclass(frozen=True)
class Photo:
    """One image, in a file of its own or inside an uncompressed tar.

    Attributes:
        identity: as in the data set, text.
        camera: number from 1; -1 of virtual people.
        path: the image file, or the tar.
        offset: where the image begins in `path`, bytes.
        size: its length in bytes; None: up to the end of the file.
        kind: a real photo or a virtual person.
        parents: identities a virtual person is made of.
        parent_weights: their shares, one each, adding up to 1.
        group: what positives should differ in: the camera of a real photo, the source photos of a virtual one.
        quality: scores of a virtual person, by name.
        sha256: SHA-256 of the bytes, where known.
    """

    identity: str
    camera: int
    path: str
    offset: int = 0
    size: int | None = None
    kind: Kind = "real"
    parents: tuple[str, ...] = ()
    parent_weights: tuple[float, ...] = ()
    group: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""

    @property
    def name(self) -> str:
        """For messages: the path, and where in it."""
        return self.path if self.size is None else f"{self.path} at byte {self.offset}"


@dataclass(frozen=True)
class Dataset:
    """Photos to train on and to test with; any part may be empty.

    Attributes:
        train: photos with an identity.
        query: who is looked for.
        gallery: where; with distractors.
    """

    train: tuple[Photo, ...]
    query: tuple[Photo, ...] = ()
    gallery: tuple[Photo, ...] = ()


def identities(photos: Sequence[Photo]) -> tuple[str, ...]:
    """All identities in sorted order: the order of labels, the same in every process."""
    return tuple(sorted({photo.identity for photo in photos}))
