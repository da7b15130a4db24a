"""`reconstruct --rig`: people get skeletons, and what has no joints says so."""

import pytest
import torch

from mmgen.core.errors import ItemError
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.reconstruction.result import Body, asset_of
from mmgen.templates import named_template
from recon.predict import PhotoFit
from recon.structures import Camera, TexturedMesh


def body(name: str) -> Body:
    """A template as if it had been reconstructed."""
    template = named_template(name)
    texture = torch.full((1, 3, 16, 8), 0.5)
    mesh = TexturedMesh(template.vertices[None], template.faces, template.face_uv, texture)
    return Body(mesh, Camera.frontal(1), 0.5, torch.ones(len(template.vertices)), "rest", PhotoFit(0.9, 0.9))


def test_people_get_skeletons_in_metres() -> None:
    rig = asset_of("anna", body("person"), 1.6, {}, with_skeleton=True).rig
    assert rig is not None and rig.names[0] == "Hips"
    head, foot = (rig.places[rig.names.index(name), 1] for name in ("Head", "LeftFoot"))
    assert 1.3 < head < 1.45 and 0.02 < foot < 0.12
    assert asset_of("anna", body("person"), 1.6, {}).rig is None


def test_an_ellipsoid_has_no_joints() -> None:
    with pytest.raises(ItemError, match="nobody knows where its joints are"):
        asset_of("anna", body("ellipsoid"), 1.6, {}, with_skeleton=True)


def test_the_option_is_part_of_what_decides_the_bytes() -> None:
    assert "rig" not in ReconstructOptions().result_options()
    assert ReconstructOptions(rig=True).result_options()["rig"] is True
