from dataclasses import replace

import pytest
import torch
from drawn_masks import canvas, ellipse

from recon.camera import project
from recon.render import RenderSettings, render, render_silhouette
from recon.structures import Camera, TexturedMesh
from recon.template import Template, ellipsoid_template, template_from_arrays
from recon.texturing.bake import BakedTexture, bake_texture
from recon.texturing.fill import push_pull
from recon.texturing.texels import TexelMap, map_texels

SIZE = (192, 96)
MAGENTA = torch.tensor([1.0, 0.0, 1.0])[:, None, None]


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(3)


@pytest.fixture(scope="module")
def texels(template: Template) -> TexelMap:
    return map_texels(template, 128, 64)


def camera(distance: float = 4.0) -> Camera:
    return Camera.frontal(1, distance=distance)


def mask_of(template: Template, size=SIZE, view=None) -> torch.Tensor:
    ndc, in_camera = project(template.vertices[None], view or camera(), *size)
    return (render_silhouette(ndc, in_camera, template.faces, size, RenderSettings())[1][0] >= 0).float()


def quadrants(size=SIZE) -> torch.Tensor:
    """Red upper left, green upper right, blue lower left, yellow lower right of the picture."""
    y, x = canvas(*size)
    left, top = (x < 0).float(), (y > 0).float()
    red = left * top + (1 - left) * (1 - top)
    green = (1 - left) * top + (1 - left) * (1 - top)
    return torch.stack((red, green, left * (1 - top)))


def bake(template: Template, texels: TexelMap, image: torch.Tensor, mask=None, view=None) -> BakedTexture:
    view = view or camera()
    mask = mask_of(template, tuple(image.shape[1:]), view) if mask is None else mask
    return bake_texture(image, mask, template.vertices, view, template, texels)


def at(texture: torch.Tensor, u: float, v: float) -> list[float]:
    """Colour at texture coordinates, v up."""
    _, height, width = texture.shape
    return texture[:, int((1 - v) * height), int(u * width)].tolist()


# The layout.


def test_texels_know_their_place(template, texels):
    """Interpolated texture coordinates are the texel's own centre."""
    on = texels.on_layout
    assert on.float().mean() > 0.94
    face_uv = template.face_uv[texels.face_index[on]]
    uv = (face_uv * texels.weights[on][..., None]).sum(dim=1)
    rows, columns = on.nonzero().unbind(dim=1)
    assert (uv[:, 0] - (columns + 0.5) / 64).abs().max() < 1e-4
    turn = uv[:, 1] - (1 - (rows + 0.5) / 128)
    assert (turn - turn.round()).abs().max() < 1e-4
    assert (texels.weights[on].sum(dim=1) - 1).abs().max() < 1e-5 and texels.weights[on].min() > -1e-5


def test_the_seam_is_filled_on_both_sides(texels):
    assert texels.on_layout[0, 8:-8].all() and texels.on_layout[-1, 8:-8].all()


def test_interpolation_takes_the_surface_points(template, texels):
    points = texels.interpolate(template.vertices, template.faces, texels.on_layout)
    field = torch.zeros(128, 64, 3)
    field[texels.on_layout] = points
    assert field[96, 32].tolist() == pytest.approx([0, 0, 0.225], abs=0.03), "front centre at v = 0.25"
    assert field[32, 32].tolist() == pytest.approx([0, 0, -0.225], abs=0.03), "back centre at v = 0.75"
    assert field[64, 32].tolist() == pytest.approx([0, 0.9, 0], abs=0.05), "top at v = 0.5"
    assert field[96, 48, 0] > 0.2 and field[96, 16, 0] < -0.2, "u grows with x"


def test_texels_off_the_layout_have_no_face(template):
    """Half of the layout's width is empty once all coordinates move to the left."""
    narrow = replace(template, face_uv=template.face_uv * torch.tensor([0.5, 1.0]))
    texels = map_texels(narrow, 64, 64)
    assert not texels.on_layout[:, 33:].any() and texels.on_layout[8:-8, 4:28].all()
    baked = bake(narrow, texels, quadrants())
    assert baked.texture.isfinite().all()
    assert baked.seen[:, 33:].max() == 0


@pytest.mark.parametrize("size", [(16, 16), (100, 30), (30, 100), (1, 1), (17, 33)])
def test_textures_of_any_size(template, size):
    texels = map_texels(template, *size)
    baked = bake(template, texels, quadrants())
    assert baked.texture.shape == (3, *size) and baked.seen.shape == size
    assert baked.texture.isfinite().all() and baked.texture.min() >= 0 and baked.texture.max() <= 1


