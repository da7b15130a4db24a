"""One asset to the files of one format, in memory."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from mmgen.assets.asset import EXPORT_KEY, ORIGINAL_HEIGHT_KEY, Asset, with_height
from mmgen.assets.compression import Compression, compressed
from mmgen.assets.container import parse_glb
from mmgen.assets.glb import asset_from_container, glb_bytes, invalid_provenance, main_primitive, texture_bytes
from mmgen.assets.gltf import MaterialStyle, ascii_name, build_gltf
from mmgen.assets.gltf_bytes import document_json
from mmgen.assets.polygons import Up, ply_bytes, stl_bytes
from mmgen.assets.seams import tidy
from mmgen.assets.textures import SUFFIXES, EncodedTexture, TextureCodec, encode_texture, resize_texture, stored_texture
from mmgen.assets.usdz import usdz_bytes

if TYPE_CHECKING:
    from mmgen.assets.rig import Animation
    from recon.template import Template
import numpy as np
from numpy.typing import NDArray

from mmgen.assets.gltf import GENERATOR
from mmgen.assets.seams import smooth_normals

ExportFormat = Literal["glb", "gltf", "obj", "ply", "stl", "usdz"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
WITHOUT_WEBP: tuple[ExportFormat, ...] = ("obj", "usdz")
"""Textured formats whose readers know PNG and JPEG only."""

RIGGED: tuple[ExportFormat, ...] = ("glb", "gltf")
"""Formats that hold skeletons."""

WITH_AXES: tuple[ExportFormat, ...] = ("ply", "stl")
"""Formats that do not fix which axis is up."""

INSIDE: tuple[ExportFormat, ...] = ("glb", "usdz")
"""Formats with the texture inside their one file."""

OWN_FILE_CODEC: TextureCodec = "png"


@dataclass(frozen=True)
class ExportOptions:
    """What an export changes on the way.

    Attributes:
        texture_size: Texels of the longer side, a power of two; None keeps the texture.
        texture_codec: `png`, `jpeg` or `webp` (not for `WITHOUT_WEBP`); formats without texture ignore it. None keeps
            the mesh's own where the texture is inside the file, and takes png where it is a file of its own.
        height_m: Height to scale to, metres; None keeps the asset's.
        compress: Geometry codec for GLBs, by a tool that the user has; None for none.
        rig: Formats of glTF get a skeleton.
        animation: A loop for it; needs `rig`.
        up: The axis that is up in `WITH_AXES`, others ignore it; None takes y in ply and z in stl.
    """

    texture_size: int | None = None
    texture_codec: TextureCodec | None = None
    height_m: float | None = None
    material: MaterialStyle = "unlit"
    compress: Compression | None = None
    rig: bool = False
    animation: "Animation | None" = None
    up: Up | None = None

    def changes(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {name: value for name, value in asdict(self).items() if value != getattr(ExportOptions, name)}


def export_files(
    asset: Asset, stem: str, kind: ExportFormat, options: ExportOptions, stored: EncodedTexture | None = None
) -> dict[str, bytes]:
    """File name to content, the main file first. The same bytes for the same arguments every time.

    Args:
        asset: With its rig, where one was asked for.
        stored: What the asset's texture was decoded from; kept as it is where nothing is asked of it.

    Raises:
        ItemError: The asset does not fit the format; see the writers.
        FatalError: The format needs a package, or the compression a tool, that is not installed.
        ValueError: The format has no such textures (`WITHOUT_WEBP`), or cannot be compressed.
    """
    if options.compress is not None and kind != "glb":
        raise ValueError(f"{kind} is not compressed")
    if options.texture_codec == "webp" and kind in WITHOUT_WEBP:
        raise ValueError(f"{kind} has no webp textures")
    if options.texture_size is not None:
        asset = replace(asset, texture=resize_texture(asset.texture, options.texture_size))
    changes = asset.export_changes | options.changes()
    if options.height_m is not None:
        changes = {ORIGINAL_HEIGHT_KEY: asset.provenance.get("height_m")} | changes
        asset = with_height(asset, options.height_m)
    if changes:
        asset = replace(asset, provenance=asset.provenance | {EXPORT_KEY: changes})
    names = output_names(stem, kind, options.texture_codec)
    if kind in WITH_AXES:
        writer, usual = _POLYGONS[kind]
        contents = [writer(tidy(asset), options.up or usual)]
    else:
        texture = _encoded(asset, kind, options, stored)
        contents = TEXTURED[kind](asset, names, texture, options.material)
    if options.compress is not None:
        contents = [compressed(contents[0], options.compress)]
    return dict(zip(names, contents, strict=True))


def export_glb(
    data: bytes,
    stem: str,
    kind: ExportFormat,
    options: ExportOptions,
    lod: int | None = None,
    template: "Template | None" = None,
) -> dict[str, bytes]:
    """`export_files` of a GLB that mmgen wrote; its texture stays as it is encoded where nothing is asked of it.

    Args:
        lod: level of detail; None or 0 for the whole mesh.
        template: whose skeleton rigged meshes get.
    """
    container = parse_glb(data)
    asset = asset_from_container(container)
    stored = stored_texture(texture_bytes(container, main_primitive(container)))
    if options.rig and template is not None and kind in RIGGED:
        asset = with_rig(asset, template, options)
    if lod:
        from mmgen.assets.lod import exported_level  # scipy takes a while to load

        asset = exported_level(asset, lod)
    return export_files(asset, stem, kind, options, stored)


def with_rig(asset: Asset, template: "Template", options: ExportOptions) -> Asset:
    """The asset with the skeleton of a template, and the loop that was asked for; at its final height.

    Raises:
        ItemError: as from `rig.rigged`.
    """
    from mmgen.assets.motions import motion  # the generator of people takes a while to load
    from mmgen.assets.rig import rigged

    rig = rigged(asset if options.height_m is None else with_height(asset, options.height_m), template)
    return replace(asset, rig=rig if options.animation is None else replace(rig, motion=motion(rig, options.animation)))


def output_names(stem: str, kind: ExportFormat, texture_codec: TextureCodec | None) -> list[str]:
    """The files that an asset becomes, the main one first.

    Files that another file refers to get names of plain ASCII letters, since readers disagree about blanks and accents.
    """
    suffix = SUFFIXES[texture_codec or OWN_FILE_CODEC]
    main, part = f"{stem}.{kind}", reference_stem(stem)
    if kind == "gltf":
        return [main, f"{part}.bin", f"{part}_gltf{suffix}"]
    if kind == "obj":
        return [main, f"{part}.mtl", f"{part}{suffix}"]
    return [main]


def reference_stem(stem: str) -> str:
    """`stem` if it is plain ASCII, else an ASCII version with a short hash, so that different stems stay different."""
    plain = ascii_name(stem)
    if plain == stem:
        return stem
    return f"{plain}-{hashlib.sha256(stem.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def _encoded(asset: Asset, kind: ExportFormat, options: ExportOptions, stored: EncodedTexture | None) -> EncodedTexture:
    """The texture in the codec that was asked for; not encoded again where the file has it so already."""
    codec = options.texture_codec
    if codec is None:
        keeps = stored is not None and kind in INSIDE and not (stored.codec == "webp" and kind in WITHOUT_WEBP)
        codec = stored.codec if stored is not None and keeps else OWN_FILE_CODEC
    if stored is not None and stored.codec == codec and options.texture_size is None:
        return stored
    return EncodedTexture(codec, encode_texture(asset.texture, codec))


def _gltf(asset: Asset, names: list[str], texture: EncodedTexture, material: MaterialStyle) -> list[bytes]:
    gltf, binary = build_gltf(asset, texture, material, uris=(names[1], names[2]))
    try:
        document = document_json(gltf, indent=" ") + "\n"
    except (TypeError, ValueError) as error:
        raise invalid_provenance(asset, error) from error
    return [document.encode("utf-8"), binary, texture.data]


def _obj(asset: Asset, names: list[str], texture: EncodedTexture, material: MaterialStyle) -> list[bytes]:
    asset = tidy(asset)
    texts = [obj_text(asset, names[1]), mtl_text(asset, names[2])]
    return [*(text.encode("ascii") for text in texts), texture.data]


_POLYGONS: dict[str, tuple[Callable[[Asset, Up], bytes], Up]] = {"ply": (ply_bytes, "y"), "stl": (stl_bytes, "z")}
"""Writers of `WITH_AXES`, each with the axis that its readers take for up."""

TEXTURED: dict[str, Callable[[Asset, list[str], EncodedTexture, MaterialStyle], list[bytes]]] = {
    "glb": lambda asset, names, texture, material: [glb_bytes(asset, texture, material)],
    "gltf": _gltf,
    "obj": _obj,
    "usdz": lambda asset, names, texture, material: [usdz_bytes(tidy(asset), texture)],
}
"""Writers by format, from asset, file names, texture and material to the contents of the files."""


def obj_text(asset: Asset, material_file: str) -> str:
    """The mesh with smooth normals; texture coordinates are shared where equal, v up as OBJ has it.

    Args:
        material_file: Name of the MTL file in the same folder, without blanks.
    """
    name = ascii_name(asset.name)
    uv, uv_index = np.unique(asset.face_uv.reshape(-1, 2), axis=0, return_inverse=True)
    corners = np.stack([asset.faces, uv_index.reshape(-1, 3)], axis=-1) + 1
    faces = [" ".join(f"{vertex}/{coordinate}/{vertex}" for vertex, coordinate in face) for face in corners.tolist()]
    return "\n".join(
        [
            f"# {GENERATOR}; units: metres; up: +Y; front: +Z",
            f"mtllib {material_file}",
            f"o {name}",
            *_lines("v", asset.vertices),
            *_lines("vt", uv),
            *_lines("vn", smooth_normals(asset.vertices, asset.faces)),
            f"usemtl {name}",
            "s 1",
            *(f"f {face}" for face in faces),
            "",
        ]
    )


def mtl_text(asset: Asset, texture_file: str) -> str:
    """The material: the texture as it is (Kd 1, since viewers multiply), no highlights.

    Args:
        texture_file: Name of the texture in the same folder, without blanks.
    """
    lines = [f"# {GENERATOR}", f"newmtl {ascii_name(asset.name)}", "Ka 0 0 0", "Kd 1 1 1", "Ks 0 0 0", "d 1", "illum 1"]
    return "\n".join([*lines, f"map_Kd {texture_file}", ""])


def _lines(keyword: str, rows: NDArray[np.float32]) -> list[str]:
    return [f"{keyword} " + " ".join(f"{value:.7f}" for value in row) for row in rows.tolist()]
