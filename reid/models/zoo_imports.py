"""Importing torchvision, timm and torchreid, whose packages do not fit every torch and every machine.

PyPI's torchvision is a CUDA build: beside a CPU-only torch its operators do not load, and it fails at
`torchvision::nms`. No network here needs them, so declaring their signatures is enough. (`recon.torchvision_shim` does
the same: the two packages stand alone and must not import each other.) torchreid warns that its Cython evaluation is
missing, which this package never uses.
"""

import importlib
import sys
import warnings
from types import ModuleType

import torch

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
