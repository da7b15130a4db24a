"""USDZ, opened by usd-core: the mesh, its texture, units, and the validators that come with USD."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from asset_samples import body_asset
from PIL import Image

from mmgen.assets.textures import EncodedTexture, encode_texture
from mmgen.assets.usdz import usdz_bytes
from mmgen.core.errors import FatalError


def test_another_reader_finds_the_body_in_metres_with_its_texture(tmp_path):
    pytest.importorskip("pxr", reason="needs usd-core: pip install 'mmgen[usd]'")
    from pxr import Usd, UsdGeom, UsdShade, UsdValidation

    asset = replace(body_asset("ä 1", level=1), seen=np.linspace(0, 1, 42, dtype=np.float32))
    data = usdz_bytes(asset, EncodedTexture("jpeg", encode_texture(asset.texture, "jpeg")))
    path = tmp_path / "a.usdz"
    path.write_bytes(data)
    stage = Usd.Stage.Open(str(path))
    assert (UsdGeom.GetStageMetersPerUnit(stage), UsdGeom.GetStageUpAxis(stage)) == (1.0, "Y")
    mesh = UsdGeom.Mesh(stage.GetDefaultPrim().GetChild("mesh"))
    np.testing.assert_array_equal(mesh.GetPointsAttr().Get(), asset.vertices)
    np.testing.assert_array_equal(np.reshape(mesh.GetFaceVertexIndicesAttr().Get(), (-1, 3)), asset.faces)
    uv = np.array(UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").ComputeFlattened())
    np.testing.assert_array_equal(uv.reshape(-1, 3, 2), asset.face_uv)
    np.testing.assert_array_equal(UsdGeom.PrimvarsAPI(mesh).GetPrimvar("seen").Get(), asset.seen)
    material, _ = UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()
    surface = material.ComputeSurfaceSource()[0]
    texture = UsdShade.Shader(surface.GetInput("diffuseColor").GetConnectedSource()[0].GetPrim())
    image = texture.GetInput("file").Get().resolvedPath.rpartition("[")[2].rstrip("]")
    assert json.loads(stage.GetRootLayer().customLayerData["mmgen"]) == asset.provenance
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    assert [error.GetMessage() for error in UsdValidation.ValidationContext(validators).Validate(stage)] == []

    archive = zipfile.ZipFile(io.BytesIO(data))
    for info in archive.infolist():
        offset = data.index(info.filename.encode(), info.header_offset) + len(info.filename) + len(info.extra)
        assert info.compress_type == zipfile.ZIP_STORED and offset % 64 == 0
        assert data[offset : offset + info.file_size] == archive.read(info)
    with Image.open(io.BytesIO(archive.read(image))) as opened:
        assert (opened.format, opened.size) == ("JPEG", (64, 128))


def test_without_usd_core_the_way_to_get_it_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pxr", None)
    with pytest.raises(FatalError, match="USDZ needs usd-core") as caught:
        usdz_bytes(body_asset(level=1), EncodedTexture("png", b""))
    assert "mmgen[usd]" in caught.value.hint
