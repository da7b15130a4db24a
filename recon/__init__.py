"""Reconstruction in pure PyTorch: camera, geometry, template, renderer, fitting. Knows no files and no commands."""

from recon.structures import Attributes, Camera, Sample, TexturedMesh

__all__ = ["Attributes", "Camera", "Sample", "TexturedMesh"]
