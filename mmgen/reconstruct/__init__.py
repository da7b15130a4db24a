"""Photos to assets.

The package can be called: `mmgen.reconstruct("anna.jpg")` is `mmgen.api.reconstruct`, whether or not the package has
been imported, which would otherwise hide the function of the same name.
"""

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        from mmgen import api

        return api.reconstruct(*args, **options)


sys.modules[__name__].__class__ = _CallablePackage