# The front.


def test_the_front_is_the_photo_neither_mirrored_nor_flipped(template, texels):
    texture = bake(template, texels, quadrants()).texture
    assert at(texture, 0.35, 0.33) == pytest.approx([1, 0, 0], abs=0.02), "upper left of the front"
    assert at(texture, 0.65, 0.33) == pytest.approx([0, 1, 0], abs=0.02)
    assert at(texture, 0.35, 0.17) == pytest.approx([0, 0, 1], abs=0.02)
    assert at(texture, 0.65, 0.17) == pytest.approx([1, 1, 0], abs=0.02)


def test_seen_texels_have_the_exact_colour_of_their_pixel(template):
    """A picture of coordinates: where a texel's point projects to is the colour it must have."""
    y, x = canvas(*SIZE)
    image = torch.stack((x + 0.5, (y + 1) / 2, torch.full_like(x, 0.25)))
    texels = map_texels(template, 256, 128)
    baked = bake(template, texels, image, torch.ones(SIZE))
    sure = baked.seen == 1
    assert sure.float().mean() > 0.25
    points = texels.interpolate(template.vertices, template.faces, sure)
    ndc, _ = project(points[None], camera(), *SIZE)
    expected = torch.stack((ndc[0, :, 0] * 0.5 + 0.5, (ndc[0, :, 1] + 1) / 2, torch.full_like(ndc[0, :, 0], 0.25)))
    assert (baked.texture[:, sure] - expected).abs().max() < 2e-3


@pytest.mark.parametrize("azimuth", [0.0, 40.0, 180.0])
def test_a_rendering_of_the_result_is_the_photo(template, azimuth):
    view = camera().turned(azimuth)
    image = quadrants()
    texels = map_texels(template, 256, 128)
    texture = bake(template, texels, image, view=view).texture
    mesh = TexturedMesh(template.vertices[None], template.faces, template.face_uv, texture[None])
    drawn = render(mesh, view, SIZE)
    covered = mask_of(template, view=view) > 0
    assert (drawn.image[0] - image)[:, covered].abs().mean() < 0.03


def test_what_was_seen(template, texels):
    seen = bake(template, texels, quadrants()).seen
    assert seen.min() >= 0 and seen.max() <= 1
    assert seen[96, 32] == 1, "front centre"
    assert seen[:63].max() == 0, "the whole back"
    assert (seen[67:125, 32] > 0.9).all(), "head to foot along the middle"


def test_hidden_surface_is_not_seen():
    """Two balls, one behind the other and larger: of the far one only the rim shows."""
    near, far = ellipsoid_template(3, (0.3, 0.3, 0.1)), ellipsoid_template(3, (0.5, 0.5, 0.1))
    shift = torch.tensor([0.0, 0.0, 0.6])
    count = len(near.vertices)
    half, right = torch.tensor([0.5, 1.0]), torch.tensor([0.5, 0.0])
    both = template_from_arrays(
        torch.cat((near.vertices + shift, far.vertices - shift)).double(),
        torch.cat((near.faces, far.faces + count)),
        torch.cat((near.face_uv * half, far.face_uv * half + right)).double(),
    )
    texels = map_texels(both, 128, 128)
    y, x = canvas(*SIZE)
    inner = (x**2 + y**2 < 0.17**2).float()  # well inside the near ball's outline
    baked = bake(both, texels, torch.stack((inner, 1 - inner, torch.zeros_like(inner))))
    assert baked.seen[96, 32] == 1 and baked.seen[96, 96] == 0
    assert baked.texture[0, 96, 32] > 0.98
    seen_far = baked.seen[:, 64:] > 0.5
    assert seen_far.any() and baked.texture[0, :, 64:][seen_far].max() < 0.05


# The rest.


def test_the_background_never_bleeds_in(template, texels):
    mask = mask_of(template)
    for inside in (torch.tensor([0.2, 0.8, 0.1]), torch.tensor([0.9, 0.7, 0.2])):
        image = torch.where(mask > 0, inside[:, None, None].expand(3, *SIZE), MAGENTA.expand(3, *SIZE))
        texture = bake(template, texels, image, mask).texture
        assert (texture - inside[:, None, None]).abs().max() < 1e-3


def test_a_mesh_beyond_the_mask_takes_the_colours_of_the_person(template, texels):
    """The mesh is twice as wide as the mask: nothing of the magenta beside it may show."""
    mask = ellipse(0.12, 0.5, height=192, width=96)
    image = torch.where(mask > 0, torch.tensor([0.2, 0.8, 0.1])[:, None, None], MAGENTA)
    texture = bake(template, texels, image, mask).texture
    assert texture[0].max() < 0.21 and texture[2].max() < 0.11


