"""Several photos to one body: poses kept, depth from other sides, colours from whoever shows them, one exposure."""

import pytest
import torch

from recon.camera import project
from recon.render import RenderSettings, render_silhouette
from recon.structures import Camera
from recon.template import Template, ellipsoid_template
from recon.texturing.bake import BakedTexture
from recon.texturing.blend import TextureBlender
from recon.texturing.fuse import TextureFuser, fuse_shapes
from recon.texturing.layout import TexelLayout

PHOTO, TEXTURE = (96, 48), (64, 32)
RED, GREY = (0.7, 0.2, 0.2), (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def template() -> Template:
    return ellipsoid_template(2)


@pytest.fixture(scope="module")
def layout(template: Template) -> TexelLayout:
    return TexelLayout(template, *TEXTURE)


def camera(azimuth_deg: float) -> Camera:
    return Camera.frontal(1, distance=4.0).turned(azimuth_deg)


def plain(colour: tuple[float, float, float], size: tuple[int, int]) -> torch.Tensor:
    return torch.tensor(colour)[:, None, None].expand(3, *size).contiguous()


def baked(
    layout: TexelLayout, azimuth_deg: float, colour: tuple[float, float, float], guess: tuple[float, float, float]
) -> BakedTexture:
    """A person of one colour from one side, on a guess of another colour."""
    template, view = layout.template, camera(azimuth_deg)
    ndc, in_camera = project(template.vertices[None], view, *PHOTO)
    mask = (render_silhouette(ndc, in_camera, template.faces, PHOTO, RenderSettings())[1][0] >= 0).float()
    return TextureBlender(layout)(plain(guess, TEXTURE), plain(colour, PHOTO), mask, template.vertices, view)


def test_the_pose_is_that_of_the_majority_not_the_mean():
    arm = torch.zeros(4, 10, 3)
    arm[2, 5:, 1] = 0.6
    arm[3, :, 0] = 0.01
    fused = fuse_shapes(arm, Camera.joined([camera(0.0)] * 4), torch.ones(4))
    assert fused.reference in (0, 1) and fused.weights[2] < 1e-6
    assert fused.offsets[5:, 1].abs().max() < 1e-5
    assert 0.003 < float(fused.offsets[0, 0]) < 0.0034, "those of one pose are averaged"


def test_a_badly_fitting_photo_neither_leads_nor_pulls():
    offsets = torch.tensor([0.0, 0.02])[:, None, None].expand(2, 8, 3)
    fused = fuse_shapes(offsets, Camera.joined([camera(0.0)] * 2), torch.tensor([0.45, 0.9]))
    assert fused.reference == 1 and float(fused.offsets.mean()) > 0.0185


def test_depth_comes_from_the_photo_that_looks_across_it():
    """Seen from the front, z is a guess; seen from the side, x is."""
    front, side = torch.tensor([0.02, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.02])
    offsets = torch.stack((front, side))[:, None].expand(2, 8, 3)
    fused = fuse_shapes(offsets, Camera.joined([camera(0.0), camera(90.0)]), torch.ones(2))
    assert (fused.offsets[:, [0, 2]] > 0.017).all()


def test_every_side_is_as_the_photo_that_shows_it(layout):
    """Front grey, back red; each photo alone guesses wrong behind."""
    front, back = baked(layout, 0.0, GREY, GREY), baked(layout, 180.0, RED, GREY)
    fused = TextureFuser(layout)([front, back], torch.ones(2), 0)
    row = TEXTURE[0] // 4
    assert fused.texture[0, row, 16] / fused.texture[1, row, 16] > 1.7, "red behind"
    assert (fused.texture[:, 3 * row, 16] - 0.5).abs().max() < 0.06
    assert fused.seen[row, 16] == 1 and fused.seen[3 * row, 16] == 1
    assert fused.seen_fraction > 1.8 * front.seen_fraction
    assert fused.vertex_seen.mean() > 1.8 * front.vertex_seen.mean()


def test_photos_in_other_light_leave_no_step(layout):
    """The same person, 1.6 times as bright from behind: all in the light of the reference."""
    front, back = baked(layout, 0.0, RED, RED), baked(layout, 180.0, (0.99, 0.32, 0.32), (0.99, 0.32, 0.32))
    fused = TextureFuser(layout)([front, back], torch.ones(2), 0)
    assert (fused.texture - torch.tensor(RED)[:, None, None]).abs().max() < 0.02


def test_what_one_photo_alone_has_in_front_of_the_body_is_not_painted_on(layout):
    """Three agree; the second shows a blue bag over everything that all others show red."""
    views = [baked(layout, azimuth, RED, RED) for azimuth in (0.0, 20.0, -20.0)]
    bag = baked(layout, 10.0, RED, RED)
    with_bag = bag.texture.clone()
    rows, columns = slice(40, 48), slice(12, 20)
    with_bag[:, rows, columns] = torch.tensor([0.1, 0.1, 0.8])[:, None, None]
    bag = BakedTexture(with_bag, bag.seen, bag.frontal, bag.seen_fraction, bag.vertex_seen)
    fused = TextureFuser(layout)([views[0], bag, *views[1:]], torch.ones(4), 0)
    middle = fused.texture[:, 42:46, 14:18]
    assert (middle - torch.tensor(RED)[:, None, None]).abs().max() < 0.05


def test_details_come_from_the_nearer_photo(layout):
    """Stripes that only one of two photos resolves: strong where it is the near one, faint where it is the far one."""
    plain_one = baked(layout, 0.0, RED, RED)
    striped = plain_one.texture.clone()
    striped[:, ::2], striped[:, 1::2] = striped[:, ::2] - 0.1, striped[:, 1::2] + 0.1
    photos = [
        BakedTexture(striped, plain_one.seen, plain_one.frontal, plain_one.seen_fraction, plain_one.vertex_seen),
        plain_one,
        plain_one,
    ]
    fuser = TextureFuser(layout)
    near, far = (fuser(photos, torch.tensor(resolution), 2) for resolution in ([1.0, 0.2, 0.2], [0.2, 1.0, 1.0]))
    swing = [float(one.texture[1, 46:50, 16].std()) for one in (near, far)]
    assert swing[0] > 0.09 and swing[1] < 0.02
