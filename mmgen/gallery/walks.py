"""The walk of a mesh on a page: its skin and loop alone, beside the GLB, which stays as it is for download."""

import numpy as np
import pygltflib

from mmgen.assets.asset import Asset
from mmgen.assets.container import parse_glb
from mmgen.assets.formats import ExportOptions, with_rig
from mmgen.assets.glb import main_primitive
from mmgen.assets.gltf import Buffer
from mmgen.assets.gltf_bytes import binary_gltf
from mmgen.assets.gltf_skin import add_skin
from mmgen.core.errors import ItemError
from mmgen.templates import named_template


def walk_data(asset: Asset, glb: bytes) -> bytes | None:
    """A container like a GLB that holds joints, weights and the loop of `mmgen export --animation walk` and no shape.

    Args:
        asset: what was read from the file.
        glb: the file; weights are those of its vertices, in their order.

    Returns:
        What `skeleton.js` reads; None for a mesh that has not the faces of the person template.
    """
    try:
        rig = with_rig(asset, named_template("person"), ExportOptions(rig=True, animation="walk")).rig
    except ItemError:
        return None
    assert rig is not None
    container = parse_glb(glb)
    positions = container.array(main_primitive(container)["attributes"]["POSITION"])
    gltf = pygltflib.GLTF2(
        scene=0, scenes=[pygltflib.Scene(nodes=[0])], nodes=[pygltflib.Node(mesh=0)], meshes=[pygltflib.Mesh()]
    )
    buffer, primitive = Buffer(gltf), pygltflib.Primitive(attributes=pygltflib.Attributes())
    add_skin(buffer, rig, primitive, positions.astype(np.float32))
    gltf.meshes[0].primitives = [primitive]
    gltf.buffers = [pygltflib.Buffer(byteLength=len(buffer.data))]
    return binary_gltf(gltf, bytes(buffer.data))
