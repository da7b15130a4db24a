"""Building blocks that the encoders share (paper, tables 6-10), initialisation, and batch statistics left alone."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.2
HEAD_STD = 1e-5

HeadLayer = TypeVar("HeadLayer", nn.Conv2d, nn.Linear)


def coordinate_map(height: int, width: int, like: Tensor) -> Float[Tensor, "1 2 H W"]:
    """Row coordinate, then column coordinate, each from -1 to 1 inclusive."""
    rows = torch.linspace(-1, 1, height, device=like.device, dtype=like.dtype)
    columns = torch.linspace(-1, 1, width, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


class CoordConv(nn.Module):
    """Convolution that also sees where it is.

    Equal to appending the two coordinate channels to the input; their share is the same for every image, so it is
    computed once per batch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.image = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=bias)
        self.place = nn.Conv2d(2, out_channels, kernel, stride, kernel // 2, bias=False)
        std = math.sqrt(2 / ((in_channels + 2) * kernel * kernel))
        nn.init.normal_(self.image.weight, 0, std)
        nn.init.normal_(self.place.weight, 0, std)
        if self.image.bias is not None:
            nn.init.zeros_(self.image.bias)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Convolve."""
        return self.image(x) + self.place(coordinate_map(x.shape[2], x.shape[3], x))


def conv(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """Zero-padded convolution of the same size, Kaiming initialised."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=bias)
    nn.init.kaiming_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def linear(in_features: int, out_features: int, bias: bool = True) -> nn.Linear:
    """Linear layer, Kaiming initialised."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.kaiming_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def as_head(layer: HeadLayer) -> HeadLayer:
    """Initialise a final prediction layer near zero: weights N(0, 1e-5), bias 0."""
    nn.init.normal_(layer.weight, 0, HEAD_STD)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def batch_norm_2d(channels: int) -> nn.BatchNorm2d:
    """Batch norm over images with weights N(1, 0.02)."""
    norm = nn.BatchNorm2d(channels)
    nn.init.normal_(norm.weight, 1, 0.02)
    return norm


def batch_norm_1d(features: int) -> nn.BatchNorm1d:
    """Batch norm over vectors with weights N(1, 0.02)."""
    norm = nn.BatchNorm1d(features)
    nn.init.normal_(norm.weight, 1, 0.02)
    return norm


def leaky() -> nn.LeakyReLU:
    """The activation used everywhere."""
    return nn.LeakyReLU(LEAK, inplace=True)


def conv_block(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, coordinates: bool = False
) -> nn.Sequential:
    """Convolution, batch norm, leaky ReLU."""
    if coordinates:
        first: nn.Module = CoordConv(in_channels, out_channels, kernel, stride, bias=False)
    else:
        first = conv(in_channels, out_channels, kernel, stride)
    return nn.Sequential(first, batch_norm_2d(out_channels), leaky())


class ChannelAttention(nn.Module):
    """One gate per channel from the global average: 1x1 to C/16, ReLU, 1x1 back, sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 16, 1)
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            conv(channels, inner, 1, bias=True),
            nn.ReLU(inplace=True),
            conv(inner, channels, 1, bias=True),
            nn.Sigmoid(),
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 1 1"]:
        """The gates."""
        return self.layers(x)


class DampedResidual(nn.Module):
    """`0.2 x + g(x)` with a bottleneck of half the channels."""

    def __init__(self, channels: int, norm: bool = True) -> None:
        super().__init__()
        inner = channels // 2
        squeeze: list[nn.Module] = [conv(channels, inner, bias=not norm)]
        expand: list[nn.Module] = [conv(inner, channels, bias=not norm)]
        if norm:
            squeeze.append(batch_norm_2d(inner))
            expand.append(batch_norm_2d(channels))
        self.layers = nn.Sequential(*squeeze, leaky(), *expand)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Apply."""
        return 0.2 * x + self.layers(x)


class AttentiveResiduals(nn.Module):
    """`x + CA(y) y` with y = `count` damped residual blocks of x."""

    def __init__(self, count: int, channels: int, norm: bool = True) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DampedResidual(channels, norm) for _ in range(count)))
        self.attention = ChannelAttention(channels)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Apply."""
        y = self.blocks(x)
        return x + self.attention(y) * y


class ResidualHalf(nn.Module):
    """Half the size, twice the channels: two convolutions beside an average pool."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.learned = nn.Sequential(
            *conv_block(channels, channels, stride=2), conv(channels, channels), batch_norm_2d(channels)
        )

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Apply."""
        return torch.cat((self.learned(x), functional.avg_pool2d(x, 3, 2, 1)), dim=1)


class MixedPool(nn.Module):
    """Learnable mix of adaptive max and average pooling to `size` x `size`, half and half at first.

    The paper calls it GeM pooling, which it is not.
    """

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.size = size
        self.balance = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """Pool."""
        share = torch.sigmoid(self.balance)
        largest = functional.adaptive_max_pool2d(x, self.size)
        return share * largest + (1 - share) * functional.adaptive_avg_pool2d(x, self.size)


class DilatedPyramid(nn.Module):
    """ASPP: four dilated 3x3 convolutions beside each other, gated and added. Maps must exceed 8 pixels a side."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, channels // 4, 3, padding=d, dilation=d, padding_mode="reflect") for d in (1, 2, 4, 8)
        )
        for branch in self.branches:
            nn.init.kaiming_normal_(branch.weight)  # type: ignore[arg-type]
            nn.init.zeros_(branch.bias)  # type: ignore[arg-type]
        self.attention = ChannelAttention(channels)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Apply."""
        y = torch.cat([branch(x) for branch in self.branches], dim=1)
        return x + self.attention(y) * y


class Residual(nn.Module):
    """Plain residual block: two 3x3 convolutions with batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*conv_block(channels, channels), conv(channels, channels), batch_norm_2d(channels))
        self.activation = leaky()

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Apply."""
        return self.activation(x + self.layers(x))


def upsampled(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H2 W2"]:
    """Twice the size, nearest."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


@contextmanager
def fixed_statistics(module: nn.Module) -> Iterator[None]:
    """Run batch-norm layers on their running statistics, as in evaluation; dropout and the rest stay as they are.

    For training on batches of several kinds, of which none has the statistics of the others.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


@contextmanager
def untracked_statistics(module: nn.Module) -> Iterator[None]:
    """Run a module as it is (training mode: batch statistics) but leave its running statistics untouched.

    For frozen encoders, which must behave as when they are trained, and for passes over rendered images, which must not
    enter the statistics used on photos.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
