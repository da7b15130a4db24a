"""Differentiable rendering with DIB-R semantics, on any device. Entry: `render`."""

from recon.render.api import BackendUnavailable
from recon.render.scene import Rendering, RenderSettings, render, render_projected, render_silhouette

__all__ = ["BackendUnavailable", "RenderSettings", "Rendering", "render", "render_projected", "render_silhouette"]
