"""The photo on a texture that networks painted: seen texels from the photo, the others as painted, without a seam.

What the photo does not show (the back of someone seen from the front, and the other way round) stays the networks' own
guess. Painted and photographed colours never agree exactly; the difference where both are known is carried over the
surface into the unseen part and fades with the distance.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn import functional

from recon.pyramid import ColourPyramid
from recon.render.shading import spherical_harmonic_lighting
from recon.structures import Attributes, Camera
from recon.template import Template
from recon.texture import enlarged
from recon.texturing import BakedTexture, PointView, SurfaceView, eroded, map_texels, outline_weight

_REACH = (0.12, 0.06, 0.20)
"""How far a colour difference reaches over the template, in x, y and z, template units."""

_DOUBT = 0.3
"""The fewer photographed vertices are near (in all less than about this many), the smaller the correction."""

_LEAST_AFFINITY = 1e-30
"""Less is nothing: processors take ten times as long over numbers that are nearly too small for a float."""

_LARGEST_CORRECTION = 0.25
_BLUR_LEVEL = 2
"""Colours are compared after a blur of about 2**level pixels: details of photo and guess need not agree."""


class TextureBlender:
    """Puts photos onto painted textures; what it needs to know of a template is worked out once.

    Args:
        template: faces and layout.
        height: rows of the blended texture.
        width: columns.
    """

    def __init__(self, template: Template, height: int, width: int) -> None:
        self._template = template
        self._size = (height, width)
        texels = map_texels(template, height, width)
        self._on_layout = texels.on_layout
        self._texels = texels.on_layout.flatten().nonzero()[:, 0]
        self._corners = template.faces[texels.face_index[texels.on_layout]]
        self._weights = texels.weights[texels.on_layout]
        self._nearest = _nearest_on_layout(texels.on_layout)
        self._vertex_points = _vertex_points(template)
        places = template.vertices / template.vertices.new_tensor(_REACH)
        affinity = torch.exp(-torch.cdist(places, places).square())
        self._affinity = affinity * (affinity > _LEAST_AFFINITY)

    @torch.no_grad()
    def __call__(
        self,
        painted: Float[Tensor, "3 h w"],
        image: Float[Tensor, "3 H W"],
        mask: Float[Tensor, "H W"],
        vertices: Float[Tensor, "V 3"],
        camera: Camera,
    ) -> BakedTexture:
        """The texture of one body.

        Args:
            painted: the networks' texture as it looks in the photo's light, any size.
            image: the photo's crop, 0..1, at about the texture's resolution or finer.
            mask: its mask.
            vertices: the body, world frame.
            camera: one camera (batch 1) that took the crop.
        """
        view = SurfaceView(vertices, camera, self._template, (image.shape[1], image.shape[2]))
        person = ColourPyramid(image, eroded(mask))
        painted = enlarged(painted[None], *self._size)[0]
        texels = view.at(self._over_texels)
        at_vertices = view.at(lambda values: values)
        correction = self._over_texels(self._correction(at_vertices, person, painted))
        colour = (painted.flatten(1)[:, self._texels] + correction.T).clamp(0, 1)
        shown = texels.seen.nonzero()[:, 0]
        seen = texels.seen[shown]
        colour[:, shown] = person.at(texels.points[shown]).T * seen + colour[:, shown] * (1 - seen)
        share = torch.zeros_like(painted[0])
        share.view(-1)[self._texels] = texels.seen
        texture = colour.clamp(0, 1)[:, self._nearest]
        return BakedTexture(texture, share, float(texels.seen.mean()), at_vertices.seen)

    def _over_texels(self, values: Tensor) -> Tensor:
        """[N, C] vertex values at the texels on the layout."""
        return functional.embedding_bag(self._corners, values, mode="sum", per_sample_weights=self._weights)

    def _correction(self, vertices: PointView, person: ColourPyramid, painted: Tensor) -> Tensor:
        """[V, 3] what photographed colours have more than painted ones, carried to every vertex from those nearby."""
        blurred = functional.avg_pool2d(painted[None], 2**_BLUR_LEVEL, ceil_mode=True)
        guessed = functional.grid_sample(blurred, self._vertex_points, padding_mode="border", align_corners=False)
        shown = vertices.seen.nonzero()[:, 0]
        difference = person.at(vertices.points[shown], finest=_BLUR_LEVEL) - guessed[0, :, 0, shown].T
        trust = (vertices.seen * outline_weight(vertices.facing))[shown, None]
        weighted = self._affinity.new_zeros(len(vertices.seen), 4)
        weighted[shown] = torch.cat((difference * trust, trust), dim=1)
        carried = self._affinity @ weighted
        return (carried[:, :3] / (carried[:, 3:] + _DOUBT)).clamp(-_LARGEST_CORRECTION, _LARGEST_CORRECTION)


def painted_in_light(attributes: Attributes) -> Float[Tensor, "B 3 Ht Wt"]:
    """Painted textures as they look where the surface faces the camera, 0..1.

    The encoders' light turns with the camera, so this is how every side looks from its own front.
    """
    if attributes.light is None:
        return attributes.texture
    towards_camera = attributes.light.new_tensor([0.0, 0.0, 1.0]).expand(len(attributes.light), 1, 3)
    gain = spherical_harmonic_lighting(towards_camera, attributes.light)
    return (attributes.texture * gain[..., None, None]).clamp(0, 1)


def _nearest_on_layout(on_layout: Tensor) -> Tensor:
    """[Ht, Wt] rank, row by row among the texels on the layout, of the nearest one: borders bleed outwards."""
    rows, columns = distance_transform_edt(~on_layout.cpu().numpy(), return_distances=False, return_indices=True)
    rank = torch.cumsum(on_layout.flatten(), dim=0).view(on_layout.shape) - 1
    return rank[torch.from_numpy(rows).long(), torch.from_numpy(columns).long()]


def _vertex_points(template: Template) -> Tensor:
    """[1, 1, V, 2] sampler coordinates of every vertex in the texture; on a seam those of its first face."""
    owner, first = np.unique(template.faces.flatten().cpu().numpy(), return_index=True)
    uv = template.vertices.new_zeros(len(template.vertices), 2)
    uv[torch.from_numpy(owner)] = template.face_uv.flatten(0, 1)[torch.from_numpy(first)]
    v = uv[:, 1] - uv[:, 1].floor()
    return torch.stack((2 * uv[:, 0] - 1, 1 - 2 * v), dim=1)[None, None]
