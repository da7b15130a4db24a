import math

import pytest
import torch

from recon.encoders import CAMERA_RANGES, CameraRanges, published_config, small_config
from recon.encoders.camera import (
    AZIMUTH_BINS,
    CameraEncoder,
    azimuth_from_bins,
    bin_centres_deg,
    camera_from_raw,
)

MARKET = CAMERA_RANGES["market"]


def test_mapping_at_known_points():
    raw = torch.tensor([[0.0, 0, 1, 0, 0, 0], [100, 100, 0, -1, 9, -9], [-100, -100, 0, 1, 0, 0], [0, 0, -1, 0, 0, 0]])
    camera = camera_from_raw(raw, MARKET)
    torch.testing.assert_close(camera.azimuth_deg.abs(), torch.tensor([0.0, 90, 90, 180]))
    assert camera.azimuth_deg[1] > 0 > camera.azimuth_deg[2]
    torch.testing.assert_close(camera.distance, torch.tensor([4.0, 6, 2, 4]))
    torch.testing.assert_close(camera.elevation_deg, torch.tensor([0.0, 15, -15, 0]))
    torch.testing.assert_close(camera.offset[1], torch.tensor([1.0, -1]), atol=1e-6, rtol=0)


def test_scope_and_offset_limit():
    half = CameraRanges((-15.0, 15.0), (2.0, 6.0), azimuth_scope_deg=180.0, offset_limit=0.0)
    camera = camera_from_raw(torch.tensor([[0.0, 0, 0, -1, 3, 3]]), half)
    torch.testing.assert_close(camera.azimuth_deg, torch.tensor([45.0]))
    assert not camera.offset.any()


def test_mapping_gradients():
    raw = torch.tensor([[0.3, -0.2, 0.7, 0.4, 0.1, -0.5], [1, 2, -0.6, -0.3, -1, 0.2]], dtype=torch.float64)

    def run(raw):
        camera = camera_from_raw(raw, MARKET)
        return camera.azimuth_deg, camera.elevation_deg, camera.distance, camera.offset

    assert torch.autograd.gradcheck(run, raw.requires_grad_())


@pytest.mark.parametrize("azimuth_deg", [-180.0, -137.0, -3.0, 0.0, 44.5, 90.0, 178.0])
def test_bins_give_back_the_angle_they_were_made_for(azimuth_deg):
    centres = bin_centres_deg(torch.zeros(1))
    logits = 30 * torch.cos(torch.deg2rad(centres - azimuth_deg))[None]
    error = (azimuth_from_bins(logits) - azimuth_deg + 180) % 360 - 180
    assert error.abs().item() < 0.6


def test_bins_read_the_peak_and_not_the_mean_of_two():
    logits = torch.full((1, AZIMUTH_BINS), -20.0)
    logits[0, 9], logits[0, 27] = 2.0, 1.0
    torch.testing.assert_close(azimuth_from_bins(logits), torch.tensor([-90.0]), atol=0.5, rtol=0)


def test_bin_gradients():
    logits = (30 * torch.cos(torch.deg2rad(bin_centres_deg(torch.zeros(1, dtype=torch.float64)) - 23)))[None]
    assert torch.autograd.gradcheck(azimuth_from_bins, (logits * 0.1).requires_grad_())


def make(config, template, photos):
    torch.manual_seed(0)
    encoder = CameraEncoder(config).eval()
    inputs = torch.randn(2, 4, config.height, config.width)
    return encoder, inputs, template.vertices


def spread_heads(encoder):
    """Heads that say something, so that differences in the features show."""
    for parameter in encoder.heads.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)


@pytest.mark.parametrize("published", [False, True])
def test_only_the_published_camera_depends_on_the_order_of_vertices(tiny_template, photos, published):
    config = small_config("market", **({"conventions": "published", "back": "mirrored"} if published else {}))
    encoder, inputs, vertices = make(config, tiny_template, photos)
    spread_heads(encoder)
    order = torch.randperm(len(vertices), generator=torch.Generator().manual_seed(3))
    first, second = encoder(inputs, vertices).camera, encoder(inputs, vertices[order]).camera
    same = torch.allclose(first.azimuth_deg, second.azimuth_deg, atol=1e-3)
    assert same is not published
    assert first.offset_frame == ("world" if published else "camera")


def test_prototype_conditions_the_camera_only_with_integration(tiny_template, photos):
    for integration in (True, False):
        config = small_config(integration=integration)
        encoder, inputs, vertices = make(config, tiny_template, photos)
        spread_heads(encoder)
        first, second = encoder(inputs, vertices).camera, encoder(inputs, vertices * 0.5).camera
        assert torch.allclose(first.distance, second.distance) is not integration


def test_untrained_camera_is_frontal_and_mid_range(tiny_template, photos):
    for head in ("vector", "bins"):
        encoder, inputs, vertices = make(small_config(azimuth_head=head), tiny_template, photos)
        prediction = encoder(inputs, vertices)
        torch.testing.assert_close(prediction.camera.distance, torch.full((2,), 2.8), atol=1e-2, rtol=0)
        torch.testing.assert_close(prediction.camera.elevation_deg, torch.full((2,), 0.0), atol=0.1, rtol=0)
        assert prediction.camera.offset.abs().max() < 1e-2
        torch.testing.assert_close(prediction.azimuth_vector, torch.tensor([[1.0, 0]] * 2), atol=1e-2, rtol=0)
        assert (prediction.azimuth_logits is None) == (head == "vector")
    assert published_config().is_published


def test_azimuth_vector_agrees_with_the_azimuth(tiny_template, photos):
    encoder, inputs, vertices = make(small_config(), tiny_template, photos)
    spread_heads(encoder)
    prediction = encoder(inputs, vertices)
    cosine, sine = prediction.azimuth_vector.unbind(1)
    torch.testing.assert_close(torch.atan2(sine, cosine) * 180 / math.pi, prediction.camera.azimuth_deg)
