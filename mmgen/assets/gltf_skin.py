"""Skins and animations of glTF 2.0 (sections 3.7.3 and 3.11): a node per joint in the photo's pose.

At that pose skinning is the identity: a viewer that knows no skins shows the same picture.
"""

import numpy as np
import pygltflib
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mmgen.assets.gltf import Buffer
from mmgen.assets.rig import Floats, Motion, Rig


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
