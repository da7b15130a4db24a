"""An exponential average of a network's weights: a steadier copy to search with, and the teacher of unlabelled ones.

Not `torch.optim.swa_utils.AveragedModel`: its first update copies the network, its decay does not grow, and counters
would be averaged like weights; with a function of our own for each it is no shorter.
"""

import copy

import torch
from torch import nn


class WeightAverage:
    """A copy that follows a network.

    Args:
        decay: weight of the past, 0..1; smaller in the first steps, so that random weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module, step: int) -> None:
        """Move towards the network after step number `step`, from 0; batch-norm statistics are averaged, too."""
        decay = min(self._decay, (1 + step) / (10 + step))
        given = network.state_dict()
        for key, mean in self.network.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(given[key].to(mean.dtype), 1 - decay)
            else:
                mean.copy_(given[key])
