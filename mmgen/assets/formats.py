"""One asset to the files of one format, in memory."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mmgen.assets.asset import Asset, with_height
from mmgen.assets.glb import glb_bytes, invalid_provenance
from mmgen.assets.gltf import ascii_name, build_gltf
from mmgen.assets.obj import mtl_text, obj_text
from mmgen.assets.polygons import ply_bytes, stl_bytes
from mmgen.assets.textures import SUFFIXES, TextureCodec, encode_texture, resize_texture
from mmgen.assets.wedges import tidy

ExportFormat = Literal["glb", "gltf", "obj", "ply", "stl"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


@dataclass(frozen=True)
class ExportOptions:
    """What an export changes on the way.

    Attributes:
        texture_size: Texels of the longer side, a power of two; None keeps the texture.
        texture_codec: `png` or `jpeg`; formats without texture ignore it.
        height_m: Height to scale to, metres; None keeps the asset's.
    """

    texture_size: int | None = None
    texture_codec: TextureCodec = "png"
    height_m: float | None = None


def export_files(asset: Asset, stem: str, kind: ExportFormat, options: ExportOptions) -> dict[str, bytes]:
    """File name to content, the main file first. The same bytes for the same arguments every time.

    Args:
        asset: What to write.
        stem: Output name without suffix.
        kind: The format.
        options: Size, codec, height.

    Raises:
        ItemError: The asset does not fit the format; see the writers.
    """
    if options.texture_size is not None:
        asset = replace(asset, texture=resize_texture(asset.texture, options.texture_size))
    if options.height_m is not None:
        asset = with_height(asset, options.height_m)
    writers: dict[ExportFormat, Callable[[Asset, list[str], TextureCodec], list[bytes]]] = {
        "glb": lambda asset, names, codec: [glb_bytes(asset, codec)],
        "gltf": _gltf,
        "obj": _obj,
        "ply": lambda asset, names, codec: [ply_bytes(asset)],
        "stl": lambda asset, names, codec: [stl_bytes(asset)],
    }
    names = output_names(stem, kind, options.texture_codec)
    return dict(zip(names, writers[kind](tidy(asset), names, options.texture_codec), strict=True))


def output_names(stem: str, kind: ExportFormat, texture_codec: TextureCodec) -> list[str]:
    """The files that an asset becomes, the main one first.

    Files that another file refers to get names of plain ASCII letters, since readers disagree about blanks and accents.
    """
    main, part = f"{stem}.{kind}", reference_stem(stem)
    if kind == "gltf":
        return [main, f"{part}.bin", f"{part}_gltf{SUFFIXES[texture_codec]}"]
    if kind == "obj":
        return [main, f"{part}.mtl", f"{part}{SUFFIXES[texture_codec]}"]
    return [main]


def reference_stem(stem: str) -> str:
    """`stem` if it is plain ASCII, else an ASCII version with a short hash, so that different stems stay different."""
    plain = ascii_name(stem)
    if plain == stem:
        return stem
    return f"{plain}-{hashlib.sha256(stem.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _gltf(asset: Asset, names: list[str], codec: TextureCodec) -> list[bytes]:
    gltf, binary = build_gltf(asset, codec, image_uri=names[2], buffer_uri=names[1])
    try:
        document = gltf.gltf_to_json(indent=" ") + "\n"
    except (TypeError, ValueError) as error:
        raise invalid_provenance(asset, error) from error
    return [document.encode("utf-8"), binary, encode_texture(asset.texture, codec)]


def _obj(asset: Asset, names: list[str], codec: TextureCodec) -> list[bytes]:
    texts = [obj_text(asset, names[1]), mtl_text(asset, names[2])]
    return [*(text.encode("ascii") for text in texts), encode_texture(asset.texture, codec)]
