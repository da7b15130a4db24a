"""Backbones by name: normalised photos to one pooled vector each."""

import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from reid.errors import ReidError

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []


def load_module(name: str) -> ModuleType:
    """Import `timm`, or a module below `torchreid.reid`.

    Raises:
        ReidError: `zoo_missing`.
    """
    try:
        _load_torchvision()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Cython evaluation")
            return importlib.import_module(name)
    except ImportError as error:
        raise ReidError(
            "zoo_missing", f"{name} cannot be imported: {error}", 'Install the extra: pip install "mmgen[reid]".'
        ) from error


def _load_torchvision() -> None:
    if "torchvision" in sys.modules:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise ImportError(f"torchvision does not fit torch {torch.__version__}: {error}") from error
        for half in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[half]
        if not _declared:  # an operator lives as long as its library object, and may be declared once
            _declared.append(torch.library.Library("torchvision", "DEF"))
            for operator in _OPERATORS:
                _declared[0].define(operator)
        importlib.import_module("torchvision")


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
    """A network without its classifier.

    Args:
        has_maps: its `featuremaps` [N, C, H, W] are averaged over the image; otherwise it pools by itself.
    """

    def __init__(self, network: nn.Module, has_maps: bool) -> None:
        super().__init__()
        self.network = network
        self._has_maps = has_maps

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] to [N, C]."""
        if not self._has_maps:
            features: Tensor = self.network(images)
            return features
        maps: Tensor = self.network.featuremaps(images)  # type: ignore[operator]
        return maps.mean(dim=(2, 3))


def make_backbone(name: str, size: tuple[int, int], last_stride: int = 2) -> Backbone:
    """Build a backbone with random weights.

    Args:
        name: key of `TORCHREID` or `TIMM`, or `timm:NAME`.
        size: height and width of the photos, pixels.
        last_stride: 1 keeps the last stage of a ResNet at twice the resolution (Luo et al. 2019).

    Raises:
        ReidError: `model_unknown`, `zoo_missing`, `stride_fixed`.
    """
    if name in TORCHREID:
        module, function = TORCHREID[name]
        network = getattr(load_module(module), function)(num_classes=1, pretrained=False)
        for unused in UNUSED_PARTS:
            if hasattr(network, unused):
                setattr(network, unused, None)
        backbone = Backbone(network, has_maps=True)
    elif name in TIMM or name.startswith(TIMM_PREFIX):
        network = _timm_network(TIMM.get(name, name.removeprefix(TIMM_PREFIX)), size)
        backbone = Backbone(network, has_maps=False)
    else:
        known = ", ".join((*TORCHREID, *TIMM))
        raise ReidError("model_unknown", f"there is no model {name!r}", f"There are {known}, and timm:NAME.")
    if last_stride == 1:
        _keep_resolution(network, name)
    return backbone


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
    stage: Any = getattr(network, "layer4", None)
    try:
        stage[0].conv2.stride = (1, 1)
        stage[0].downsample[0].stride = (1, 1)
    except (AttributeError, TypeError, IndexError) as error:
        raise ReidError(
            "stride_fixed", f"the last stride of {name} cannot be changed", "Set model.last_stride to 2."
        ) from error
