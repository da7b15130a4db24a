"""Answers: drawn as the renderer draws, and in the frame of a photo that is larger than what the camera saw."""

from dataclasses import replace

import pytest
import torch
from evaluation_scenes import predictions_of

from recon.camera import project
from recon.evaluation.baselines import template_answer
from recon.evaluation.predictions import Prediction, draw_prediction
from recon.evaluation.surfaces import Surface
from recon.render import render
from recon.structures import Attributes, Camera, TexturedMesh
from recon.template import ellipsoid_template

SIZE = (64, 32)


def two_bodies() -> Attributes:
    generator = torch.Generator().manual_seed(3)
    camera = Camera(
        torch.tensor([30.0, -100.0]),
        torch.tensor([5.0, -8.0]),
        torch.tensor([2.6, 3.4]),
        torch.tensor([[0.1, 0.0], [0.0, -0.2]]),
    )
    offsets = 0.02 * torch.randn(2, len(ellipsoid_template(2).vertices), 3, generator=generator)
    light = torch.cat((torch.full((2, 1), 0.9), 0.2 * torch.rand(2, 8, generator=generator)), dim=1)
    return Attributes(camera, offsets, torch.rand(2, 3, 16, 16, generator=generator), light)


@pytest.mark.parametrize("is_lit", [True, False])
def test_answers_of_networks_are_drawn_as_they_are_trained(is_lit):
    template, attributes = ellipsoid_template(2), two_bodies()
    if not is_lit:
        attributes = replace(attributes, light=None)
    mesh = TexturedMesh(template.vertices + attributes.offsets, template.faces, template.face_uv, attributes.texture)
    expected = render(mesh, attributes.camera, SIZE, light=attributes.light)
    for index, answer in enumerate(predictions_of(attributes, template)):
        drawn = draw_prediction(answer, SIZE)
        torch.testing.assert_close(drawn.mask, expected.mask[index], atol=1e-5, rtol=0)
        torch.testing.assert_close(drawn.image, expected.image[index].clamp(0, 1), atol=1e-4, rtol=0)


def test_a_shift_moves_the_picture_by_whole_pixels():
    template, attributes = ellipsoid_template(2), two_bodies()
    answer = predictions_of(attributes, template)[0]
    # 6 pixels right, 4 up
    moved = replace(answer, shift_ndc=(2 * 6 / SIZE[1], 2 * 4 / SIZE[0]))
    before, after = draw_prediction(answer, SIZE), draw_prediction(moved, SIZE)
    torch.testing.assert_close(after.mask[:-4, 6:], before.mask[4:, :-6], atol=1e-4, rtol=0)
    torch.testing.assert_close(after.image[:, :-4, 6:], before.image[:, 4:, :-6], atol=1e-3, rtol=0)


def test_turning_goes_around_the_body():
    answer = predictions_of(two_bodies(), ellipsoid_template(2))[0]
    assert float(answer.turned(90.0).camera.azimuth_deg) == 120.0
    assert answer.turned(90.0).surface is answer.surface and answer.camera.azimuth_deg.shape == (1,)


def test_the_mean_shape_wears_the_photo_where_the_crop_lies():
    template = ellipsoid_template(2)
    image = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))
    camera, shift = Camera.frontal(1), (0.25, -0.125)
    shape = template_answer(template, camera, image, torch.ones(SIZE), shift)
    ndc, _ = project(template.vertices[None], camera, *SIZE)
    expected = (ndc[0] + torch.tensor(shift)) / 2 + 0.5
    torch.testing.assert_close(shape.corner_values, expected[template.faces])
    drawn = draw_prediction(Prediction(shape, camera, shift), SIZE)
    inside = drawn.mask == 1
    error = (drawn.image - image).abs().mean(dim=0)[inside]
    assert float(error.mean()) < 0.05, "each pixel shows itself"
    plain = template_answer(template, camera, image, torch.ones(SIZE))
    assert isinstance(plain, Surface) and not torch.equal(plain.corner_values, shape.corner_values)
