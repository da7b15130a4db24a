"""Write a crowd as a data set folder: images in Market-1501 layout, masks, truth, index. Resumable, byte-deterministic.

Each picture has `masks/<same path>.png` (0 or 255) and `truth/<same path>.npz` with the fields of `view.Truth`. An
identity is finished when all of its files are there: files are whole or absent, and the settings decide their content.
"""

import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmgen.core.errors import FatalError
from mmgen.core.files import replacing, write_text_atomic
from mmgen.synth.archive import Member, npz_bytes, pack_array
from mmgen.synth.crowd import CrowdOptions, Person, person_pictures
from mmgen.synth.identity import identity
from mmgen.synth.layout import CrowdPlan, Entry, entries, image_paths, mask_path, truth_path
from mmgen.synth.streams import STREAM_VERSION
from mmgen.synth.view import Picture

INDEX_NAME = "synth.json"
SCHEMA = "mmgen.synth/1"
JPEG_QUALITY = 95
LICENCE = "Generated pictures of people who do not exist; CC0 1.0, no rights reserved."


@dataclass(frozen=True)
class CrowdWriter:
    """Writes identities of a plan into a folder; picklable, so that each process has one."""

    out: Path
    plan: CrowdPlan

    def __call__(self, chunk: Sequence[Entry]) -> Iterator[tuple[int, int]]:
        """Write a chunk of identities; yields (position, number of pictures)."""
        for position, entry in enumerate(chunk):
            yield position, self.write(entry)

    def write(self, entry: Entry) -> int:
        """Write all files of one identity; returns the number of pictures."""
        shared: dict[int, list[Member]] = {}
        images = image_paths(self.plan, entry)
        for person, image in zip(person_pictures(self.plan.options, entry.split, entry.index), images, strict=True):
            for path, data in picture_files(person, image, shared).items():
                with replacing(self.out / path) as temp:  # a rerun makes what a power failure takes
                    temp.write_bytes(data)
        return len(images)


def picture_files(person: Person, image: str, shared: dict[int, list[Member]]) -> dict[str, bytes]:
    """The files of one picture by relative path, image last: whoever sees the image finds its mask and truth.

    Args:
        shared: Compressed meshes by pose number; filled here.
    """
    arrays = person.picture.truth.arrays()
    big = ("vertices", "faces", "colors")
    if person.pose not in shared:
        shared[person.pose] = [pack_array(name, arrays[name]) for name in big]
    members = shared[person.pose] + [pack_array(name, value) for name, value in arrays.items() if name not in big]
    return {
        mask_path(image): _encoded(Image.fromarray(person.picture.mask), "PNG"),
        truth_path(image): npz_bytes(members),
        image: jpeg_bytes(person.picture),
    }


def jpeg_bytes(picture: Picture) -> bytes:
    """The photo as it is written: JPEG with full colour resolution."""
    return _encoded(Image.fromarray(picture.image), "JPEG", quality=JPEG_QUALITY, subsampling=0)


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def settings(plan: CrowdPlan) -> dict[str, object]:
    """Everything that decides the bytes of the data set."""
    return {
        "generator": STREAM_VERSION,
        "identities": plan.identities,
        "test_identities": plan.test_identities,
        **asdict(plan.options),
    }


def check_folder(out: Path, plan: CrowdPlan) -> None:
    """Refuse a folder that the data set must not go to.

    Raises:
        FatalError: `folder_not_empty`, if the folder holds other things; `other_settings`, if it holds a data set made
            with other settings; `bad_index`, if its index cannot be read.
    """
    index = out / INDEX_NAME
    if index.exists():
        _check_settings(index, settings(plan))
    elif out.is_dir() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise FatalError("folder_not_empty", f"{out} is not empty and holds no {INDEX_NAME}", "choose a new folder")


def claim_folder(out: Path, plan: CrowdPlan) -> None:
    """Check the folder, make its sub-folders and note the settings, unless they are noted already.

    Raises:
        FatalError: as from `check_folder`.
    """
    check_folder(out, plan)
    for folder in sorted({os.path.dirname(path) for entry in entries(plan) for path in all_paths(plan, entry)}):
        (out / folder).mkdir(parents=True, exist_ok=True)
    if not (out / INDEX_NAME).exists():
        content = {"schema": SCHEMA, "complete": False, "licence": LICENCE, "settings": settings(plan)}
        write_text_atomic(out / INDEX_NAME, _as_json(content))


def _check_settings(index: Path, wanted: dict[str, object]) -> None:
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["settings"]
        found = {**asdict(CrowdOptions()), **found}  # data sets older than an option were made with its default
        changed = {name: (found.get(name), value) for name, value in wanted.items() if found.get(name) != value}
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise FatalError("bad_index", f"{index} is no index of a generated data set", "choose a new folder") from error
    if changed:
        listed = ", ".join(f"{name} {old} (now {new})" for name, (old, new) in changed.items())
        raise FatalError(
            "other_settings",
            f"{index.parent} was made with other settings: {listed}",
            "use those settings again to go on, or choose a new folder",
        )


def all_paths(plan: CrowdPlan, entry: Entry) -> list[str]:
    """Every file of an identity, relative to the data set."""
    return [path for image in image_paths(plan, entry) for path in (mask_path(image), truth_path(image), image)]


def unfinished(out: Path, plan: CrowdPlan) -> list[Entry]:
    """Identities of which at least one file is missing."""
    return [entry for entry in entries(plan) if not all((out / path).is_file() for path in all_paths(plan, entry))]


def write_index(out: Path, plan: CrowdPlan) -> None:
    """Write the index of a finished data set: settings, counts, and who is who."""
    people = []
    counts: dict[str, int] = {}
    for entry in entries(plan):
        images = image_paths(plan, entry)
        for image in images:
            counts[os.path.dirname(image)] = counts.get(os.path.dirname(image), 0) + 1
        who = asdict(identity(plan.options.seed, entry.split, entry.index, plan.options.style))
        people.append({"label": f"{entry.label:04d}", **who, "images": images})
    content = {
        "schema": SCHEMA,
        "complete": True,
        "licence": LICENCE,
        "settings": settings(plan),
        "counts": {"images": sum(counts.values()), **counts},
        "identities": people,
    }
    write_text_atomic(out / INDEX_NAME, _as_json(content))


def _as_json(content: object) -> str:
    return json.dumps(_rounded(content), indent=1, ensure_ascii=False) + "\n"


def _rounded(value: object) -> object:
    """Floats with six digits: enough for a description, and short."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def read_picture(out: Path, image: str) -> np.ndarray:
    """[H, W, 3] uint8 of one image of the data set."""
    with Image.open(out / image) as file:
        return np.asarray(file.convert("RGB"))
