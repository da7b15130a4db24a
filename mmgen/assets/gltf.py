"""The glTF document of an asset: one node, mesh and texture over one binary buffer, one material or two."""

import re
import unicodedata
from typing import Any, Literal

import numpy as np
import pygltflib
from numpy.typing import NDArray

from mmgen.assets.asset import Asset
from mmgen.assets.seams import SeamSplitMesh, split_wedges, tidy
from mmgen.assets.textures import MIME_TYPES, EncodedTexture, TextureCodec
from mmgen.core.version import __version__

GENERATOR = f"mmgen {__version__}"
UNLIT = "KHR_materials_unlit"
VARIANTS = "KHR_materials_variants"
WEBP = "EXT_texture_webp"
SEEN = "_SEEN"
"""Vertex attribute of our own: 1 where the photo showed the surface, 0 where it is a guess."""

MaterialStyle = Literal["unlit", "lit", "both"]
"""`unlit`: the texture as it is, light included. `lit`: a rough non-metal in the viewer's light. `both`: unlit first,
and lit as a variant that viewers can switch to."""
MAX_UINT16_VERTICES = 65535
"""Index 65535 restarts a strip in uint16 buffers, so it must not name a vertex."""


COMPONENTS = {
    "<f4": pygltflib.FLOAT,
    "|u1": pygltflib.UNSIGNED_BYTE,
    "<u2": pygltflib.UNSIGNED_SHORT,
    "<u4": pygltflib.UNSIGNED_INT,
}


class Buffer:
    """Collects arrays as 4-byte aligned buffer views of one growing buffer."""

    def __init__(self, gltf: pygltflib.GLTF2) -> None:
        self.gltf = gltf
        self.data = bytearray()

    def add_view(self, data: bytes, target: int | None = None) -> int:
        view = pygltflib.BufferView(buffer=0, byteOffset=len(self.data), byteLength=len(data), target=target)
        self.data += data + b"\0" * (-len(data) % 4)
        self.gltf.bufferViews.append(view)
        return len(self.gltf.bufferViews) - 1

    def add_accessor(
        self,
        array: NDArray[Any],
        kind: Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT4"],
        target: int | None = None,
        bounds: bool = False,
    ) -> int:
        component = COMPONENTS[array.dtype.newbyteorder("<").str]
        accessor = pygltflib.Accessor(
            bufferView=self.add_view(np.ascontiguousarray(array).tobytes(), target),
            componentType=component,
            count=len(array),
            type=kind,
        )
        if bounds:
            accessor.min, accessor.max = ([*np.atleast_1d(edge).tolist()] for edge in (array.min(0), array.max(0)))
        self.gltf.accessors.append(accessor)
        return len(self.gltf.accessors) - 1


def build_gltf(
    asset: Asset,
    texture: EncodedTexture,
    material: MaterialStyle = "unlit",
    uris: tuple[str, str] | None = None,
) -> tuple[pygltflib.GLTF2, bytes]:
    """Lay out an asset.

    Args:
        asset: Tidied on the way (`wedges.tidy`).
        texture: Goes into the file in place of `asset.texture`.
        uris: Names of the buffer and the texture file of a separate glTF; None keeps both inside, for GLB.

    Returns:
        The document and the bytes of its only buffer.
    """
    asset = tidy(asset)
    name = ascii_name(asset.name)
    gltf = pygltflib.GLTF2(
        asset=pygltflib.Asset(generator=GENERATOR, extras={"mmgen": printable(asset.provenance)}),
        scene=0,
        scenes=[pygltflib.Scene(nodes=[0], name=name)],
        nodes=[pygltflib.Node(mesh=0, name=name)],
    )
    buffer, mesh = Buffer(gltf), split_wedges(asset)
    primitive = _primitive(buffer, mesh)
    gltf.meshes = [pygltflib.Mesh(name=name, primitives=[primitive])]
    if asset.rig is not None:
        from mmgen.assets.gltf_skin import add_skin  # scipy takes a while to load

        add_skin(buffer, asset.rig, primitive, mesh.positions)
    buffer_uri, image_uri = uris or (None, None)
    image = pygltflib.Image(name=name, uri=image_uri)
    if image_uri is None:
        image.mimeType = MIME_TYPES[texture.codec]
        image.bufferView = buffer.add_view(texture.data)
    _add_texture(gltf, name, image, texture.codec)
    _add_materials(gltf, name, material)
    gltf.buffers = [pygltflib.Buffer(byteLength=len(buffer.data), uri=buffer_uri)]
    return gltf, bytes(buffer.data)


