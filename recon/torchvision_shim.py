"""Make `import torchvision` work beside a torch build that its compiled part does not fit.

PyPI's torchvision is a CUDA build. Beside a CPU-only torch its operators cannot load, and the import then fails at
`torchvision::nms`. Network code (timm) needs none of these operators, so declaring their signatures is enough.
"""

import importlib
import importlib.util
import sys

import torch

_SIGNATURES = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []


def ensure_torchvision_imports() -> None:
    """Import torchvision, declaring its operators first if its compiled part does not load.

    Raises:
        ImportError: torchvision or timm is not installed, or torchvision does not import even so.
    """
    if "torchvision" in sys.modules:
        return
    missing = [name for name in ("torchvision", "timm") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{' and '.join(missing)} not installed; the paper's networks need: pip install torchvision timm"
        )
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise ImportError(f"torchvision does not fit torch {torch.__version__}: {error}") from error
        _forget_half_imported()
        _declare_operators()
        importlib.import_module("torchvision")


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]


def _declare_operators() -> None:
    """Declare once; the library object must live as long as its operators."""
    if _declared:
        return
    library = torch.library.Library("torchvision", "DEF")
    for signature in _SIGNATURES:
        library.define(signature)
    _declared.append(library)
