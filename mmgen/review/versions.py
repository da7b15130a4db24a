"""Older results of an asset, kept when a correction makes a new one, and brought back on request."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from mmgen.core.errors import ItemError
from mmgen.core.files import read_regular, sha256_file, write_bytes_atomic
from mmgen.core.limits import LINE_BYTES
from mmgen.reconstruction.standing import refuse_foreign
from mmgen.review import limits
from mmgen.review.entries import key_of
from mmgen.work.locks import STATE_FOLDER
from mmgen.work.records import Record, record_from_line

RECORD_FILE, MASK_FILE = "record.jsonl", "mask.png"


@dataclass(frozen=True)
class Version:
    """One kept result.

    Attributes:
        record: record of the run at that time.
        folder: where its files are.
        mask: the corrected mask of that time; None where there was none.
    """

    number: int
    record: Record
    folder: Path
    mask: Path | None


def keep(meshes: Path, key: str, record: Record, mask: Path | None) -> None:
    """Copy an asset, its record and its corrected mask; the oldest of too many go."""
    folder = _folder(meshes, key)
    number = max((one.number for one in kept(meshes, key)), default=0) + 1
    place = folder / f"{number:04d}"
    for index, asset in enumerate(record.assets):
        source = meshes / str(asset.output)
        if source.is_file():
            write_bytes_atomic(place / f"{index}.glb", source.read_bytes())
    if mask is not None and mask.is_file():
        write_bytes_atomic(place / MASK_FILE, mask.read_bytes())
    write_bytes_atomic(
        place / RECORD_FILE, record.to_line().encode("utf-8")
    )  # last: a version is whole once it has this
    for old in sorted(folder.iterdir())[: -limits.KEPT_VERSIONS]:
        shutil.rmtree(old, ignore_errors=True)


def kept(meshes: Path, key: str) -> list[Version]:
    """All whole versions of an asset, oldest first; damaged ones are passed over."""
    folder, found = _folder(meshes, key), []
    for place in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            record = record_from_line(meshes, read_regular(place / RECORD_FILE, LINE_BYTES))
            assert place.name.isdecimal() and key_of(record.input, None) == key
        except (OSError, ValueError, AssertionError):
            continue
        mask = place / MASK_FILE
        found.append(Version(int(place.name), record, place, mask if mask.is_file() else None))
    return found


def bring_back(meshes: Path, key: str, number: int, mask_file: Path | None) -> Record:
    """Put the files of a version in place; its record, to be added to the run's.

    Args:
        key: key of the asset.
        number: number of the version.
        mask_file: where the asset's corrected mask stands; removed where the version had none.

    Raises:
        ItemError: `version_missing`; `output_exists` where a file of the user's has its place.
    """
    version = next((one for one in kept(meshes, key) if one.number == number), None)
    files = [] if version is None else [version.folder / f"{index}.glb" for index in range(len(version.record.assets))]
    if version is None or not all(path.is_file() for path in files):
        raise ItemError("version_missing", f"version {number} is not there any more", "Choose another one.")
    for path, asset in zip(files, version.record.assets, strict=True):
        if sha256_file(path) != asset.output_sha256:
            raise ItemError("version_missing", f"version {number} is damaged", "Choose another one.")
    refuse_foreign(meshes, [asset.output for asset in version.record.assets])
    for path, asset in zip(files, version.record.assets, strict=True):
        write_bytes_atomic(meshes / str(asset.output), path.read_bytes())
    if mask_file is not None:
        if version.mask is not None:
            write_bytes_atomic(mask_file, version.mask.read_bytes())
        else:
            mask_file.unlink(missing_ok=True)
    return version.record


def described(version: Version) -> dict[str, object]:
    """For the page."""
    record = version.record
    return {
        "number": version.number,
        "time": record.finished_at,
        "mask_iou": record.mask_iou,
        "mask_source": record.mask_source,
        "corrected": [] if record.review is None else list(record.review.corrected),
    }


def _folder(meshes: Path, key: str) -> Path:
    return meshes / STATE_FOLDER / "versions" / key
