import pytest
import torch

from recon.encoders.blocks import (
    AttentiveResiduals,
    CoordConv,
    DampedResidual,
    DilatedPyramid,
    MixedPool,
    Residual,
    ResidualHalf,
    as_head,
    coordinate_map,
)
from recon.encoders.config import paper_config
from recon.encoders.light import BackgroundEncoder, LightEncoder
from recon.encoders.model import network_input
from recon.encoders.trunks import SmallTrunk, gathered_blocks
from recon.structures import Sample


def test_coord_conv_equals_appended_coordinates():
    torch.manual_seed(0)
    layer = CoordConv(3, 5, 5, 2).double()
    x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
    stacked = torch.cat((x, coordinate_map(8, 6, x).expand(2, -1, -1, -1)), dim=1)
    weight = torch.cat((layer.image.weight, layer.place.weight), dim=1)
    expected = torch.nn.functional.conv2d(stacked, weight, layer.image.bias, 2, 2)
    torch.testing.assert_close(layer(x), expected)


def test_coordinates_run_from_corner_to_corner_rows_first():
    rows, columns = coordinate_map(3, 2, torch.zeros(1))[0]
    assert rows.tolist() == [[-1, -1], [0, 0], [1, 1]]
    assert columns.tolist() == [[-1, 1]] * 3


def test_damped_residual_formula():
    block = DampedResidual(8).eval()
    x = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(block(x), 0.2 * x + block.layers(x))


def test_attentive_residuals_formula():
    block = AttentiveResiduals(2, 32).eval()
    x = torch.randn(2, 32, 4, 4)
    y = block.blocks(x)
    torch.testing.assert_close(block(x), x + block.attention(y) * y)
    assert 0 < float(block.attention(y).detach().min()) and float(block.attention(y).detach().max()) < 1


def test_residual_half_doubles_channels_and_halves_size():
    assert ResidualHalf(36)(torch.randn(2, 36, 8, 6)).shape == (2, 72, 4, 3)


def test_mixed_pool_starts_half_and_half():
    x = torch.randn(2, 3, 4, 4)
    pooled = MixedPool(1)(x)[:, :, 0, 0]
    torch.testing.assert_close(pooled, (x.amax((2, 3)) + x.mean((2, 3))) / 2)


def test_dilated_pyramid_keeps_the_size():
    assert DilatedPyramid(16)(torch.randn(1, 16, 12, 9)).shape == (1, 16, 12, 9)


def test_heads_start_nearly_silent():
    layer = as_head(torch.nn.Linear(500, 500))
    assert 0.8e-5 < layer.weight.detach().std().item() < 1.2e-5
    assert not layer.bias.any()


def test_normalisation():
    image = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(1, 3, 2, 2).clone()
    image[0, 0, 0, 0] += 0.229
    mask = torch.tensor([[[1.0, 1], [0, 0]]])
    real = network_input(Sample(image, mask), "real")
    torch.testing.assert_close(real[0, :3, 0, 0], torch.tensor([1.0, 0, 0]), atol=1e-6, rtol=0)
    assert real[0, 3].tolist() == [[0.5, 0.5], [-0.5, -0.5]]
    white = network_input(Sample(image, mask), "white")
    torch.testing.assert_close(white[0, 0, 1, 1], torch.tensor((1 - 0.485) / 0.229))
    grey = network_input(Sample(torch.rand(1, 3, 2, 2), mask), "grey")
    assert not grey[0, :3, 1].any()


def test_paper_light_network_matches_the_table():
    encoder = LightEncoder(paper_config())
    maps = []
    x = torch.rand(2, 4, 128, 64)
    for layer in encoder.layers:
        x = layer(x)
        if isinstance(layer, torch.nn.BatchNorm2d):
            maps.append(tuple(x.shape[1:]))
    assert maps == [(32, 64, 32), (64, 32, 16), (96, 16, 8), (192, 8, 4), (96, 4, 2)]
    assert x.shape == (2, 9)


def test_background_sees_only_what_is_around_the_person():
    torch.manual_seed(0)
    encoder = BackgroundEncoder(paper_config()).eval()
    torch.nn.init.normal_(encoder.paint[1].weight)
    mask = torch.zeros(1, 32, 16)
    mask[:, 8:24, 4:12] = 1
    image = torch.rand(1, 3, 32, 16)
    repainted = torch.where(mask[:, None] == 1, torch.rand_like(image), image)
    first = encoder(Sample(image, mask))
    torch.testing.assert_close(encoder(Sample(repainted, mask)), first)
    assert not torch.allclose(encoder(Sample(torch.rand_like(image), mask)), first)


def test_gathered_blocks_hold_the_pixels_of_their_block():
    x = torch.arange(2 * 4 * 8 * 12, dtype=torch.float32).view(2, 4, 8, 12)
    blocks = gathered_blocks(x)
    assert blocks.shape == (2, 64, 2, 3)
    assert blocks.is_contiguous(memory_format=torch.channels_last)
    expected = torch.nn.functional.pixel_unshuffle(x, 4)
    torch.testing.assert_close(blocks.sort(dim=1).values, expected.sort(dim=1).values)


@pytest.mark.parametrize("depth", [1, 3])
def test_small_trunk_has_three_scales_and_its_depth_twice(depth):
    trunk = SmallTrunk((8, 12, 16), depth)
    fine, middle, coarse = trunk(torch.randn(2, 4, 64, 32))
    assert (fine.shape, middle.shape, coarse.shape) == ((2, 8, 16, 8), (2, 12, 8, 4), (2, 16, 4, 2))
    assert sum(isinstance(module, Residual) for module in trunk.modules()) == 2 * depth
