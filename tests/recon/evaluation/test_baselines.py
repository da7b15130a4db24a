"""Trivial answers: the cut-out is a closed card that shows the photo; the mean shape wears the photo."""

import pytest
import torch

from recon.evaluation.baselines import CARD_THICKNESS, billboard_answer, template_answer
from recon.evaluation.surfaces import draw
from recon.geometry import signed_volume
from recon.structures import Camera
from recon.template import ellipsoid_template


def photo() -> tuple[torch.Tensor, torch.Tensor]:
    """A two-legged blob with a hole, left half red, right half green, upper third brighter."""
    image = torch.zeros(3, 48, 24)
    image[0, :, :12], image[1, :, 12:], image[2, :16] = 0.8, 0.6, 0.9
    mask = torch.zeros(48, 24)
    mask[4:44, 4:20] = 1.0
    mask[30:, 11:13] = 0.0
    mask[10:14, 8:10] = 0.0
    return image, mask


def test_cut_out_is_closed_outward_and_of_the_stated_thickness():
    card = billboard_answer(*photo())
    corners = card.vertices[card.faces]
    area_vectors = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    torch.testing.assert_close(area_vectors.sum(dim=0), torch.zeros(3), atol=1e-6, rtol=0)
    pixels = float(photo()[1].sum())
    thickness = CARD_THICKNESS * 40 / 48
    assert signed_volume(card.vertices[None], card.faces).item() == pytest.approx(pixels / 48**2 * thickness, rel=1e-4)


def test_every_edge_of_the_cut_out_is_shared():
    card = billboard_answer(*photo())
    directed = torch.cat([card.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    forward, backward = (directed[:, order] @ torch.tensor([100_000, 1]) for order in ([0, 1], [1, 0]))
    assert torch.equal(forward.sort().values, backward.sort().values)


@pytest.mark.parametrize(("azimuth", "flipped"), [(0.0, False), (180.0, True)])
def test_cut_out_shows_the_photo_in_front_and_its_mirror_image_behind(azimuth, flipped):
    image, mask = photo()
    far = 400.0  # so far away that the card's thickness does not show
    camera = Camera(torch.tensor([azimuth]), torch.zeros(1), torch.tensor([far]), torch.zeros(1, 2), focal=2 * far)
    drawing = draw(billboard_answer(image, mask), camera, (48, 24))
    if flipped:
        image, mask = image.flip(2), mask.flip(1)
    assert torch.equal(drawing.covered[0].float(), mask)
    torch.testing.assert_close(drawing.image[0] * mask, image * mask, atol=1e-4, rtol=0)


def test_cut_out_of_nothing_is_refused():
    with pytest.raises(ValueError, match="needs a mask that is not empty"):
        billboard_answer(photo()[0], torch.zeros(48, 24))


def test_mean_shape_shows_the_photo_where_it_looks_like_it():
    template = ellipsoid_template()
    camera = Camera(torch.tensor([40.0]), torch.tensor([5.0]), torch.tensor([3.0]), torch.tensor([[0.05, 0.0]]))
    image = torch.rand(3, 12, 6, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(image[None], size=(96, 48), mode="bicubic", align_corners=True)[0].clamp(
        0, 1
    )
    answer = template_answer(template, camera, image, torch.ones(96, 48))
    drawing = draw(answer, camera, (96, 48))
    covered = drawing.covered[0]
    assert 0.1 < covered.float().mean() < 0.6
    assert (drawing.image[0] - image)[:, covered].abs().mean() < 0.02


def test_mean_shape_takes_no_background_colours():
    template = ellipsoid_template()
    camera = Camera.frontal(1, distance=3.0)
    image = torch.zeros(3, 96, 48)
    image[1] = 1.0
    mask = torch.zeros(96, 48)
    mask[30:60, 18:30] = 1.0
    image = torch.where(mask > 0, torch.tensor([0.6, 0.1, 0.2])[:, None, None], image)
    drawing = draw(template_answer(template, camera, image, mask), camera.turned(120.0), (96, 48))
    shown = drawing.image[0][:, drawing.covered[0]]
    torch.testing.assert_close(shown.amax(dim=1), torch.tensor([0.6, 0.1, 0.2]), atol=0.02, rtol=0)
