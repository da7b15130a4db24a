"""The figures of one item, in words."""

from collections.abc import Mapping
from typing import Any

from mmgen.assets.asset import Asset
from mmgen.gallery.items import GalleryItem

PROVENANCE_LABELS = {
    "weights_sha256": "Weights",
    "seed": "Seed",
    "refine": "Refinement steps",
    "version": "mmgen",
}
"""Provenance keys worth showing, with their labels."""

HASH_LENGTH = 64


def short_figures(item: GalleryItem, asset: Asset | None, glb: bytes | None) -> str:
    """One line for the card."""
    parts = []
    if item.ssim is not None:
        parts.append(f"SSIM {item.ssim:.2f}")
    if asset is not None and glb is not None:
        parts += [f"{asset.height_m:.2f} m high", f"{len(asset.faces):,} triangles", _file_size(len(glb))]
    return " · ".join(parts)


def details(item: GalleryItem, asset: Asset | None, glb: bytes | None) -> list[tuple[str, str]]:
    """(label, value) pairs for the large view."""
    pairs: list[tuple[str, str]] = []
    if item.status == "rejected":
        pairs += [(label, text) for label, text in (("Set aside", item.message), ("What to do", item.hint)) if text]
    if item.verdict is not None:
        pairs.append(("Review", item.verdict))
    if item.low_confidence is not None:
        pairs.append(("Low confidence", item.low_confidence))
    if item.confidence is not None:
        pairs.append(("Confidence", f"{item.confidence:.2f}"))
    if item.mask_iou is not None:
        pairs.append(("Outline (MaskIoU)", f"{item.mask_iou:.3f}"))
    if item.ssim is not None:
        pairs.append(("Likeness (SSIM)", f"{item.ssim:.3f}"))
    if asset is not None and glb is not None:
        height, width = asset.texture.shape[:2]
        pairs += [
            ("Height", f"{asset.height_m:.2f} m{_how_known(asset)}"),
            ("Size (w × h × d)", _dimensions(asset)),
            ("Triangles", f"{len(asset.faces):,}"),
            ("Texture", f"{width} × {height} px"),
            ("File", _file_size(len(glb))),
        ]
        pairs += [
            (label, _short(asset.provenance[key]))
            for key, label in PROVENANCE_LABELS.items()
            if key in asset.provenance
        ]
        pairs += _sources(asset.provenance)
    pairs += _photos(item)
    if item.mask_source:
        quality = "" if item.mask_quality is None else f", guessed, quality {item.mask_quality:.2f}"
        pairs.append(("Mask from", item.mask_source + quality))
    if item.seconds is not None:
        pairs.append(("Made in", f"{item.seconds:.1f} s"))
    return pairs


def _photos(item: GalleryItem) -> list[tuple[str, str]]:
    """Which photos made a mesh of several, and which were left out."""
    used, names = item.used_photos, [photo.input.rsplit("/", 1)[-1] for photo in item.photos]
    pairs = [("Photos", str(len(used))), ("Pose as in", names[0])] if used else []
    lost = [f"{name}: {photo.error}" for name, photo in zip(names, item.photos, strict=True) if photo.error is not None]
    return pairs + [("Left out", text) for text in lost]


def _sources(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where the photo was taken from, and whose body and clothes a swapped mesh has."""
    pairs = []
    camera = provenance.get("camera")
    if isinstance(camera, dict) and isinstance(camera.get("azimuth_deg"), (int, float)):
        pairs.append(("Photo's azimuth", f"{camera['azimuth_deg']:.0f}°"))
    for key, label in (("shape_from", "Body of"), ("clothing_from", "Clothes of")):
        source = provenance.get(key)
        if isinstance(source, dict) and "name" in source:
            pairs.append((label, str(source["name"])))
    return pairs


def _how_known(asset: Asset) -> str:
    source = asset.provenance.get("height_source")
    return f", {source}" if isinstance(source, str) else ""


def _short(value: Any) -> str:
    text = str(value)
    return text[:12] if len(text) == HASH_LENGTH else text


def _dimensions(asset: Asset) -> str:
    extent = asset.vertices.max(axis=0) - asset.vertices.min(axis=0)
    return " × ".join(f"{metres:.2f}" for metres in extent) + " m"


def _file_size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"