def ascii_name(name: str) -> str:
    """A name that every importer shows: letters, digits and `._-` of ASCII, accents dropped, others as `_`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("_") or "asset"


def printable(value: Any) -> Any:
    """JSON data with undecodable file-name bytes as `\\udcXX` text, since JSON readers refuse lone surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {printable(key): printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [printable(item) for item in value]
    return value


def _primitive(buffer: Buffer, wedges: SeamSplitMesh) -> pygltflib.Primitive:
    index_type = np.uint16 if len(wedges.positions) <= MAX_UINT16_VERTICES else np.uint32
    vertex_target, index_target = pygltflib.ARRAY_BUFFER, pygltflib.ELEMENT_ARRAY_BUFFER
    own = {}
    if wedges.seen is not None:
        own[SEEN] = buffer.add_accessor(wedges.seen, "SCALAR", vertex_target)
    attributes = pygltflib.Attributes(
        POSITION=buffer.add_accessor(wedges.positions, "VEC3", vertex_target, bounds=True),
        NORMAL=buffer.add_accessor(wedges.normals, "VEC3", vertex_target),
        TEXCOORD_0=buffer.add_accessor(wedges.uv, "VEC2", vertex_target),
        **own,
    )
    indices = buffer.add_accessor(wedges.faces.reshape(-1).astype(index_type), "SCALAR", index_target)
    return pygltflib.Primitive(attributes=attributes, indices=indices, material=0, mode=pygltflib.TRIANGLES)


def _add_texture(gltf: pygltflib.GLTF2, name: str, image: pygltflib.Image, codec: TextureCodec) -> None:
    gltf.images = [image]
    gltf.samplers = [
        pygltflib.Sampler(
            magFilter=pygltflib.LINEAR,
            minFilter=pygltflib.LINEAR_MIPMAP_LINEAR,
            wrapS=pygltflib.CLAMP_TO_EDGE,
            wrapT=pygltflib.REPEAT,
        )
    ]
    gltf.textures = [pygltflib.Texture(sampler=0, source=0, name=name)]
    if codec == "webp":  # a second image for viewers that know no WebP would cost more than WebP saves
        gltf.textures[0].source = None
        gltf.textures[0].extensions = {WEBP: {"source": 0}}
        gltf.extensionsUsed.append(WEBP)
        gltf.extensionsRequired.append(WEBP)


def _add_materials(gltf: pygltflib.GLTF2, name: str, style: MaterialStyle) -> None:
    if style == "both":
        gltf.materials = [_material(f"{name}_unlit", unlit=True), _material(f"{name}_lit", unlit=False)]
        gltf.extensionsUsed += [UNLIT, VARIANTS]
        gltf.extensions = {VARIANTS: {"variants": [{"name": "unlit"}, {"name": "lit"}]}}
        mappings = [{"material": index, "variants": [index]} for index in (0, 1)]
        gltf.meshes[0].primitives[0].extensions = {VARIANTS: {"mappings": mappings}}
    else:
        gltf.materials = [_material(name, unlit=style == "unlit")]
        if style == "unlit":
            gltf.extensionsUsed.append(UNLIT)


def _material(name: str, unlit: bool) -> pygltflib.Material:
    """The light is in the texture, hence unlit; other viewers get a rough non-metal instead of black plastic."""
    return pygltflib.Material(
        name=name,
        pbrMetallicRoughness=pygltflib.PbrMetallicRoughness(
            baseColorTexture=pygltflib.TextureInfo(index=0), metallicFactor=0.0, roughnessFactor=1.0
        ),
        alphaMode=pygltflib.OPAQUE,
        alphaCutoff=None,
        doubleSided=False,
        extensions={UNLIT: {}} if unlit else {},
    )
