"""Levels of detail: fewer vertices, the same body, the same texture on it."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from asset_samples import body_asset, grid_asset

from mmgen.assets.asset import Asset, place_on_ground
from mmgen.assets.lod import level_of_detail
from mmgen.assets.polygons import open_edges
from mmgen.assets.seams import has_repeated_corner
from mmgen.assets.textures import sample_texture
from mmgen.core.errors import ItemError
from mmgen.templates import named_template


def person_asset() -> Asset:
    """The bundled body with a texture that says where on the body a texel belongs: red is left, green is high."""
    template = named_template("person")
    vertices = place_on_ground(template.vertices.numpy(), 1.7)
    v = 1 - (np.arange(256) + 0.5) / 256
    height = np.minimum(v, 1 - v) * 2
    texture = np.zeros((256, 128, 3), np.uint8)
    texture[..., 0] = 255 * (np.arange(128) + 0.5) / 128
    texture[..., 1] = (255 * height)[:, None]
    return Asset("p", vertices, template.faces.numpy(), template.face_uv.numpy(), texture, {"input": "p.jpg"})


@pytest.mark.parametrize(("level", "vertices", "kept_volume"), [(1, 327, 0.95), (2, 83, 0.8)])
def test_a_person_keeps_its_shape_height_and_texture(level, vertices, kept_volume):
    asset = person_asset()
    asset = replace(asset, seen=(asset.vertices[:, 2] > 0).astype(np.float32))
    simple = level_of_detail(asset, level)
    assert (len(simple.vertices), open_edges(simple)) == (vertices, 0)
    assert not has_repeated_corner(simple.faces).any()
    before, after = (trimesh.Trimesh(a.vertices, a.faces, process=False) for a in (asset, simple))
    assert after.is_watertight and kept_volume < after.volume / before.volume < 1.02
    np.testing.assert_array_equal(after.bounds, before.bounds)
    assert np.array_equal(simple.seen, simple.vertices[:, 2] > 0)
    # Wherever a corner lies on the body, its texture coordinate must still be that place's own.
    colors = sample_texture(asset.texture, simple.face_uv)
    corners = simple.vertices[simple.faces]
    assert np.abs(colors[..., 1] / 255 - corners[..., 1] / 1.7).max() < 0.05
    assert np.abs(colors[..., 0] / 255 - (corners[..., 0] / np.ptp(asset.vertices[:, 0]) + 0.5)).max() < 0.05


def test_no_triangle_of_a_level_crosses_the_seam_or_turns_over_in_the_texture():
    asset, simple = person_asset(), level_of_detail(person_asset(), 2)
    turned = []
    for mesh in (asset, simple):
        front = (mesh.face_uv[..., 1] <= 0.5).all(axis=1)
        assert (front | (mesh.face_uv[..., 1] >= 0.5).all(axis=1)).all()
        first, second = mesh.face_uv[:, 1] - mesh.face_uv[:, 0], mesh.face_uv[:, 2] - mesh.face_uv[:, 0]
        turned.append((first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] <= 0).mean())
    assert turned[1] <= turned[0] < 0.1


def test_levels_have_as_many_vertices_as_the_mesh_before_it_was_subdivided():
    ball = body_asset(level=3)
    assert [len(level_of_detail(ball, level).vertices) for level in range(3)] == [642, 162, 42]
    assert level_of_detail(ball, 0).face_uv.tobytes() == ball.face_uv.tobytes()


def test_a_mesh_that_cannot_get_simpler_is_an_error_of_its_own():
    with pytest.raises(ItemError, match="'strip' cannot be simplified to 4 vertices; 10 remain"):
        level_of_detail(grid_asset(10), 1)
