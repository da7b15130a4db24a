"""Which device `--device` means."""

import os
import sys

from mmgen.core.errors import FatalError


def resolve_device(name: str) -> str:
    """`cpu` or `cuda:N` for what the user typed; `auto` takes the first GPU where there is one.

    Raises:
        FatalError: `device_missing`: the GPU that was asked for is not there.
    """
    if name == "cpu" or (name == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda:0" if count else "cpu"
    index = int(name.partition(":")[2] or 0)
    if index >= count:
        raise FatalError(
            "device_missing",
            f"device {name} is not there: torch {torch.__version__} sees {count} CUDA devices",
            "Use --device cpu, or see `mmgen doctor` for what is missing.",
        )
    return f"cuda:{index}"


def _may_have_gpu() -> bool:
    """Whether it is worth loading torch, which takes seconds, to look: on Linux, drivers have left their devices."""
    if not sys.platform.startswith("linux"):
        return True
    devices = os.listdir("/dev") if os.path.isdir("/dev") else []
    return any(name.startswith(("nvidia", "nvhost", "nvmap")) or name in ("dxg", "kfd") for name in devices)
