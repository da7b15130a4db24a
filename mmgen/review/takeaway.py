"""Chosen assets as one zip, in any format of `mmgen export`, with a table of their figures."""

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmgen.assets.container import parse_glb
from mmgen.assets.formats import ExportFormat, ExportOptions, export_files
from mmgen.assets.glb import asset_from_container, main_primitive, read_file, texture_bytes
from mmgen.assets.textures import stored_texture
from mmgen.core.errors import ItemError
from mmgen.review.entries import Entry

COLUMNS = (
    "name", "file", "state", "verdict", "note", "mask_iou", "ssim", "confidence", "why", "facing", "mask_source",
    "error",
)  # fmt: skip
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Date of everything in the zip, so that the same choice gives the same bytes."""


def write_zip(target: Path, entries: Sequence[Entry], kind: ExportFormat) -> int:
    """Write the zip; how many assets are in it.

    A mesh that cannot be read has its error in the table and no file.
    """
    rows = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            file, error = "", ""
            try:
                for number, (name, data) in enumerate(_files(entry, kind).items()):
                    archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
                    file = name if number == 0 else file
            except ItemError as problem:
                error = problem.message
            rows.append(_row(entry, file, error))
        archive.writestr(zipfile.ZipInfo("figures.csv", EPOCH), _table(rows))
    return sum(bool(row["file"]) for row in rows)


def _files(entry: Entry, kind: ExportFormat) -> dict[str, bytes]:
    """Name in the zip to content; folders as in the run folder.

    Raises:
        ItemError: there is no mesh, or it is damaged.
    """
    glb = entry.item.glb if entry.item is not None else None
    if glb is None:
        raise ItemError("mesh_missing", f"{entry.name} has no mesh", "Reconstruct it first.")
    data = read_file(glb)
    place = Path(*glb.parts[-1 - entry.name.count("/") :])  # its name is safe on every system, the photo's is not
    folder, stem = place.parent.as_posix(), place.stem
    if kind == "glb":
        files = {f"{stem}.glb": data}
    else:
        container = parse_glb(data)
        asset = asset_from_container(container)
        stored = stored_texture(texture_bytes(container, main_primitive(container)))
        files = export_files(asset, stem, kind, ExportOptions(), stored)
    return {name if folder == "." else f"{folder}/{name}": content for name, content in files.items()}


def _row(entry: Entry, file: str, error: str) -> dict[str, Any]:
    shown = entry.as_json()
    review = shown["review"] or {}
    known = {name: shown.get(name) for name in COLUMNS}
    decided = {"verdict": review.get("verdict"), "note": review.get("note")}
    return (
        known | decided | {"file": file, "why": "; ".join(shown.get("why", [])), "error": error or shown.get("error")}
    )


def _table(rows: Sequence[dict[str, Any]]) -> bytes:
    """CSV in UTF-8 with a mark for spreadsheets; a cell that a spreadsheet would run begins with a quote."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    return text.getvalue().encode("utf-8-sig", "replace")


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
