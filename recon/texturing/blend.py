"""The photo on a texture that networks painted: seen texels from the photo, the others as painted, without a seam.

What the photo does not show (the back of someone seen from the front, and the other way round) stays the networks' own
guess. Painted and photographed colours never agree exactly; the difference where both are known is carried over the
surface into the unseen part and fades with the distance.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.render.scene import spherical_harmonic_lighting
from recon.structures import Attributes, Camera
from recon.texturing.bake import BakedTexture, PointView, SurfaceView, eroded, outline_weight
from recon.texturing.cloth import BodyMap, continued, single_marks
from recon.texturing.fields import enlarged
from recon.texturing.fill import ColourPyramid
from recon.texturing.layout import BLUR_LEVEL, TexelLayout


class TextureBlender:
    """Puts photos onto painted textures.

    Args:
        layout: layout of the template and the size of the blended textures.
    """

    def __init__(self, layout: TexelLayout) -> None:
        self.layout = layout
        places = layout.padded(layout.over_texels(layout.template.vertices).T)
        self._body = BodyMap.of(places, layout.placed(torch.ones_like(layout.texels, dtype=torch.float32)) > 0)

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
            vertices: the body, world frame.
            camera: one camera (batch 1) that took the crop.
        """
        layout = self.layout
        view = SurfaceView(vertices, camera, layout.template, (image.shape[1], image.shape[2]))
        person = ColourPyramid(image, eroded(mask))
        painted = enlarged(painted[None], *layout.size)[0]
        texels = view.at(layout.over_texels)
        at_vertices = view.at(lambda values: values)
        shown = texels.seen.nonzero()[:, 0]
        photo = painted.new_zeros(3, len(texels.seen))
        photo[:, shown] = person.at(texels.points[shown]).T
        whole, seen = layout.padded(photo), layout.placed(texels.seen)
        marks = single_marks(whole, seen, self._body)
        usual = 1 - layout.at_vertices(marks[None])[:, 0]
        correction = layout.over_texels(self._correction(at_vertices, person, painted, usual))
        colour = (painted.flatten(1)[:, layout.texels] + correction.T).clamp(0, 1)
        mean_colour = (photo * texels.seen + colour * (1 - texels.seen)).mean(dim=1)
        guess = continued(whole, seen, layout.padded(colour), self._body, marks)
        colour = guess.flatten(1)[:, layout.texels]
        colour = photo * texels.seen + colour * (1 - texels.seen)
        frontal = layout.placed(texels.seen * texels.facing)
        return BakedTexture(
            layout.padded(colour.clamp(0, 1)),
            seen,
            frontal,
            float(texels.seen.mean()),
            at_vertices.seen,
            mean_colour,
        )

    def _correction(self, vertices: PointView, person: ColourPyramid, painted: Tensor, usual: Tensor) -> Tensor:
        """[V, 3] what photographed colours have more than painted ones, carried to every vertex from those nearby.

        Args:
            usual: [V] 0 where a single mark tells nothing about what is around it.
        """
        shown = vertices.seen.nonzero()[:, 0]
        difference = painted.new_zeros(len(vertices.seen), 3)
        photographed = person.at(vertices.points[shown], finest=BLUR_LEVEL)
        difference[shown] = photographed - self.layout.at_vertices(painted)[shown]
        return self.layout.diffused(difference, vertices.seen * outline_weight(vertices.facing) * usual)


def textures_in_light(attributes: Attributes) -> Float[Tensor, "B 3 Ht Wt"]:
    """Painted textures as they look where the surface faces the camera, 0..1.

    The encoders' light turns with the camera, so this is how every side looks from its own front.
    """
    if attributes.light is None:
        return attributes.texture
    towards_camera = attributes.light.new_tensor([0.0, 0.0, 1.0]).expand(len(attributes.light), 1, 3)
    gain = spherical_harmonic_lighting(towards_camera, attributes.light)
    return (attributes.texture * gain[..., None, None]).clamp(0, 1)
