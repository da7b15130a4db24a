"""Photos to assets in one forward pass of trained networks, with the photo itself on what it shows."""

from collections.abc import Sequence
from functools import cached_property

import torch

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_file
from mmgen.masks import MaskSource
from mmgen.models.weights import Weights, load_weights, read_header
from mmgen.photos.inputs import InputItem
from mmgen.reconstruct.prepare import Framing, Prepared, as_unit, prepare_people
from mmgen.reconstruct.result import Body, Reconstructed, ReconstructOptions, RunContext, finish
from recon.batching import joined, separated
from recon.camera import in_camera_frame
from recon.encoders import EncoderConfig
from recon.exposure import exposed, exposure_gain, unexposed
from recon.fitting.descent import SurfaceSmoother
from recon.fitting.refine import RefineConfig, refine_shape
from recon.structures import Attributes, Sample, TexturedMesh
from recon.texturing.bake import BakedTexture
from recon.texturing.blend import TextureBlender, textures_in_light
from recon.texturing.layout import TexelLayout

NETWORK_BATCH = 8
"""Photos that go through the networks at once; fewer are filled up, so that a result does not depend on company."""


class NetworkReconstructor:
    """Encodes photos. Heavy parts are made at the first batch; a result does not depend on its batch.

    Raises:
        FatalError: the weights file is missing, damaged, or none of ours.
    """

    def __init__(self, options: ReconstructOptions) -> None:
        assert options.weights is not None
        self.options = options
        self._path = options.weights
        self._masks = MaskSource.parse(options.masks)
        config = EncoderConfig.from_dict(read_header(self._path)["encoder"])
        self.weights_sha256 = sha256_file(self._path)
        self._framing = Framing((config.height, config.width), None, options.texture_size[0])

    @cached_property
    def weights(self) -> Weights:
        """The networks, loaded."""
        return load_weights(self._path, self.options.device)

    @cached_property
    def layout(self) -> TexelLayout:
        """Of the textures."""
        return TexelLayout(self.weights.encoder.prototype, *self.options.texture_size)

    @cached_property
    def _blender(self) -> TextureBlender:
        return TextureBlender(self.layout)

    def prepare(self, item: InputItem) -> tuple[Prepared, ...]:
        """Read the photo and its mask and cut out its people, as large in their crops as in the training photos.

        Raises:
            ItemError: what is wrong with the photo or the mask.
        """
        return prepare_people(item, self._masks, self._framing)

    @cached_property
    def _refiner(self) -> RefineConfig:
        return RefineConfig(steps=self.options.steps)

    @cached_property
    def _smoother(self) -> SurfaceSmoother:
        return SurfaceSmoother(self.weights.encoder.prototype, self._refiner.smoothing)

    def reconstruct(self, batch: list[Prepared]) -> Sequence[Reconstructed | ItemError]:
        """One asset per prepared photo, in order."""
        if not batch:
            return []
        answers, origin = self.answers(batch), RunContext(self.options, self.weights_sha256)
        with torch.no_grad():
            return [finish(item, self._body(item, one), origin) for item, one in zip(batch, answers, strict=True)]

    def answers(self, batch: Sequence[Prepared]) -> list[Attributes]:
        """What the networks say to each photo, refined as the options say."""
        return self._answers([self._sample(item) for item in batch])

    def painted(self, item: Prepared, attributes: Attributes) -> BakedTexture:
        """The texture of one answer: the photo where it shows the body, the networks' guess elsewhere."""
        crop = as_unit(item.crop).permute(2, 0, 1).to(self.options.device)
        mask = as_unit(item.mask).to(self.options.device)
        vertices = self.weights.encoder.prototype.vertices + attributes.offsets[0]
        return self._blender(textures_in_light(attributes)[0], crop, mask, vertices, in_camera_frame(attributes.camera))

    def _sample(self, item: Prepared) -> Sample:
        image = as_unit(item.small_image).permute(2, 0, 1)[None].to(self.options.device)
        return Sample(image, (as_unit(item.small_mask)[None].to(self.options.device) > 0.5).float())

    def _answers(self, samples: list[Sample]) -> list[Attributes]:
        with torch.no_grad():
            answers = [
                answer
                for start in range(0, len(samples), NETWORK_BATCH)
                for answer in self._encoded(samples[start : start + NETWORK_BATCH])
            ]
        if self.options.steps == 0:
            return answers
        prototype = self.weights.encoder.prototype
        refined = refine_shape(joined(answers), _together(samples), prototype, self._refiner, self._smoother)
        return separated(refined)

    def _encoded(self, samples: list[Sample]) -> list[Attributes]:
        """Networks always see batches of one size: in batches of other sizes their sums round differently."""
        padded = _together([*samples, *[samples[0]] * (NETWORK_BATCH - len(samples))])
        gain = exposure_gain(padded)
        return separated(unexposed(self.weights.encoder(exposed(padded, gain)), gain))[: len(samples)]

    def _body(self, item: Prepared, attributes: Attributes) -> Body:
        prototype, baked = self.weights.encoder.prototype, self.painted(item, attributes)
        vertices = prototype.vertices + attributes.offsets
        mesh = TexturedMesh(vertices, prototype.faces, prototype.face_uv, baked.texture[None])
        camera = in_camera_frame(attributes.camera)
        return Body(mesh, camera, baked.seen_fraction, baked.vertex_seen, self.offsets_source, light_of(attributes))

    @property
    def offsets_source(self) -> str:
        """Where shapes come from, in words."""
        refined = f", then refined on the silhouette in {self.options.steps} steps" if self.options.steps else ""
        return f"predicted by the networks{refined}"


def light_of(attributes: Attributes) -> tuple[float, ...]:
    """Spherical harmonics of one photo's light; empty where the answer has none."""
    return () if attributes.light is None else tuple(attributes.light[0].tolist())


def _together(samples: Sequence[Sample]) -> Sample:
    return Sample(torch.cat([sample.image for sample in samples]), torch.cat([sample.mask for sample in samples]))
