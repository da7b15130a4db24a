"""A whole network: backbone, embedding, batch-norm neck, classifier."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reid.models.backbones import feature_channels, make_backbone

CLASSIFIER_STD = 1e-3


@dataclass(frozen=True)
class ModelConfig:
    """What a network is made of.

    Attributes:
        name: backbone; see `reid.models.backbones`.
        height: height of photos, pixels.
        width: width of photos, pixels.
        last_stride: 1 or 2; see `make_backbone`.
        embedding: length of a linear layer after the backbone; 0 for none.
        dropout: between neck and classifier.
        free_neck: the neck learns a shift, the classifier a bias (as published); otherwise neither (Luo et al. 2019).
    """

    name: str = "resnet50-ibn"
    height: int = 256
    width: int = 128
    last_stride: int = 2
    embedding: int = 0
    dropout: float = 0.0
    free_neck: bool = False

    def __post_init__(self) -> None:
        if not (16 <= self.height <= 1024 and 16 <= self.width <= 1024):
            raise ValueError("height and width must lie in 16..1024 pixels")
        if self.last_stride not in (1, 2) or self.embedding < 0 or not 0 <= self.dropout < 1:
            raise ValueError("last_stride must be 1 or 2, embedding not negative, dropout in 0..1 (1 excluded)")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


class Output(NamedTuple):
    """What a network says about photos.

    Attributes:
        before_neck: [N, D] what metric losses compare.
        feature: [N, D] after the neck: what is searched with.
        logits: [N, classes].
    """

    before_neck: Tensor
    feature: Tensor
    logits: Tensor


class ReidNetwork(nn.Module):
    """Photos to features and class scores."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.backbone = make_backbone(config.name, config.size, config.last_stride)
        channels = feature_channels(self.backbone, config.size)
        length = config.embedding or channels
        self.embedding = nn.Linear(channels, length) if config.embedding else nn.Identity()
        self.neck = nn.BatchNorm1d(length)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(length, classes, bias=config.free_neck)
        self._start(config)

    def _start(self, config: ModelConfig) -> None:
        if isinstance(self.embedding, nn.Linear):
            nn.init.kaiming_normal_(self.embedding.weight, mode="fan_out")
            nn.init.zeros_(self.embedding.bias)
        nn.init.normal_(self.classifier.weight, std=CLASSIFIER_STD)
        if config.free_neck:
            nn.init.zeros_(self.classifier.bias)
        else:
            self.neck.bias.requires_grad_(False)

    def forward(self, images: Tensor) -> Output:
        """Normalised photos [N, 3, H, W] to all outputs."""
        before = self.embedding(self.backbone(images))
        feature = self.neck(before)
        return Output(before, feature, self.classifier(self.dropout(feature)))

    def features(self, images: Tensor) -> Tensor:
        """[N, D] to search with: the neck's output of photo and mirror image added, length 1."""
        total = sum(self.neck(self.embedding(self.backbone(view))) for view in (images, images.flip(3)))
        assert isinstance(total, Tensor)
        return nn.functional.normalize(total.float(), dim=1)

    def head_parameters(self) -> list[nn.Parameter]:
        """Parameters that start from random weights even where the backbone does not."""
        modules = (self.embedding, self.neck, self.classifier)
        return [parameter for module in modules for parameter in module.parameters()]


def count_parameters(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def make_network(config: ModelConfig, classes: int, seed: int) -> ReidNetwork:
    """A network with random weights that depend on the seed alone; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ReidNetwork(config, classes)
