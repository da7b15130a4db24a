"""Photos to assets in one forward pass of trained networks, with the photo itself on what it shows."""

from collections.abc import Sequence
from functools import cached_property

import torch

from mmgen.errors import ItemError
from mmgen.files import sha256_file
from mmgen.inputs import InputItem
from mmgen.masks import MaskSource
from mmgen.photo_crops import Framing, Prepared, as_unit, prepare_photo
from mmgen.reconstructed import Body, Origin, Reconstructed, ReconstructOptions, finish
from mmgen.weights import Weights, load_weights, read_header
from recon.blending import TextureBlender
from recon.camera import in_camera_frame
from recon.encoders import EncoderConfig
from recon.render.shading import spherical_harmonic_lighting
from recon.structures import Attributes, Sample, TexturedMesh


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

    def prepare(self, item: InputItem) -> Prepared:
        """Read the photo and its mask and cut out the person, as large in the crop as in the training photos.

        Raises:
            ItemError: what is wrong with the photo or the mask.
        """
        return prepare_photo(item, self._masks, self._framing)

    @torch.no_grad()
    def reconstruct(self, batch: list[Prepared]) -> Sequence[Reconstructed | ItemError]:
        """One asset per prepared photo, in order."""
        return [self._one(item) for item in batch]

    def _one(self, item: Prepared) -> Reconstructed:
        """Photos go through the networks one by one: convolutions round differently in batches of other sizes."""
        device = self.options.device
        image = as_unit(item.small_image).permute(2, 0, 1)[None].to(device)
        mask = (as_unit(item.small_mask)[None].to(device) > 0.5).float()
        sample = Sample(image, mask)
        attributes = self._weights.encoder(sample)
        return finish(item, self._body(item, attributes), Origin(self.options, self.weights_sha256))

    def _body(self, item: Prepared, attributes: Attributes) -> Body:
        prototype, device = self._weights.encoder.prototype, self.options.device
        vertices = prototype.vertices + attributes.offsets
        camera = in_camera_frame(attributes.camera)
        crop = as_unit(item.crop).permute(2, 0, 1).to(device)
        mask = as_unit(item.mask).to(device)
        baked = self._blender(painted_in_light(attributes)[0], crop, mask, vertices[0], camera)
        mesh = TexturedMesh(vertices, prototype.faces, prototype.face_uv, baked.texture[None])
        light = () if attributes.light is None else tuple(attributes.light[0].tolist())
        return Body(mesh, camera, baked.seen_fraction, "predicted by the networks", light)


def painted_in_light(attributes: Attributes) -> torch.Tensor:
    """[B, 3, Ht, Wt] painted textures as they look where the surface faces the camera, 0..1.

    The networks' light turns with the camera, so this is how every side looks from its own front.
    """
    if attributes.light is None:
        return attributes.texture
    towards_camera = attributes.light.new_tensor([0.0, 0.0, 1.0]).expand(len(attributes.light), 1, 3)
    gain = spherical_harmonic_lighting(towards_camera, attributes.light)
    return (attributes.texture * gain[..., None, None]).clamp(0, 1)
