"""mmgen: photos of dressed people to textured 3D meshes, and larger re-identification data sets.

Importing it costs nothing: the names below come with `mmgen.api` when they are first used.
"""

from typing import TYPE_CHECKING, Any

from mmgen.core.errors import FatalError, ItemError, MmgenError
from mmgen.core.version import __version__

if TYPE_CHECKING:
    from mmgen.api import Person, Reconstructor, augment_reid, evaluate, read_reid, reconstruct

__all__ = [
    "FatalError",
    "ItemError",
    "MmgenError",
    "Person",
    "Reconstructor",
    "__version__",
    "augment_reid",
    "evaluate",
    "read_reid",
    "reconstruct",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mmgen' has no attribute {name!r}")
    from mmgen import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
