"""mmgen: photos of dressed people to textured 3D meshes, and larger re-identification data sets."""

from mmgen.core.version import __version__

__all__ = ["__version__"]