def test_pixels_on_the_outline_are_not_trusted(template, texels):
    """Photos mix person and background in the mask's outermost pixels."""
    mask = mask_of(template)
    grown = torch.nn.functional.max_pool2d(1 - mask[None], 3, stride=1, padding=1)[0]
    rim = mask * grown
    image = torch.where(mask > 0, torch.tensor([0.2, 0.8, 0.1])[:, None, None], MAGENTA)
    image = torch.where(rim > 0, 0.5 * image + 0.5 * MAGENTA, image)
    texture = bake(template, texels, image, mask).texture
    assert texture[0].max() < 0.21 and texture[2].max() < 0.11


def test_masks_thinner_than_their_outline_still_give_colours(template, texels):
    mask = torch.zeros(SIZE)
    mask[20:170, 48] = 1
    image = torch.where(mask > 0, torch.tensor([0.2, 0.8, 0.1])[:, None, None], MAGENTA)
    assert (bake(template, texels, image, mask).texture[1] - 0.8).abs().max() < 1e-3


def test_the_back_of_the_head_gets_no_face():
    """Face colour in the middle of the head, hair at its outline: hair goes on behind."""
    head = ellipsoid_template(3, (0.16, 0.9, 0.13))
    y, x = canvas(*SIZE)
    image = torch.tensor([0.2, 0.2, 0.2])[:, None, None].expand(3, *SIZE).clone()
    face = ((x / 0.045) ** 2 + ((y - 0.35) / 0.06) ** 2) < 1
    image[:, face] = torch.tensor([1.0, 0.8, 0.6])[:, None]
    baked = bake(head, map_texels(head, 256, 128), image)
    assert baked.texture[0, 128:].max() > 0.95, "the face is there in front"
    back = baked.texture[0, :118]
    assert back.max() < 0.4 and back.mean() < 0.22


def test_the_back_continues_the_outline_at_the_same_height(template, texels):
    """A picture of horizontal bands: shirt, belt and trousers go on around the body."""
    y, _ = canvas(*SIZE)
    shirt = (y > 0.1).float()
    texture = bake(template, texels, torch.stack((shirt, 1 - shirt, torch.zeros_like(shirt)))).texture
    assert at(texture, 0.5, 0.68)[0] > 0.95, "upper back"
    assert at(texture, 0.5, 0.85)[1] > 0.95, "lower back"


def test_two_bakes_are_equal(template, texels):
    first, second = bake(template, texels, quadrants()), bake(template, texels, quadrants())
    assert torch.equal(first.texture, second.texture) and torch.equal(first.seen, second.seen)


# Filling holes.


@pytest.mark.parametrize("size", [(32, 32), (31, 17), (1, 9), (5, 1), (2, 2), (64, 3)])
def test_filling_keeps_known_colours_and_constants(size):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, *size, generator=generator)
    known = (torch.rand(size, generator=generator) > 0.8).float()
    known[0, 0] = 1
    filled = push_pull(image, known)
    assert torch.equal(filled[:, known > 0], image[:, known > 0])
    low, high = image[:, known > 0].amin(dim=1), image[:, known > 0].amax(dim=1)
    assert (filled >= low[:, None, None] - 1e-5).all() and (filled <= high[:, None, None] + 1e-5).all()
    constant = torch.full((3, *size), 0.7)
    assert (push_pull(constant, known) - 0.7).abs().max() < 1e-5


def test_filling_takes_the_nearest_side():
    image = torch.zeros(1, 16, 64)
    image[:, :, :8], image[:, :, -8:] = 0.2, 0.9
    known = torch.zeros(16, 64)
    known[:, :8] = known[:, -8:] = 1
    filled = push_pull(image, known)[0, 8]
    assert filled[9] < 0.35 and filled[54] > 0.75
    assert 0.3 < filled[32] < 0.8


def test_filling_reaches_across_the_whole_map_from_one_pixel():
    image, known = torch.rand(3, 40, 24), torch.zeros(40, 24)
    known[39, 23] = 1
    assert (push_pull(image, known) - image[:, 39:, 23:]).abs().max() < 1e-5


def test_filling_from_nothing_is_black_and_finite():
    assert torch.equal(push_pull(torch.rand(3, 8, 8), torch.zeros(8, 8)), torch.zeros(3, 8, 8))
