"""Joining the processes that torchrun started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from mmgen.core.devices import resolve_device
from mmgen.core.errors import FatalError


@contextmanager
def joined_processes(device: str) -> Iterator[tuple[str, int]]:
    """The device of this process and its rank; below torchrun, connected with the others inside the block.

    With CUDA every process takes the GPU of its local rank; on the CPU they talk through gloo.

    Raises:
        FatalError: `device_missing`; `one_device` where several processes are told to share `cuda:N`.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield resolve_device(device), 0
        return
    local, rank = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("RANK", "0"))
    if ":" in device:
        raise FatalError("one_device", f"{count} processes cannot share {device}", "Use --device cuda, auto or cpu.")
    chosen = resolve_device(device)
    if chosen.startswith("cuda"):
        chosen = resolve_device(f"cuda:{local}")
        torch.cuda.set_device(chosen)
    distributed.init_process_group("nccl" if chosen.startswith("cuda") else "gloo")
    try:
        yield chosen, rank
    finally:
        distributed.destroy_process_group()
