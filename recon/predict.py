"""Cut-out photos of people to textured bodies: the one way through the networks, on tensors.

Every photo is exposed as the training photos were, encoded in batches of one fixed size, refined through the renderer
where asked, and painted onto the body that it shows. A result does not depend on what else is predicted with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera import Facing, in_camera_frame, turned_round
from recon.encoders import AttributeEncoder
from recon.fitting.descent import SurfaceSmoother
from recon.fitting.refine import RefineConfig, refine_shape
from recon.metrics import mask_iou, ssim
from recon.render import render
from recon.render.scene import minified
from recon.structures import Attributes, Camera, Sample, TensorRecord, TexturedMesh
from recon.texturing.bake import BakedTexture
from recon.texturing.blend import TextureBlender, textures_in_light
from recon.texturing.layout import TexelLayout

NETWORK_BATCH = 8
"""Photos that go through the networks at once; fewer are filled up, since sums round differently in smaller batches."""

BRIGHT_SHARE = 0.95
BRIGHTEST = 0.7
"""Grey value, 0..1, that 95 % of the person's pixels must not exceed; four of five procedural people stay below. Bright
photos drive convolutions out of the range that they were trained on."""


@dataclass(frozen=True)
class PersonCrop(TensorRecord):
    """One person cut out of a photo, twice: both crops show the same box, with square pixels.

    Attributes:
        image: [3, h, w] 0..1, of the networks' size, with its real background.
        mask: [h, w] 0 or 1, 1 = person.
        fine_image: [3, H, W] 0..1, at about the texture's resolution: where colours are taken from.
        fine_mask: [H, W] 0..1.
        facing: where the person faces, if that is known; the networks then answer under a camera that agrees.
        texture_size: (height, width) of the person's texture, texels.
    """

    image: Float[Tensor, "3 h w"]
    mask: Float[Tensor, "h w"]
    fine_image: Float[Tensor, "3 H W"]
    fine_mask: Float[Tensor, "H W"]
    facing: Facing | None = None
    texture_size: tuple[int, int] = (512, 256)


@dataclass(frozen=True)
class PhotoFit:
    """How well a body explains its photo, in the crop that the networks see.

    Attributes:
        mask_iou: overlap of the soft silhouette with the mask, 0..1.
        ssim: likeness of drawing and photo, both over white, at most 1.
    """

    mask_iou: float
    ssim: float


@dataclass(frozen=True)
class PredictedPerson:
    """One person's body.

    Attributes:
        attributes: a batch of one, as the networks said and the refinement left it.
        mesh: a batch of one, world frame, facing +z; its texture has the photo where the photo shows the body, the
            networks' guess elsewhere, and the photo's light in it.
        camera: a batch of one, offset in the camera frame; belongs to the crop.
        baked: the texture with what is known about it.
        fit: how well it explains the photo.
        is_turned: whether the networks saw the person face another way than the crop says, and were corrected.
    """

    attributes: Attributes
    mesh: TexturedMesh
    camera: Camera
    baked: BakedTexture
    fit: PhotoFit
    is_turned: bool


class Predictor:
    """Predicts people. Heavy parts are made when the first person needs them.

    Args:
        encoder: in evaluation mode.
        refine_steps: steps through the renderer after the networks' answer; 0 for none.
    """

    def __init__(self, encoder: AttributeEncoder, refine_steps: int = 0) -> None:
        self.encoder = encoder
        self._refinement = RefineConfig(steps=refine_steps)
        self._blenders: dict[tuple[int, int], TextureBlender] = {}

    def layout(self, texture_size: tuple[int, int]) -> TexelLayout:
        """Places of the texels of such a texture on the body."""
        return self._blender(texture_size).layout

    def _blender(self, texture_size: tuple[int, int]) -> TextureBlender:
        if texture_size not in self._blenders:
            self._blenders[texture_size] = TextureBlender(TexelLayout(self.encoder.prototype, *texture_size))
        return self._blenders[texture_size]

    @cached_property
    def _smoother(self) -> SurfaceSmoother:
        return SurfaceSmoother(self.encoder.prototype, self._refinement.smoothing)

    def __call__(self, people: Sequence[PersonCrop]) -> list[PredictedPerson]:
        """One body per person, in order, on the encoder's device.

        Args:
            people: their images have the networks' size, and no mask is empty.

        Raises:
            ValueError: an image has another size.
        """
        if not people:
            return []
        device = self.encoder.prototype_vertices.device
        people = [one.to(device) for one in people]
        answers, wrong = self._answers(people)
        attributes = self._refined(answers, people)
        return [
            self._painted(person, one, index in wrong)
            for index, (person, one) in enumerate(zip(people, attributes, strict=True))
        ]

    @torch.no_grad()
    def _answers(self, people: Sequence[PersonCrop]) -> tuple[list[Attributes], set[int]]:
        """Predictions for everybody, and who was turned round."""
        answers: list[Attributes] = []
        turned: set[int] = set()
        for start in range(0, len(people), NETWORK_BATCH):
            some, wrong = self._encoded(people[start : start + NETWORK_BATCH])
            answers += some
            turned |= {start + index for index in wrong}
        return answers, turned

    def _refined(self, answers: list[Attributes], people: Sequence[PersonCrop]) -> list[Attributes]:
        if self._refinement.steps == 0:
            return answers
        together = Attributes.joined(answers)
        refined = refine_shape(together, _sample(people), self.encoder.prototype, self._refinement, self._smoother)
        return refined.separated()

    def _encoded(self, people: Sequence[PersonCrop]) -> tuple[list[Attributes], list[int]]:
        sample = _sample([*people, *[people[0]] * (NETWORK_BATCH - len(people))])
        gain = exposure_gain(sample)
        seen = exposed(sample, gain)
        said = self.encoder(seen)
        answers = unexposed(said, gain).separated()
        facings = [one.facing for one in people] + [None] * (NETWORK_BATCH - len(people))
        camera, wrong = turned_round(said.camera, facings)
        if wrong:
            again = unexposed(self.encoder(seen, camera=camera), gain).separated()
            for index in wrong:
                answers[index] = again[index]
        return answers[: len(people)], wrong

    @torch.no_grad()
    def _painted(self, person: PersonCrop, attributes: Attributes, is_turned: bool) -> PredictedPerson:
        prototype, camera = self.encoder.prototype, in_camera_frame(attributes.camera)
        vertices = prototype.vertices + attributes.offsets
        painted = textures_in_light(attributes)[0]
        blend = self._blender(person.texture_size)
        baked = blend(painted, person.fine_image, person.fine_mask, vertices[0], camera)
        mesh = TexturedMesh(vertices, prototype.faces, prototype.face_uv, baked.texture[None])
        fit = photo_fit(mesh, camera, person.image, person.mask)
        return PredictedPerson(attributes, mesh, camera, baked, fit, is_turned)


@torch.no_grad()
def photo_fit(
    mesh: TexturedMesh, camera: Camera, image: Float[Tensor, "3 h w"], mask: Float[Tensor, "h w"]
) -> PhotoFit:
    """Draw one body (a batch of one) under its own camera and compare it with its photo."""
    mesh = replace(mesh, texture=minified(mesh.texture, mask.shape[0]))
    drawn = render(mesh, camera, (mask.shape[0], mask.shape[1]))
    image, mask = image[None], mask[None]
    likeness = ssim(drawn.image, image * mask[:, None] + 1 - mask[:, None])
    return PhotoFit(float(mask_iou(drawn.mask, mask)[0]), float(likeness[0]))


def exposure_gain(sample: Sample) -> Float[Tensor, " B"]:
    """By what each photo is to be multiplied, at most 1, so that its person is not too bright."""
    gains = []
    for image, mask in zip(sample.image, sample.mask, strict=True):
        person = image.mean(dim=0)[mask > 0.5]
        bright = torch.quantile(person, BRIGHT_SHARE) if len(person) else person.new_zeros(())
        gains.append(BRIGHTEST / bright.clamp(min=BRIGHTEST))
    return torch.stack(gains)


def exposed(sample: Sample, gain: Float[Tensor, " B"]) -> Sample:
    """The photos in their new exposure."""
    return replace(sample, image=sample.image * gain[:, None, None, None])


def unexposed(attributes: Attributes, gain: Float[Tensor, " B"]) -> Attributes:
    """Textures and backgrounds that networks painted from darkened photos, as bright as the photos really are."""
    back = gain[:, None, None, None]
    background = None if attributes.background is None else (attributes.background / back).clamp(0, 1)
    return replace(attributes, texture=(attributes.texture / back).clamp(0, 1), background=background)


def _sample(people: Sequence[PersonCrop]) -> Sample:
    return Sample(torch.cat([one.image[None] for one in people]), torch.cat([one.mask[None] for one in people]))
