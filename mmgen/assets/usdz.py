"""USDZ: a stage and its texture in one uncompressed archive, for Apple's viewers and for film tools. Needs usd-core."""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mmgen.assets.asset import Asset
from mmgen.assets.gltf import GENERATOR, ascii_name, printable
from mmgen.assets.seams import smooth_normals
from mmgen.assets.textures import SUFFIXES, EncodedTexture
from mmgen.core.errors import FatalError

ALIGNMENT = 64
"""Every file in the archive starts at a multiple of this, so that readers can map it into memory."""

ZIP_HEADER_BYTES, EXTRA_HEADER_BYTES = 30, 4
OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
PADDING_ID = 0x1986


def usdz_bytes(asset: Asset, texture: EncodedTexture) -> bytes:
    """One archive in metres, +Y up, front to +Z; the same bytes for the same asset every time.

    USD has no unlit material: the texture is the diffuse colour of a rough non-metal, whatever `--material` says.

    Args:
        asset: What to write; what the photo showed becomes the primvar `seen`, the provenance custom layer data.
        texture: Goes into the file in place of `asset.texture`; the format allows PNG and JPEG.

    Raises:
        FatalError: `usd_missing`: usd-core is not installed.
    """
    image = f"textures/{ascii_name(asset.name)}{SUFFIXES[texture.codec]}"
    stage = {f"{ascii_name(asset.name)}.usdc": _stage_bytes(asset, image)}
    return _packed(stage | {image: texture.data})


def require_usd() -> None:
    """Raise the error of `usdz_bytes` at once rather than at the first mesh."""
    try:
        import pxr  # noqa: F401
    except ImportError as error:
        raise FatalError("usd_missing", "USDZ needs usd-core", 'Get it: pip install "mmgen[usd]"') from error


def _stage_bytes(asset: Asset, image: str) -> bytes:
    require_usd()
    from pxr import Sdf, Tf, Usd, UsdGeom

    layer = Sdf.Layer.CreateAnonymous(".usdc")
    layer.documentation = GENERATOR
    layer.customLayerData = {"mmgen": json.dumps(printable(asset.provenance), sort_keys=True)}
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, f"/{Tf.MakeValidIdentifier(ascii_name(asset.name))}")
    stage.SetDefaultPrim(root.GetPrim())
    Usd.ModelAPI(root).SetKind("component")
    mesh = UsdGeom.Mesh.Define(stage, root.GetPath().AppendChild("mesh"))
    _fill(mesh, asset)
    _bind_material(stage, root.GetPath().AppendChild("material"), mesh, image)
    with tempfile.TemporaryDirectory(prefix="mmgen-usd-") as folder:
        path = Path(folder) / "stage.usdc"
        layer.Export(str(path))
        return path.read_bytes()


def _fill(mesh: Any, asset: Asset) -> None:
    """Shape, smooth normals, texture coordinates per corner (v up, as everywhere in USD)."""
    from pxr import Sdf, UsdGeom, Vt

    points = np.ascontiguousarray(asset.vertices)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(asset.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(asset.faces.reshape(-1), np.int32)))
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(np.stack([points.min(axis=0), points.max(axis=0)])))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(smooth_normals(asset.vertices, asset.faces)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateDoubleSidedAttr(False)
    uv, corner = np.unique(asset.face_uv.reshape(-1, 2), axis=0, return_inverse=True)
    primvars = UsdGeom.PrimvarsAPI(mesh)
    st = primvars.CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying)
    st.Set(Vt.Vec2fArray.FromNumpy(uv))
    st.SetIndices(Vt.IntArray.FromNumpy(corner.reshape(-1).astype(np.int32)))
    if asset.seen is not None:
        seen = primvars.CreatePrimvar("seen", Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.vertex)
        seen.Set(Vt.FloatArray.FromNumpy(asset.seen))


def _bind_material(stage: Any, path: Any, mesh: Any, image: str) -> None:
    from pxr import Sdf, UsdShade

    types = Sdf.ValueTypeNames
    material = UsdShade.Material.Define(stage, path)
    place = UsdShade.Shader.Define(stage, path.AppendChild("place"))
    place.CreateIdAttr("UsdPrimvarReader_float2")
    place.CreateInput("varname", types.String).Set("st")
    texture = UsdShade.Shader.Define(stage, path.AppendChild("texture"))
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", types.Asset).Set(image)
    texture.CreateInput("sourceColorSpace", types.Token).Set("sRGB")
    texture.CreateInput("wrapS", types.Token).Set("clamp")
    texture.CreateInput("wrapT", types.Token).Set("repeat")
    texture.CreateInput("st", types.Float2).ConnectToSource(place.CreateOutput("result", types.Float2))
    surface = UsdShade.Shader.Define(stage, path.AppendChild("surface"))
    surface.CreateIdAttr("UsdPreviewSurface")
    color = texture.CreateOutput("rgb", types.Float3)
    surface.CreateInput("diffuseColor", types.Color3f).ConnectToSource(color)
    surface.CreateInput("roughness", types.Float).Set(1.0)
    surface.CreateInput("metallic", types.Float).Set(0.0)
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", types.Token))
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def _packed(files: dict[str, bytes]) -> bytes:
    """A zip without compression and dates, its files aligned by padding in their headers; the stage first."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, OLDEST_ZIP_DATE)
            start = buffer.tell() + ZIP_HEADER_BYTES + len(name.encode()) + EXTRA_HEADER_BYTES
            padding = -start % ALIGNMENT
            info.extra = PADDING_ID.to_bytes(2, "little") + padding.to_bytes(2, "little") + b"\0" * padding
            archive.writestr(info, content)
    return buffer.getvalue()
