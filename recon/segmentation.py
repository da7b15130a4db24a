"""A small network from a photo to the outline of the person in its middle, and a figure of how far to trust it.

Photos enter as blocks of 4 x 4 pixels, so that nearly all work is done at a quarter of the size and below; the answer
leaves as blocks too. A few channels at half the size then draw its edges along those of the photo. Skips are added, not
appended: few, narrow steps suit a CPU.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

BLOCK = 4
"""Side of the blocks of pixels that are one place of the finest map."""

EDGE_BLOCK = 2
"""The same for the map on which edges are drawn."""

EDGE_WIDTH = 16

DEEPEST_STEP = 32
"""Pixels per place of the coarsest map; heights and widths are multiples."""

_MIDDLE_GREY, _SPREAD = 0.5, 0.25
_TINY = 1e-6


@dataclass(frozen=True)
class MaskNetworkConfig:
    """Architecture of a `MaskNetwork`.

    Attributes:
        height: rows of the photos, a multiple of 32.
        width: columns, a multiple of 32.
        widths: channels at 1/4, 1/8, 1/16 and 1/32 of the size.
    """

    height: int = 256
    width: int = 128
    widths: tuple[int, int, int, int] = (40, 72, 104, 144)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "MaskNetworkConfig":
        """From `to_dict`, perhaps by way of JSON.

        Raises:
            ValueError: sizes that the network cannot have.
        """
        height, width, widths = int(values["height"]), int(values["width"]), [int(value) for value in values["widths"]]
        if min(height, width) <= 0 or height % DEEPEST_STEP or width % DEEPEST_STEP:
            raise ValueError(f"photos of {width} x {height} pixels; multiples of {DEEPEST_STEP} are needed")
        if len(widths) != 4 or not all(0 < channels <= 1024 for channels in widths):
            raise ValueError(f"widths {widths}; four from 1 to 1024 are needed")
        a, b, c, d = widths
        return MaskNetworkConfig(height, width, (a, b, c, d))


class MaskNetwork(nn.Module):
    """Encoder and decoder over four scales.

    Args:
        config: sizes.
        is_folded: without batch norms, their effect being in the convolutions; see `folded`.
    """

    def __init__(self, config: MaskNetworkConfig, is_folded: bool = False) -> None:
        super().__init__()
        self.config = config
        self.is_folded = is_folded
        a, b, c, d = config.widths
        self.fourth = self._block(3 * BLOCK**2, a)
        self.eighth = nn.Sequential(self._block(a, b, 2), self._block(b, b))
        self.sixteenth = nn.Sequential(self._block(b, c, 2), self._block(c, c))
        self.deepest = nn.Sequential(self._block(c, d, 2), self._block(d, d), self._block(d, d))
        self.place = nn.Parameter(torch.zeros(1, c, config.height // 16, config.width // 16))
        self.to_sixteenth = nn.Conv2d(d, c, 1)
        self.to_eighth = nn.Conv2d(c, b, 1)
        self.to_fourth = nn.Conv2d(b, a, 1)
        self.join_sixteenth = self._block(c, c)
        self.join_eighth = self._block(b, b)
        self.join_fourth = nn.Sequential(self._block(a, a), self._block(a, a))
        self.answer = nn.Conv2d(a, BLOCK**2, 1)
        self.edges = nn.Sequential(self._block(4 * EDGE_BLOCK**2, EDGE_WIDTH), self._block(EDGE_WIDTH, EDGE_WIDTH))
        self.correction = nn.Conv2d(EDGE_WIDTH, EDGE_BLOCK**2, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]
        self.judge = nn.Sequential(nn.Linear(d + a + 2, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, photos: Float[Tensor, "B 3 H W"]) -> tuple[Float[Tensor, "B H W"], Float[Tensor, " B"]]:
        """Logits of every pixel's being person, and the logit of the IoU that this outline is expected to have.

        Args:
            photos: RGB, 0..1, of the size in `config`.
        """
        photos = (photos - _MIDDLE_GREY) / _SPREAD
        blocks = functional.pixel_unshuffle(photos, BLOCK)
        fourth = self.fourth(blocks.contiguous(memory_format=torch.channels_last))
        eighth = self.eighth(fourth)
        sixteenth = self.sixteenth(eighth) + self.place
        deepest = self.deepest(sixteenth)
        y = self.join_sixteenth(sixteenth + _doubled(self.to_sixteenth(deepest)))
        y = self.join_eighth(eighth + _doubled(self.to_eighth(y)))
        y = self.join_fourth(fourth + _doubled(self.to_fourth(y)))
        rough = functional.pixel_shuffle(self.answer(y), BLOCK)
        both = functional.pixel_unshuffle(torch.cat((photos, torch.tanh(rough / 2)), dim=1), EDGE_BLOCK)
        corrected = self.correction(self.edges(both.contiguous(memory_format=torch.channels_last)))
        logits = (rough + functional.pixel_shuffle(corrected, EDGE_BLOCK))[:, 0].float()
        return logits, self._gated(logits.detach(), deepest.detach(), y.detach())

    def _gated(self, logits: Tensor, deepest: Tensor, finest: Tensor) -> Tensor:
        """From what is there (deepest map), what lies inside the outline (finest map), its sharpness and its size."""
        person = functional.avg_pool2d(torch.sigmoid(logits)[:, None], BLOCK)
        inside = (finest * person).sum(dim=(2, 3)) / (person.sum(dim=(2, 3)) + 1)
        figures = torch.stack((expected_iou(logits), person.mean(dim=(1, 2, 3))), dim=1)
        return self.judge(torch.cat((deepest.mean(dim=(2, 3)), inside, figures), dim=1))[:, 0].float()

    def _block(self, inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
        layer = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=self.is_folded)
        nn.init.kaiming_normal_(layer.weight)
        if self.is_folded:
            return nn.Sequential(layer, nn.ReLU(inplace=True))
        return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def folded(network: MaskNetwork) -> MaskNetwork:
    """The same function in evaluation mode with every batch norm inside its convolution: fewer steps, fewer numbers."""
    plain = MaskNetwork(network.config, is_folded=True).eval()
    norms = {name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    blocks = {name.rpartition(".")[0] for name in norms}
    own = dict(network.eval().named_modules())
    state = {name: value for name, value in network.state_dict().items() if name.rpartition(".")[0] not in norms}
    for name in blocks:
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


def mask_loss(logits: Float[Tensor, "B H W"], masks: Float[Tensor, "B H W"]) -> Float[Tensor, ""]:
    """Cross entropy per pixel plus 1 - soft IoU per photo that has a person.

    Args:
        logits: answers.
        masks: soft truth, 0..1.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, masks)
    chance = torch.sigmoid(logits).flatten(1)
    truth = masks.flatten(1)
    both = (chance * truth).sum(dim=1)
    union = (chance + truth).sum(dim=1) - both
    has_person = (truth.sum(dim=1) > 0).to(chance.dtype)
    return entropy + (has_person * (1 - both / union.clamp(min=_TINY))).mean()


def judge_loss(
    apply_quality_gate: Float[Tensor, " B"], logits: Float[Tensor, "B H W"], masks: Float[Tensor, "B H W"]
) -> Float[Tensor, ""]:
    """Cross entropy of the expected IoU against the one that the answer has; 0 is due where there is no person."""
    is_there = masks.flatten(1).amax(dim=1) >= 0.5
    target = torch.where(is_there, outline_iou(logits.detach(), masks), 0.0)
    return functional.binary_cross_entropy_with_logits(apply_quality_gate, target)


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
