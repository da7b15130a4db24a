"""Backbones by name: normalised photos to one pooled vector each."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reid.errors import ReidError
from reid.models.zoo_imports import load_module

TORCHREID = {
    "resnet50-ibn": ("torchreid.reid.models.resnet_ibn_a", "resnet50_ibn_a"),
    "osnet-x1.0": ("torchreid.reid.models.osnet", "osnet_x1_0"),
    "osnet-x0.5": ("torchreid.reid.models.osnet", "osnet_x0_5"),
    "osnet-x0.25": ("torchreid.reid.models.osnet", "osnet_x0_25"),
    "osnet-ain-x0.25": ("torchreid.reid.models.osnet_ain", "osnet_ain_x0_25"),
}
"""Our name to torchreid's module and function; networks with a `featuremaps` method."""

UNUSED_PARTS = ("classifier", "fc", "avgpool", "global_avgpool")
"""Of torchreid's networks, behind the feature map."""

TIMM = {"hrnet-w18": "hrnet_w18"}
TIMM_PREFIX = "timm:"
"""`timm:NAME` is any network of timm."""


class Backbone(nn.Module):
    """A network up to its last feature map, averaged over the image or over horizontal stripes of it.

    Args:
        network: gives maps [N, C, H, W] through `features_of`, or pooled vectors [N, C].
        features_of: name of its method.
        stripes: number of parts; their means stand one after the other (Sun et al. 2018).
    """

    def __init__(self, network: nn.Module, features_of: str, stripes: int) -> None:
        super().__init__()
        self.network = network
        self._features_of = features_of
        self._stripes = stripes

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] to [N, C * stripes]."""
        maps: Tensor = getattr(self.network, self._features_of)(images)
        if maps.dim() == 2:
            return maps
        return functional.adaptive_avg_pool2d(maps, (self._stripes, 1)).flatten(1)


def make_backbone(name: str, size: tuple[int, int], last_stride: int = 2, stripes: int = 1) -> Backbone:
    """Build a backbone with random weights.

    Args:
        name: of `TORCHREID` or `TIMM`, or `timm:NAME`.
        size: height and width of the photos, pixels.
        last_stride: 1 keeps the last stage of a ResNet at twice the resolution (Luo et al. 2019).
        stripes: horizontal parts that are averaged on their own.

    Raises:
        ReidError: `model_unknown`, `zoo_missing`, `stride_fixed`, `stripes_unfit` where a network has no feature map.
    """
    if name in TORCHREID:
        module, function = TORCHREID[name]
        network = getattr(load_module(module), function)(num_classes=1, pretrained=False)
        for unused in UNUSED_PARTS:
            if hasattr(network, unused):
                setattr(network, unused, None)
        backbone = Backbone(network, "featuremaps", stripes)
    elif name in TIMM or name.startswith(TIMM_PREFIX):
        network = _timm_network(TIMM.get(name, name.removeprefix(TIMM_PREFIX)), size)
        backbone = Backbone(network, "forward_features" if stripes > 1 else "forward", stripes)
    else:
        known = ", ".join((*TORCHREID, *TIMM))
        raise ReidError("model_unknown", f"there is no model {name!r}", f"There are {known}, and timm:NAME.")
    if last_stride == 1:
        _keep_resolution(network, name)
    if stripes > 1:
        _check_maps(backbone, size, name)
    return backbone


def _check_maps(backbone: Backbone, size: tuple[int, int], name: str) -> None:
    with torch.inference_mode():
        shape = getattr(backbone.network.eval(), backbone._features_of)(torch.zeros(1, 3, *size)).shape
    backbone.network.train()
    if len(shape) != 4:
        raise ReidError("stripes_unfit", f"{name} has no feature map to cut into stripes", "Set model.stripes to 1.")


def feature_channels(backbone: nn.Module, size: tuple[int, int]) -> int:
    """Length of a backbone's vectors, found by trying it; leaves its state as it was."""
    was_training = backbone.training
    backbone.eval()
    with torch.inference_mode():
        channels = int(backbone(torch.zeros(1, 3, *size)).shape[1])
    backbone.train(was_training)
    return channels


def _timm_network(name: str, size: tuple[int, int]) -> nn.Module:
    timm = load_module("timm")
    if not timm.is_model(name):
        raise ReidError("model_unknown", f"timm has no network {name!r}", "See timm.list_models().")
    made: Any
    try:
        made = timm.create_model(name, pretrained=False, num_classes=0, img_size=size)
    except TypeError:  # only transformers care for the size
        made = timm.create_model(name, pretrained=False, num_classes=0)
    assert isinstance(made, nn.Module)
    return made


def _keep_resolution(network: nn.Module, name: str) -> None:
    """Stride 1 in the last stage of a ResNet with bottlenecks, in place."""
    try:
        block = network.layer4[0]  # type: ignore[index, union-attr]
        block.conv2.stride = (1, 1)
        block.downsample[0].stride = (1, 1)
    except (AttributeError, TypeError, IndexError) as error:
        raise ReidError(
            "stride_fixed", f"the last stride of {name} cannot be changed", "Set model.last_stride to 2."
        ) from error
