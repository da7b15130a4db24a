"""Our photos, shards included, as a torchreid data set: its users train on them with its own engine.

    register_with_torchreid("people-3d", dataset, virtual)
    manager = torchreid.data.ImageDataManager(sources="people-3d", ...)

Give everything that shall be trained on in one registration: torchreid joins several sources by file path, and photos
in shards have none of their own.
"""

from collections.abc import Sequence
from typing import Any

from reid.data.layouts import DISTRACTOR
from reid.data.photos import VIRTUAL_CAMERA, Dataset, Photo, identities
from reid.data.pixels import decode
from reid.errors import ReidError
from reid.models.backbones import load_module

Row = tuple[str, int, int]
"""torchreid's item: path, person, camera from 0."""


def register_with_torchreid(name: str, dataset: Dataset, virtual: Sequence[Photo] = ()) -> None:
    """Make `name` known to `torchreid.reid.data`.

    Persons are numbered in sorted order (training and test each from 0), distractors share a number of their own, and
    virtual people stand under one camera behind the real ones.

    Args:
        dataset: training photos, query and gallery, none of them empty.
        virtual: further photos to train on, such as those of `read_shards`.

    Raises:
        ReidError: `torchreid_name`, `torchreid_part`, `zoo_missing`.
    """
    for part in ("train", "query", "gallery"):
        if not getattr(dataset, part):
            raise ReidError("torchreid_part", f"the data set has no {part} photos", "torchreid needs all three parts.")
    train, query, gallery = _numbered(dataset, virtual)
    photos = {photo.name: photo for part in (dataset.train, virtual, dataset.query, dataset.gallery) for photo in part}
    registry = load_module("torchreid.reid.data")
    try:
        registry.register_image_dataset(name, _dataset_class(registry.ImageDataset, (train, query, gallery), photos))
    except ValueError as error:
        raise ReidError("torchreid_name", f"torchreid has a data set {name!r} already", "Use another name.") from error


def _numbered(dataset: Dataset, virtual: Sequence[Photo]) -> tuple[list[Row], list[Row], list[Row]]:
    learned = (*dataset.train, *virtual)
    train_number = {name: index for index, name in enumerate(identities(learned))}
    tested = (*dataset.query, *dataset.gallery)
    found = [name for name in identities(tested) if name != DISTRACTOR]
    test_number = {name: index for index, name in enumerate((*found, DISTRACTOR))}
    virtual_camera = max(photo.camera for photo in (*dataset.train, *tested))
    return (
        _rows(learned, train_number, virtual_camera),
        _rows(dataset.query, test_number, virtual_camera),
        _rows(dataset.gallery, test_number, virtual_camera),
    )


def _rows(photos: Sequence[Photo], number: dict[str, int], virtual_camera: int) -> list[Row]:
    return [
        (photo.name, number[photo.identity], virtual_camera if photo.camera == VIRTUAL_CAMERA else photo.camera - 1)
        for photo in photos
    ]


def _dataset_class(base: Any, parts: tuple[list[Row], list[Row], list[Row]], photos: dict[str, Photo]) -> Any:
    class RegisteredPhotos(base):
        """Items as torchreid wants them; pixels through our reader, which also reads shards."""

        def __init__(self, root: str = "", **options: Any) -> None:
            train, query, gallery = parts
            super().__init__(train, query, gallery, **options)

        def __getitem__(self, index: int) -> dict[str, Any]:
            path, person, camera, source = self.data[index]
            image: Any = decode(photos[path])
            if self.transform is not None:
                image = self._transform_image(self.transform, self.k_tfm, image)
            return {"img": image, "pid": person, "camid": camera, "impath": path, "dsetid": source}

    return RegisteredPhotos
