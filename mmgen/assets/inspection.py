"""What is in a GLB, a run folder or a folder of meshes, as plain JSON data."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mmgen.assets.asset import Asset
from mmgen.assets.container import Container, child, listing, parse_glb
from mmgen.assets.glb import asset_from_glb, main_primitive, read_file, texture_bytes
from mmgen.assets.gltf import UNLIT, VARIANTS
from mmgen.assets.polygons import open_edges
from mmgen.assets.textures import stored_texture
from mmgen.assets.tree import GlbFile, list_glbs
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_bytes
from mmgen.core.listing import display_name
from mmgen.work.records import Record, manifest_files, read_records

HISTOGRAM_BINS = 10


def inspect(path: Path) -> dict[str, Any]:
    """Describe a file or folder; the key `kind` says as what: `glb`, `run` or `folder`.

    Raises:
        FatalError: There is nothing that mmgen knows.
        ItemError: The file is damaged or another tool's.
    """
    if path.is_dir() and manifest_files(path):
        return inspect_run(path, list(read_records(path).values()))
    files = list_glbs(path, with_rejected=True)
    if path.is_dir():
        return inspect_folder(path, files)
    if path.suffix.lower() != ".glb":
        raise FatalError(
            "kind_unknown",
            f"{display_name(path)} is nothing that inspect knows",
            "Name a .glb or .safetensors file, or a folder that mmgen wrote.",
        )
    return inspect_glb(path)


def inspect_glb(path: Path) -> dict[str, Any]:
    """Counts, size, texture, material and provenance of one GLB."""
    data = read_file(path)
    try:
        container, asset = parse_glb(data), asset_from_glb(data)
        return {
            "kind": "glb",
            "path": display_name(path),
            "bytes": len(data),
            "sha256": sha256_bytes(data),
        } | _describe(container, asset)
    except ItemError as error:
        raise ItemError(error.code, f"{display_name(path)}: {error.message}", error.hint) from error


def inspect_run(folder: Path, records: Sequence[Record]) -> dict[str, Any]:
    """Counts by status, error classes, quality and time of a run."""
    seconds = [record.seconds for record in records if record.seconds is not None]
    return {
        "kind": "run",
        "path": display_name(folder),
        "records": len(records),
        "status": _counts(record.status for record in records),
        "errors": _counts(record.error for record in records if record.error),
        "reviews": _counts(
            asset.review.verdict for one in records for asset in one.assets if asset.review and asset.review.verdict
        ),
        "mask_source": _counts(record.mask_source for record in records if record.mask_source),
        "mask_iou": quality([record.mask_iou for record in records if record.mask_iou is not None]),
        "confidence": quality([record.confidence for record in records if record.confidence is not None]),
        "ssim": quality([record.ssim for record in records if record.ssim is not None]),
        "seconds": {"total": sum(seconds), "median": median(seconds), "max": max(seconds)} if seconds else None,
        "weights_sha256": _counts(record.weights_sha256 for record in records),
        "versions": _counts(record.version for record in records),
    }


def inspect_folder(folder: Path, files: Sequence[GlbFile]) -> dict[str, Any]:
    """Sizes of the meshes in a folder without run records; unreadable ones are listed with their error."""
    rows, broken = [], {}
    for file in files:
        try:
            rows.append(inspect_glb(file.path))
        except ItemError as error:
            broken[str(file.relative)] = error.message
    heights = [row["height_m"] for row in rows]
    return {
        "kind": "folder",
        "path": display_name(folder),
        "meshes": len(rows),
        "bytes": sum(row["bytes"] for row in rows),
        "height_m": {"min": min(heights), "max": max(heights)} if heights else None,
        "vertices": _counts(str(row["vertices"]) for row in rows),
        "textures": _counts(f"{row['texture']['width']}x{row['texture']['height']}" for row in rows),
        "broken": broken,
    }


def quality(values: Sequence[float]) -> dict[str, Any] | None:
    """Median, least and greatest of scores in 0..1, and a histogram with ten equal bins; None without scores."""
    if not values:
        return None
    histogram, _ = np.histogram(np.clip(values, 0, 1), bins=HISTOGRAM_BINS, range=(0, 1))
    return {"median": median(values), "min": min(values), "max": max(values), "histogram": histogram.tolist()}


def _describe(container: Container, asset: Asset) -> dict[str, Any]:
    primitive = main_primitive(container)
    material = container.element("materials", primitive.get("material"))
    surface = child(material, "pbrMetallicRoughness")
    encoded = texture_bytes(container, primitive)
    low, high = asset.vertices.min(axis=0), asset.vertices.max(axis=0)
    return {
        "name": asset.name,
        "generator": child(container.document, "asset").get("generator"),
        "vertices": len(asset.vertices),
        "stored_vertices": len(container.array(primitive["attributes"]["POSITION"])),
        "faces": len(asset.faces),
        "open_edges": open_edges(asset),
        "bounds_m": {"min": low.tolist(), "max": high.tolist()},
        "height_m": asset.height_m,
        "texture": {
            "width": asset.texture.shape[1],
            "height": asset.texture.shape[0],
            "bytes": len(encoded),
            "codec": stored_texture(encoded).codec,
        },
        "material": {
            "unlit": UNLIT in child(material, "extensions"),
            "variants": [
                variant.get("name") if isinstance(variant, dict) else None
                for variant in listing(child(container.document, "extensions", VARIANTS), "variants")
            ],
            "metallic": surface.get("metallicFactor", 1.0),
            "roughness": surface.get("roughnessFactor", 1.0),
            "alpha_mode": material.get("alphaMode", "OPAQUE"),
            "double_sided": material.get("doubleSided", False),
        },
        "extensions": listing(container.document, "extensionsUsed"),
        "seen": None if asset.seen is None else round(float(asset.seen.mean()), 4),
        "self_intersections": self_intersections(asset.vertices, asset.faces),
        "stretched_triangles": asset.provenance.get("stretched_triangles"),
        "provenance": asset.provenance,
    }


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


MOST_FACES = 20_000


def self_intersections(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> int | None:
    """Pairs of triangles without a common vertex of which an edge of one passes through the other.

    Args:
        vertices: [V, 3].
        faces: [F, 3].

    Returns:
        The number of pairs; None for meshes of more than `MOST_FACES` faces, which would take too long.
    """
    if len(faces) > MOST_FACES:
        return None
    corners = np.asarray(vertices, np.float64)[faces]
    first, second = _near_pairs(corners, faces)
    crossing = np.zeros(len(first), bool)
    for through, against in ((first, second), (second, first)):
        for edge in range(3):
            starts, ends = corners[through, edge], corners[through, (edge + 1) % 3]
            crossing |= _pass_through(starts, ends, corners[against])
    return int(crossing.sum())


def _near_pairs(corners: NDArray[np.float64], faces: NDArray[np.integer]) -> tuple[NDArray[np.int64], ...]:
    """Faces whose boxes overlap and that share no vertex, each pair once."""
    middles = corners.mean(axis=1)
    reach = np.linalg.norm(corners - middles[:, None], axis=2).max()
    pairs = cKDTree(middles).query_pairs(2 * reach, output_type="ndarray")
    low, high = corners.min(axis=1), corners.max(axis=1)
    first, second = pairs.T
    overlap = ((low[first] <= high[second]) & (low[second] <= high[first])).all(axis=1)
    first, second = first[overlap], second[overlap]
    apart = (faces[first][:, :, None] != faces[second][:, None]).all(axis=(1, 2))
    return first[apart], second[apart]


def _pass_through(
    starts: NDArray[np.float64], ends: NDArray[np.float64], triangles: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """[N] whether segments cross triangles (Moeller and Trumbore 1997); touching at a border does not count."""
    origin, across, along = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    direction = ends - starts
    normal = np.cross(direction, along)
    scale = (across * normal).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_origin = starts - origin
        u = (from_origin * normal).sum(axis=1) / scale
        sideways = np.cross(from_origin, across)
        v = (direction * sideways).sum(axis=1) / scale
        t = (along * sideways).sum(axis=1) / scale
        inside = (u > 0) & (v > 0) & (u + v < 1) & (t > 0) & (t < 1)
    return np.asarray(inside & (scale != 0))
