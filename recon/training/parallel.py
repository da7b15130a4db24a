"""Data-parallel training with torch.distributed; every function does nothing in a single process."""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn

from recon.prototype import OffsetSum


def world_size() -> int:
    """Number of processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if world_size() > 1 else 0


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes, in one message; in place.

    A parameter without gradient here counts as zero and gets one if any process has one.
    """
    if world_size() == 1:
        return
    chosen = [parameter for parameter in parameters if parameter.requires_grad]
    has = torch.tensor([float(parameter.grad is not None) for parameter in chosen]).to(chosen[0].device)
    distributed.all_reduce(has)
    chosen = [parameter for parameter, count in zip(chosen, has.tolist(), strict=True) if count]
    if not chosen:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in chosen]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world_size()
    for parameter, piece in zip(chosen, flat.split([p.numel() for p in chosen]), strict=True):
        # In the memory layout of the parameter, which fused optimisers take for granted.
        parameter.grad = torch.empty_like(parameter).copy_(piece.view_as(parameter))


@torch.no_grad()
def average_statistics(model: nn.Module) -> None:
    """Replace batch-norm statistics by their mean over the processes; in place."""
    if world_size() == 1:
        return
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for statistic in (module.running_mean, module.running_var):
                if statistic is not None:
                    distributed.all_reduce(statistic)
                    statistic /= world_size()


@torch.no_grad()
def copy_from_first(model: nn.Module) -> None:
    """Give every process the parameters and buffers of process 0; in place."""
    if world_size() > 1:
        for value in model.state_dict().values():
            distributed.broadcast(value, 0)


def summed(gathered: OffsetSum) -> OffsetSum:
    """Offsets gathered by all processes together."""
    if world_size() == 1:
        return gathered
    total = gathered.total.clone()
    count = torch.tensor(gathered.count, device=total.device)
    distributed.all_reduce(total)
    distributed.all_reduce(count)
    return OffsetSum(total, int(count))


def mean_over_processes(value: float) -> float:
    """Mean of a number over the processes; the same everywhere afterwards, so that all decide alike."""
    if world_size() == 1:
        return value
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    shared: Tensor = torch.tensor(value, dtype=torch.float64, device=device)
    distributed.all_reduce(shared)
    return float(shared) / world_size()


def barrier() -> None:
    """Wait for the other processes."""
    if world_size() > 1:
        distributed.barrier()
