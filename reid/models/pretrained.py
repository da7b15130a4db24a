"""Published weights into a backbone, with an account of what fitted."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reid.errors import ReidError

PREFIXES = ("module.", "network.", "backbone.", "base.")
SHOWN = 3


@dataclass(frozen=True)
class LoadReport:
    """What was taken from a weights file.

    Attributes:
        missing: tensors of the network that the file does not have, or in another shape: they stay random.
        unused: tensors of the file that the network has no place for.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{len(self.loaded)} of {len(self.loaded) + len(self.missing)} tensors loaded"
        if self.missing:
            more = ", ..." if len(self.missing) > SHOWN else ""
            text += f", {len(self.missing)} missing ({', '.join(self.missing[:SHOWN])}{more})"
        return text + (f", {len(self.unused)} unused" if self.unused else "")


def load_backbone(backbone: nn.Module, tensors: Mapping[str, Tensor], name: str) -> LoadReport:
    """Copy what fits by name and shape, in place.

    torchreid's own "pretrained" resnet50_ibn_a takes plain ResNet-50 weights and leaves its 93 instance-norm tensors
    random without a word; here the count is returned. The IBN-Net release has all of them.

    Args:
        backbone: network from `make_backbone`.
        tensors: as in the file; prefixes such as `module.` are dropped.

    Raises:
        ReidError: `weights_foreign`, if less than half of the network is in it.
    """
    network = backbone.network
    assert isinstance(network, nn.Module)
    own = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    given = {_plain(key): value for key, value in tensors.items() if isinstance(value, Tensor)}
    loaded = [key for key, value in own.items() if key in given and given[key].shape == value.shape]
    missing = [key for key in own if key not in set(loaded)]
    if len(loaded) * 2 < len(own):
        raise ReidError(
            "weights_foreign",
            f"{name} fits only {len(loaded)} of {len(own)} tensors of the backbone",
            "Give weights of this very network, in the naming of timm, torchreid or IBN-Net, or of a run of ours.",
        )
    with torch.no_grad():
        for key in loaded:
            own[key].copy_(given[key])
    unused = [key for key in given if key not in own and not key.endswith("num_batches_tracked")]
    return LoadReport(tuple(loaded), tuple(missing), tuple(unused))


def _plain(key: str) -> str:
    while key.startswith(PREFIXES):  # a run of ours has two of them: backbone.network.
        key = key.partition(".")[2]
    return key
