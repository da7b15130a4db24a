"""Which device `--device` means."""

from mmgen.core.errors import FatalError


def resolve_device(name: str) -> str:
    """`cpu` or `cuda:N` for what the user typed; `auto` takes the first GPU where there is one.

    Raises:
        FatalError: `device_missing`: the GPU that was asked for is not there.
    """
    if name == "cpu":
        return name
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
