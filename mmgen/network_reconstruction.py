"""Photos to assets in one forward pass of trained networks, with the photo itself on what it shows."""

from collections.abc import Sequence
from functools import cached_property

import torch

from mmgen.errors import ItemError
from mmgen.files import sha256_file
from mmgen.inputs import InputItem
from mmgen.masks import MaskSource
from mmgen.photo_crops import Framing, Prepared, as_unit, prepare_people
from mmgen.reconstructed import Body, Origin, Reconstructed, ReconstructOptions, finish
from mmgen.weights import Weights, load_weights, read_header
from recon.batching import joined, separated
from recon.blending import TextureBlender, painted_in_light
from recon.camera import in_camera_frame
from recon.descent import SurfaceSmoother
from recon.encoders import EncoderConfig
from recon.exposure import exposed, exposure_gain, unexposed
from recon.refinement import RefineConfig, refine_shape
from recon.structures import Attributes, Sample, TexturedMesh

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
    def _weights(self) -> Weights:
        return load_weights(self._path, self.options.device)

    @cached_property
    def _blender(self) -> TextureBlender:
        return TextureBlender(self._weights.encoder.prototype, *self.options.texture_size)

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
        return SurfaceSmoother(self._weights.encoder.prototype, self._refiner.smoothing)

    def reconstruct(self, batch: list[Prepared]) -> Sequence[Reconstructed | ItemError]:
        """One asset per prepared photo, in order."""
        if not batch:
            return []
        answers = self._answers([self._sample(item) for item in batch])
        origin = Origin(self.options, self.weights_sha256)
        with torch.no_grad():
            return [finish(item, self._body(item, one), origin) for item, one in zip(batch, answers, strict=True)]

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
        prototype = self._weights.encoder.prototype
        refined = refine_shape(joined(answers), _together(samples), prototype, self._refiner, self._smoother)
        return separated(refined)

    def _encoded(self, samples: list[Sample]) -> list[Attributes]:
        """Networks always see batches of one size: in batches of other sizes their sums round differently."""
        padded = _together([*samples, *[samples[0]] * (NETWORK_BATCH - len(samples))])
        gain = exposure_gain(padded)
        return separated(unexposed(self._weights.encoder(exposed(padded, gain)), gain))[: len(samples)]

    def _body(self, item: Prepared, attributes: Attributes) -> Body:
        prototype, device = self._weights.encoder.prototype, self.options.device
        vertices = prototype.vertices + attributes.offsets
        camera = in_camera_frame(attributes.camera)
        crop = as_unit(item.crop).permute(2, 0, 1).to(device)
        mask = as_unit(item.mask).to(device)
        baked = self._blender(painted_in_light(attributes)[0], crop, mask, vertices[0], camera)
        mesh = TexturedMesh(vertices, prototype.faces, prototype.face_uv, baked.texture[None])
        light = () if attributes.light is None else tuple(attributes.light[0].tolist())
        return Body(mesh, camera, baked.seen_fraction, baked.vertex_seen, self._offsets_source, light)

    @property
    def _offsets_source(self) -> str:
        refined = f", then refined on the silhouette in {self.options.steps} steps" if self.options.steps else ""
        return f"predicted by the networks{refined}"


def _together(samples: Sequence[Sample]) -> Sample:
    return Sample(torch.cat([sample.image for sample in samples]), torch.cat([sample.mask for sample in samples]))
