"""Several processes that train one network; every function does nothing in a single process."""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn


def world_size() -> int:
    """Number of processes."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Number of this one, from 0."""
    return distributed.get_rank() if world_size() > 1 else 0


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their mean over the processes, in one message, in place.

    Every process must have gradients of the same parameters, or none.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if world_size() == 1 or not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= world_size()
    for gradient, piece in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(piece.view_as(gradient))


@torch.no_grad()
def share_statistics(network: nn.Module) -> None:
    """Replace batch-norm statistics by their mean over the processes, in place."""
    if world_size() == 1:
        return
    for name, value in network.named_buffers():
        if value.is_floating_point() and name.rpartition(".")[2].startswith("running_"):
            distributed.all_reduce(value)
            value /= world_size()


@torch.no_grad()
def copy_from_first(network: nn.Module) -> None:
    """Give every process the weights of process 0, in place."""
    if world_size() > 1:
        for value in network.state_dict().values():
            distributed.broadcast(value, 0)


def mean_over_processes(value: float) -> float:
    """Mean of a number, the same everywhere afterwards."""
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
