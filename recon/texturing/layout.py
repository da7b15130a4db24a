"""A template's texture layout as blending needs it: values from vertices to texels and back, and over the surface."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from recon.template import Template
from recon.texturing.texels import map_texels, nearest_on_layout

_REACH = (0.12, 0.06, 0.20)
"""How far a colour difference reaches over the template, in x, y and z, template units."""

_DOUBT = 0.3
"""The fewer photographed vertices are near (in all less than about this many), the smaller the correction."""

_LEAST_AFFINITY = 1e-30
"""Less is nothing: processors take ten times as long over numbers that are nearly too small for a float."""

_LARGEST_CORRECTION = 0.25
BLUR_LEVEL = 2
"""Colours are compared after a blur of about 2**level pixels: details of two pictures need not agree."""


class TexelLayout:
    """Texels of one template and their places on it; worked out once."""

    def __init__(self, template: Template, height: int, width: int) -> None:
        texels = map_texels(template, height, width)
        self.template = template
        self.size = (height, width)
        self.texels = texels.on_layout.flatten().nonzero()[:, 0]
        """[N] places, row by row, of the texels that show some surface."""
        self._corners = template.faces[texels.face_index[texels.on_layout]]
        self._weights = texels.weights[texels.on_layout]
        self._nearest = nearest_on_layout(texels.on_layout).flatten()
        self._vertex_points = _vertex_points(template)
        places = template.vertices / template.vertices.new_tensor(_REACH)
        affinity = torch.exp(-torch.cdist(places, places).square())
        self._affinity = affinity * (affinity > _LEAST_AFFINITY)

    def over_texels(self, values: Float[Tensor, "V C"]) -> Float[Tensor, "N C"]:
        """Vertex values at the texels on the layout."""
        return functional.embedding_bag(self._corners, values, mode="sum", per_sample_weights=self._weights)

    def at_vertices(self, texture: Float[Tensor, "C Ht Wt"]) -> Float[Tensor, "V C"]:
        """Colours of a texture, blurred as `BLUR_LEVEL` says, at the vertices."""
        blurred = functional.avg_pool2d(texture[None], 2**BLUR_LEVEL, ceil_mode=True)
        read = functional.grid_sample(blurred, self._vertex_points, padding_mode="border", align_corners=False)
        return read[0, :, 0].T

    def padded(self, colours: Float[Tensor, "C N"]) -> Float[Tensor, "C Ht Wt"]:
        """A texture from its texels on the layout; all others take the colour of the nearest of these."""
        return colours.index_select(1, self._nearest).unflatten(1, self.size)  # a quarter of plain indexing's time

    def placed(self, values: Float[Tensor, " N"]) -> Float[Tensor, "Ht Wt"]:
        """A map from values at the texels on the layout; 0 elsewhere."""
        whole = values.new_zeros(self.size)
        whole.view(-1)[self.texels] = values
        return whole

    def diffused(self, difference: Float[Tensor, "V 3"], trust: Float[Tensor, " V"]) -> Float[Tensor, "V 3"]:
        """Colour differences where they are known, carried to every vertex from those nearby; they fade with distance.

        Args:
            trust: how far it is known there, 0 and more; without any nearby the result is 0.
        """
        # The affinity is symmetric: rows times it take a sixth of the time of it times columns.
        carried = torch.cat((difference.T * trust, trust[None])) @ self._affinity
        return (carried[:3] / (carried[3:] + _DOUBT)).clamp(-_LARGEST_CORRECTION, _LARGEST_CORRECTION).T


def _vertex_points(template: Template) -> Tensor:
    """[1, 1, V, 2] sampler coordinates of every vertex in the texture; on a seam those of its first face."""
    owner, first = np.unique(template.faces.flatten().cpu().numpy(), return_index=True)
    uv = template.vertices.new_zeros(len(template.vertices), 2)
    uv[torch.from_numpy(owner)] = template.face_uv.flatten(0, 1)[torch.from_numpy(first)]
    v = uv[:, 1] - uv[:, 1].floor()
    return torch.stack((2 * uv[:, 0] - 1, 1 - 2 * v), dim=1)[None, None]
