"""Wavefront OBJ: one text file for the mesh, one for the material, one texture, all named after the asset."""

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.asset import Asset
from mmgen.assets.gltf import GENERATOR, ascii_name
from mmgen.assets.seams import smooth_normals


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
