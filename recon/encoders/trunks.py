"""Feature trunks: small convolutional ones, the paper's camera trunk, and HRNet and ResNet-34 through timm."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.blocks import (
    AttentiveResiduals,
    ChannelAttention,
    CoordConv,
    Residual,
    ResidualHalf,
    conv_block,
    leaky,
)

STEM_STEP = 4
HRNET_CHANNELS = 2048
RESNET_CHANNELS = (64, 128, 256, 512)
CAMERA_CHANNELS = 288


def gathered_blocks(x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
    """Blocks of 4 x 4 pixels become channels, channels-last; `pixel_unshuffle` in another order and one cheap copy."""
    batch, _, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height // STEM_STEP, STEM_STEP, width // STEM_STEP, -1)
    return rows.transpose(2, 3).flatten(3).permute(0, 3, 1, 2)


class SmallTrunk(nn.Module):
    """Three scales, 1/4, 1/8 and 1/16, from a pixel-unshuffle stem: few, wide steps suit a CPU.

    Args:
        depth: residual blocks of the two coarser ones.
    """

    def __init__(self, widths: Sequence[int], depth: int = 1) -> None:
        super().__init__()
        first, second, third = widths
        self.widths = (first, second, third)
        self.fourth = nn.Sequential(
            *conv_block(4 * STEM_STEP**2, first, kernel=1, coordinates=True), *conv_block(first, first)
        )
        self.eighth = self._half(first, second, depth)
        self.sixteenth = self._half(second, third, depth)

    def forward(self, x: Float[Tensor, "B 4 H W"]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at 1/4, 1/8 and 1/16 of the input."""
        fine = self.fourth(gathered_blocks(x))
        middle = self.eighth(fine)
        return fine, middle, self.sixteenth(middle)

    def _half(self, inputs: int, outputs: int, depth: int) -> nn.Sequential:
        blocks = (Residual(outputs) for _ in range(depth))
        return nn.Sequential(*conv_block(inputs, outputs, stride=2), *blocks)


class PaperCameraTrunk(nn.Module):
    """The paper's camera trunk (table 7): 288 channels at 1/16, trained from scratch."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(
            CoordConv(4, 36, 5, 2),
            leaky(),
            ResidualHalf(36),
            AttentiveResiduals(1, 72),
            ResidualHalf(72),
            AttentiveResiduals(3, 144),
            ResidualHalf(144),
            AttentiveResiduals(3, CAMERA_CHANNELS),
        )
        self.late = AttentiveResiduals(3, CAMERA_CHANNELS)

    def forward(self, x: Float[Tensor, "B 4 H W"]) -> Float[Tensor, "B 288 h w"]:
        """Features."""
        early = self.early(x)
        return early + self.late(early)


class HrnetTrunk(nn.Module):
    """HRNet-W18-small-v2: 2048 channels at 1/32, gated per channel."""

    def __init__(self) -> None:
        super().__init__()
        self.network = _timm_model("hrnet_w18_small_v2", num_classes=0)
        self.attention = ChannelAttention(HRNET_CHANNELS)

    def forward(self, x: Float[Tensor, "B 4 H W"]) -> Float[Tensor, "B 2048 h w"]:
        """Features."""
        features = self.network.forward_features(x)
        return features * self.attention(features)


class ResnetTrunk(nn.Module):
    """ResNet-34: 64, 128, 256 and 512 channels at 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self) -> None:
        super().__init__()
        self.network = _timm_model("resnet34", features_only=True, out_indices=(1, 2, 3, 4))

    def forward(self, x: Float[Tensor, "B 4 H W"]) -> list[Tensor]:
        """Features, fine to coarse."""
        return self.network(x)


def _timm_model(name: str, **options: Any) -> Any:
    """A network of timm with random weights and a fourth input channel. timm has no types, hence Any."""
    from recon.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    import timm

    network: Any = timm.create_model(name, pretrained=False, **options)
    network.conv1 = with_mask_channel(network.conv1)
    return network


def mask_filters(filters: Float[Tensor, "D 3 k k"]) -> Float[Tensor, "D 4 k k"]:
    """First-layer filters with a fourth input channel: the mask filter is the mean of the three colour filters."""
    return torch.cat((filters, filters.mean(dim=1, keepdim=True)), dim=1)


def with_mask_channel(layer: nn.Conv2d) -> nn.Conv2d:
    """The same first convolution for RGB and mask."""
    wider = nn.Conv2d(
        4,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        layer.stride,  # type: ignore[arg-type]
        layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
    )
    with torch.no_grad():
        wider.weight.copy_(mask_filters(layer.weight))
        if wider.bias is not None and layer.bias is not None:
            wider.bias.copy_(layer.bias)
    return wider


def load_trunk(trunk: HrnetTrunk | ResnetTrunk, weights: Mapping[str, Tensor]) -> None:
    """Put pretrained timm weights (RGB input, with or without a classifier) into a trunk.

    Raises:
        ValueError: weights of another network.
    """
    adapted = {name: value for name, value in weights.items() if name.split(".")[0] not in ("fc", "classifier")}
    first = adapted.get("conv1.weight")
    if first is not None and first.shape[1] == 3:
        adapted["conv1.weight"] = mask_filters(first)
    own = trunk.network.state_dict()
    wrong = [name for name in own if name not in adapted or adapted[name].shape != own[name].shape]
    wrong += [name for name in adapted if name not in own]
    if wrong:
        shown = ", ".join(sorted(wrong)[:3])
        raise ValueError(f"these are not weights of {type(trunk).__name__}: {len(wrong)} tensors differ ({shown} ...)")
    trunk.network.load_state_dict(adapted)
