"""Write a crowd as a data set folder: images in Market-1501 layout, masks, truth, index. Resumable, byte-deterministic.

Each picture has `masks/<same path>.png` (0 or 255) and `truth/<same path>.npz` with the fields of `view.Truth` and,
unless the bodies are those of `anny`, the template on that person (`correspondence.PosedTemplate`): `prototype_rest`
and `prototype_posed` [V, 3], `prototype_joints` [J, 3] at rest, `prototype_rotations` [J, 3, 3] against the parents. An
identity is finished when all of its files are there: files are whole or absent, and the settings decide their content.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmgen.core.documents import read_document
from mmgen.core.errors import FatalError
from mmgen.core.files import replacing, write_text_atomic
from mmgen.core.listing import display_name
from mmgen.core.outputs import image_bytes
from mmgen.synth.archive import Member, npz_bytes, pack_array
from mmgen.synth.avatar import avatars_digest
from mmgen.synth.avatar_body import RiggedBody
from mmgen.synth.cloth import check_cloth, cloth_digest
from mmgen.synth.correspondence import Correspondence
from mmgen.synth.crowd import CrowdOptions, Person, person_pictures, who_is
from mmgen.synth.figure import SolidFigure
from mmgen.synth.layout import CrowdPlan, Entry, entries, image_paths, mask_path, truth_path
from mmgen.synth.mesh import VERTEX_QUANTUM_M
from mmgen.synth.view import Picture
from recon.template import Template

INDEX_NAME = "synth.json"
SCHEMA = "mmgen.synth/1"
GENERATOR = "mmgen-synth-3"
GENERATOR_WORLD = "mmgen-synth-4"
"""What pictures and truth look like; the latter name is for the style `world` and for avatars. Change it when the same
people come out otherwise."""

BIG = ("vertices", "faces", "colors")
OPTIONAL = ("photo", "logo_photo", "lenses")
"""What the index says of people who have it."""

FILE_NAMES = ("photo", "logo_photo", "avatar")
"""What people have of a file: bytes that are no UTF-8 are escaped in the index."""

LICENCE = "Generated pictures of people who do not exist; CC0 1.0, no rights reserved."


@dataclass(frozen=True)
class CrowdWriter:
    """Writes identities of a plan into a folder; picklable, so that each process has one.

    Attributes:
        template: What is put on every person; it needs the joints of the `person` template.
    """

    out: Path
    plan: CrowdPlan
    template: Template

    @cached_property
    def _correspondence(self) -> Correspondence:
        return Correspondence(self.template)

    def __call__(self, chunk: Sequence[Entry]) -> Iterator[tuple[int, int]]:
        """Write a chunk of identities; yields (position, number of pictures)."""
        for position, entry in enumerate(chunk):
            yield position, self.write(entry)

    def write(self, entry: Entry) -> int:
        """Write all files of one identity; returns the number of pictures."""
        count = 0
        for count, files in enumerate(self.files(entry), start=1):  # noqa: B007
            for path, data in files.items():
                with replacing(self.out / path) as temp:  # a rerun makes what a power failure takes
                    temp.write_bytes(data)
        return count

    def files(self, entry: Entry) -> Iterator[dict[str, bytes]]:
        """The files of one identity by relative path, picture by picture."""
        shared: dict[int, list[Member]] = {}
        images = image_paths(self.plan, entry)
        for person, image in zip(person_pictures(self.plan.options, entry.split, entry.index), images, strict=True):
            if person.pose not in shared:
                shared[person.pose] = self._of_pose(person)
            yield picture_files(person, image, shared[person.pose])

    def _of_pose(self, person: Person) -> list[Member]:
        """What is known of a body, whichever picture shows it."""
        truth = person.picture.truth.arrays()
        arrays = {name: truth[name] for name in BIG}
        if self.plan.options.bodies != "anny":
            body = person.body
            placed = self._correspondence(body.figure if isinstance(body, RiggedBody) else SolidFigure(body.person))
            arrays |= {
                "prototype_rest": _quantised(placed.rest),
                "prototype_posed": _quantised(placed.posed),
                "prototype_joints": placed.joints.astype(np.float32),
                "prototype_rotations": placed.rotations.astype(np.float32),
            }
        return [pack_array(name, value) for name, value in arrays.items()]


def _quantised(vertices: np.ndarray) -> np.ndarray:
    """To an eighth of a millimetre, as the surface."""
    return (np.round(vertices / VERTEX_QUANTUM_M) * VERTEX_QUANTUM_M).astype(np.float32)


def picture_files(person: Person, image: str, shared: Sequence[Member]) -> dict[str, bytes]:
    """The files of one picture by relative path, image last: whoever sees the image finds its mask and truth.

    Args:
        shared: What all pictures of this pose have in common.
    """
    arrays = person.picture.truth.arrays()
    members = [*shared, *(pack_array(name, value) for name, value in arrays.items() if name not in BIG)]
    return {
        mask_path(image): image_bytes(person.picture.mask, "PNG"),
        truth_path(image): npz_bytes(members),
        image: jpeg_bytes(person.picture),
    }


def jpeg_bytes(picture: Picture) -> bytes:
    """The photo as it is written: JPEG with full colour resolution."""
    return image_bytes(picture.image, "JPEG", quality=picture.jpeg_quality, subsampling=0)


def settings(plan: CrowdPlan) -> dict[str, object]:
    """Everything that decides the bytes of the data set."""
    options = asdict(plan.options)
    folder, cloth, cut = (options.pop(name) for name in ("avatars", "cloth", "cut"))
    splits = _splits(plan)
    changed = plan.options.style == "world" or plan.options.bodies in ("avatars", "mixed")
    return {
        "generator": GENERATOR_WORLD if changed else GENERATOR,
        "identities": plan.identities,
        "test_identities": plan.test_identities,
        **options,
        **({} if folder is None else {"avatars": avatars_digest(folder, splits)}),
        **({} if cloth is None else {"cloth": cloth_digest(cloth, splits)}),
        **({"cut": cut} if cut else {}),
    }


def _splits(plan: CrowdPlan) -> tuple[str, ...]:
    return tuple(sorted({entry.split for entry in entries(plan)}))


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
        FatalError: as from `check_folder` and, for a new folder, `cloth.check_cloth`.
    """
    check_folder(out, plan)
    if not (out / INDEX_NAME).exists():  # first: whoever is killed after it finds a folder of ours
        if plan.options.cloth is not None:
            check_cloth(plan.options.cloth, _splits(plan))
        content = {"schema": SCHEMA, "complete": False, "licence": LICENCE, "settings": settings(plan)}
        write_text_atomic(out / INDEX_NAME, _as_json(content))
    for folder in sorted({os.path.dirname(path) for entry in entries(plan) for path in all_paths(plan, entry)}):
        (out / folder).mkdir(parents=True, exist_ok=True)


def _check_settings(index: Path, wanted: dict[str, object]) -> None:
    try:
        found = read_document(index, dict[str, Any])["settings"]
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
        who = _described(asdict(who_is(plan.options, entry.split, entry.index)))
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


def _described(value: Any) -> Any:
    """Without those of `OPTIONAL` that a person does not have, and with names that can be written."""
    if isinstance(value, dict):
        known = {name: item for name, item in value.items() if item is not None or name not in OPTIONAL}
        return {name: display_name(item) if name in FILE_NAMES else _described(item) for name, item in known.items()}
    return value


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
