"""The glTF document of an asset: one node, mesh and texture over one binary buffer, one material or two."""

import re
import unicodedata
from typing import Any, Literal

import numpy as np
import pygltflib
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mmgen.assets.asset import Asset
from mmgen.assets.rig import Floats, Motion, Rig
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


def add_skin(buffer: Buffer, rig: Rig, primitive: pygltflib.Primitive, positions: NDArray[np.float32]) -> None:
    """Add joints, skin, vertex weights and animation to a document whose first node holds the mesh.

    Args:
        buffer: of the document.
        primitive: of the mesh; gets its weights.
        positions: [N, 3] of the primitive.
    """
    gltf = buffer.gltf
    joints, weights = rig.of(positions)
    primitive.attributes.JOINTS_0 = buffer.add_accessor(joints, "VEC4", pygltflib.ARRAY_BUFFER)
    primitive.attributes.WEIGHTS_0 = buffer.add_accessor(weights, "VEC4", pygltflib.ARRAY_BUFFER)
    first = len(gltf.nodes)
    places, rotations = rig.local_places(), quaternions(rig.local_rotations())
    for row, name in enumerate(rig.names):
        children = [first + child for child, parent in enumerate(rig.parents) if parent == row]
        gltf.nodes.append(
            pygltflib.Node(
                name=name,
                children=children,
                translation=places[row].tolist(),
                rotation=rotations[row].tolist(),
            )
        )
    gltf.scenes[0].nodes.append(first)
    # Matrices are stored by columns.
    binds = buffer.add_accessor(rig.inverse_binds().transpose(0, 2, 1).reshape(-1, 16), "MAT4")
    numbers = list(range(first, first + len(rig.names)))
    gltf.skins.append(pygltflib.Skin(inverseBindMatrices=binds, joints=numbers, skeleton=first))
    gltf.nodes[0].skin = 0
    if rig.motion is not None:
        _add_motion(buffer, rig.motion, first)


def quaternions(rotations: Floats) -> Floats:
    """[*, 4] x, y, z, w of rotations [*, 3, 3]."""
    flat = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat(canonical=True)
    return np.asarray(flat).reshape(*rotations.shape[:-2], 4)


def _add_motion(buffer: Buffer, motion: Motion, first: int) -> None:
    times = buffer.add_accessor(motion.times.astype(np.float32), "SCALAR", bounds=True)
    turned = quaternions(motion.rotations)
    animation = pygltflib.Animation(name=motion.name)

    def add(values: Floats, node: int, path: str) -> None:
        output = buffer.add_accessor(values.astype(np.float32), "VEC4" if path == "rotation" else "VEC3")
        animation.samplers.append(pygltflib.AnimationSampler(input=times, output=output, interpolation="LINEAR"))
        target = pygltflib.AnimationChannelTarget(node=node, path=path)
        animation.channels.append(pygltflib.AnimationChannel(sampler=len(animation.samplers) - 1, target=target))

    for joint in range(turned.shape[1]):
        add(_continuous(turned[:, joint]), first + joint, "rotation")
    add(motion.hips, first, "translation")
    buffer.gltf.animations.append(animation)


def _continuous(turned: Floats) -> Floats:
    """Quaternions of which each is the nearer one of the two that say the same, seen from the one before."""
    flips = np.sign((turned[1:] * turned[:-1]).sum(axis=1))
    flips[flips == 0] = 1.0
    return turned * np.concatenate(([1.0], np.cumprod(flips)))[:, None]
