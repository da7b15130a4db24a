"""Photos on painted textures: the photo where it shows the surface, the painted guess elsewhere, no seam, no mirror."""

import pytest
import torch
from drawn_masks import canvas

from recon.camera import project
from recon.render import RenderSettings, render_silhouette
from recon.structures import Camera
from recon.template import Template, ellipsoid_template
from recon.texturing.blend import TextureBlender
from recon.texturing.fill import ColourPyramid, push_pull
from recon.texturing.layout import TexelLayout

PHOTO = (192, 96)
TEXTURE = (128, 64)


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(3)


@pytest.fixture(scope="module")
def blender(template: Template) -> TextureBlender:
    return TextureBlender(TexelLayout(template, *TEXTURE))


def mask_of(template: Template, camera: Camera) -> torch.Tensor:
    ndc, in_camera = project(template.vertices[None], camera, *PHOTO)
    return (render_silhouette(ndc, in_camera, template.faces, PHOTO, RenderSettings())[1][0] >= 0).float()


def plain(colour: tuple[float, float, float], size: tuple[int, int]) -> torch.Tensor:
    return torch.tensor(colour)[:, None, None].expand(3, *size).contiguous()


def blend(
    blender: TextureBlender, template: Template, painted: torch.Tensor, image: torch.Tensor, azimuth: float = 0.0
):
    camera = Camera.frontal(1, distance=4.0).turned(azimuth)
    return blender(painted, image, mask_of(template, camera), template.vertices, camera)


def test_the_seen_side_is_the_photo_and_not_mirrored_behind(blender, template):
    """Left half red, right half green, over a painted blue body."""
    _, x = canvas(*PHOTO)
    image = torch.stack(((x < 0).float(), (x >= 0).float(), torch.zeros_like(x)))
    made = blend(blender, template, plain((0.1, 0.1, 0.9), (64, 32)), image)
    assert made.texture.shape == (3, *TEXTURE)
    assert made.texture[:, 96, 22].tolist() == pytest.approx([1, 0, 0], abs=0.02)
    assert made.texture[:, 96, 42].tolist() == pytest.approx([0, 1, 0], abs=0.02)
    back = made.texture[:, 32]
    assert (back[2] > 0.55).all(), "behind it stays painted"
    assert 0.25 < made.seen_fraction < 0.6 and made.seen[96, 32] == 1 and made.seen[32].max() == 0
    depth = template.vertices[:, 2]
    assert made.vertex_seen[depth > 0.8 * depth.max()].min() == 1 and made.vertex_seen[depth < 0].max() == 0


def test_from_behind_the_back_is_the_photo(blender, template):
    made = blend(blender, template, plain((0.5, 0.5, 0.5), (64, 32)), plain((0.9, 0.2, 0.2), PHOTO), 180.0)
    assert made.texture[:, 32, 32].tolist() == pytest.approx([0.9, 0.2, 0.2], abs=0.02)
    assert made.seen[96].max() == 0


def test_a_painted_tint_is_matched_at_the_seam(blender, template):
    """The guess is darker than the photo: beside the seam it takes the photo's colour, with no step in between."""
    made = blend(blender, template, plain((0.5, 0.4, 0.4), (64, 32)), plain((0.6, 0.5, 0.35), PHOTO))
    torch.testing.assert_close(made.texture[:, 96, 32], torch.tensor([0.6, 0.5, 0.35]), atol=0.01, rtol=0)
    steps = made.texture.diff(dim=2).abs().amax()
    assert steps < 0.03
    edge = made.texture[:, 34:94, 2:5].mean(dim=(1, 2))
    assert (edge - torch.tensor([0.6, 0.5, 0.35])).abs().max() < 0.04
    behind = made.texture[:, 32, 32]
    assert (behind - torch.tensor([0.5, 0.4, 0.4])).abs().max() < 0.1


def test_details_of_the_guess_survive_behind_where_the_photo_shows_another_colour(blender, template):
    painted = plain((0.5, 0.5, 0.5), TEXTURE).clone()
    painted[:, ::4] = 0.2
    made = blend(blender, template, painted, plain((1.0, 0.1, 0.1), PHOTO))
    assert made.texture[:, 20:44, 32].std(dim=1).min() > 0.1


def test_the_background_never_bleeds_in(blender, template):
    camera = Camera.frontal(1, distance=4.0)
    mask = mask_of(template, camera)
    person, magenta = plain((0.2, 0.8, 0.1), PHOTO), plain((1.0, 0.0, 1.0), PHOTO)
    image = torch.where(mask > 0, person, magenta)
    smaller = 1 - torch.nn.functional.max_pool2d(1 - mask[None], 15, stride=1, padding=7)[0]
    made = blender(plain((0.2, 0.8, 0.1), (64, 32)), image, smaller, template.vertices, camera)
    assert (made.texture - torch.tensor([0.2, 0.8, 0.1])[:, None, None]).abs().max() < 1e-3


def test_two_blends_are_equal(blender, template):
    image = torch.rand(3, *PHOTO, generator=torch.Generator().manual_seed(0))
    first, second = (blend(blender, template, plain((0.5, 0.5, 0.5), (64, 32)), image) for _ in range(2))
    assert torch.equal(first.texture, second.texture)


@pytest.mark.parametrize("size", [(32, 32), (31, 17), (5, 40)])
def test_the_pyramid_reads_what_filling_would_write(size):
    """Exactly where colours are trusted, nearly in the gaps."""
    generator = torch.Generator().manual_seed(0)
    height, width = size
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    image = torch.stack((x, y, 1 - x))
    known = (torch.rand(size, generator=generator) > 0.5).float()
    known[0, 0] = 1
    centres = torch.stack(
        torch.meshgrid(
            (torch.arange(height) + 0.5) / height * 2 - 1, (torch.arange(width) + 0.5) / width * 2 - 1, indexing="ij"
        ),
        dim=-1,
    ).flip(-1)
    read = ColourPyramid(image, known).at(centres.view(-1, 2)).T.view(3, height, width)
    filled = push_pull(image, known)
    torch.testing.assert_close(read[:, known > 0], image[:, known > 0], atol=1e-5, rtol=0)
    assert (read - filled).abs().max() < 0.12


def test_coarser_levels_are_blurred():
    image = torch.zeros(1, 16, 16)
    image[:, :, ::2] = 1
    points = torch.tensor([[-0.6, 0.1], [0.3, -0.2]])
    assert (ColourPyramid(image, torch.ones(16, 16)).at(points, finest=2) - 0.5).abs().max() < 1e-5
