"""The whole encoder: photo and mask to camera, offsets, texture, light and background."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.alignment import (
    CAMERA_STEPS,
    View,
    image_points,
    mean_camera,
    moved,
    published_points,
    view_of,
)
from recon.encoders.blocks import untracked_statistics
from recon.encoders.camera import CameraEncoder, CameraPrediction
from recon.encoders.config import EncoderConfig, InputBackground
from recon.encoders.light import BackgroundEncoder, LightEncoder
from recon.encoders.modal_shape import ModalShapeEncoder, ShapeAnswer
from recon.encoders.shape import ShapeEncoder
from recon.encoders.texture import TextureEncoder
from recon.encoders.trunks import HrnetTrunk, ResnetTrunk, load_trunk
from recon.structures import Attributes, Camera, Sample
from recon.template import Template
from recon.texturing.fields import (
    TextureFields,
    assemble_halves,
    enlarged,
    paint_texture,
    sample_flow_published,
)
from recon.texturing.fill import push_pull
from recon.texturing.texels import TexelInterpolator

CHANNEL_MEAN = (0.485, 0.456, 0.406, 0.5)
CHANNEL_STD = (0.229, 0.224, 0.225, 1.0)


def over_white(image: Float[Tensor, "B 3 H W"], mask: Float[Tensor, "B H W"]) -> Float[Tensor, "B 3 H W"]:
    """The person on white."""
    return image * mask[:, None] + (1 - mask[:, None])


def network_input(sample: Sample, background: InputBackground) -> Float[Tensor, "B 4 H W"]:
    """RGB and mask, normalised per channel as for ImageNet; the mask becomes -0.5 or 0.5.

    Args:
        background: outside the mask, "real" keeps the photo, "white" paints it white, "grey" the channel mean (zero
            after normalisation).
    """
    image = over_white(sample.image, sample.mask) if background == "white" else sample.image
    stacked = torch.cat((image, sample.mask[:, None]), dim=1)
    normalised = (stacked - stacked.new_tensor(CHANNEL_MEAN)[:, None, None]) / stacked.new_tensor(CHANNEL_STD)[
        :, None, None
    ]
    if background == "grey":
        normalised = torch.cat((normalised[:, :3] * sample.mask[:, None], normalised[:, 3:]), dim=1)
    return normalised


GROUPS = ("camera", "shape", "texture", "light", "background")
ALL_GROUPS = frozenset(GROUPS)
FIELD_STEP = 4
"""Texture pixels per texel of the coarse fields."""


class AttributeEncoder(nn.Module):
    """Independent encoders of the causes of a photo (paper section 3), one submodule per group.

    The prototype's vertices are a buffer, hence part of the state: weights without their prototype would be useless.
    """

    def __init__(self, config: EncoderConfig, template: Template) -> None:
        super().__init__()
        self.config = config
        self._template = template
        self.prototype_vertices: Tensor
        self.register_buffer("prototype_vertices", template.vertices.detach().clone())
        self.camera = CameraEncoder(config)
        shape = ModalShapeEncoder if config.shape_space == "modes" else ShapeEncoder
        self.shape: ShapeEncoder | ModalShapeEncoder = shape(config, len(template.vertices))
        self.texture = TextureEncoder(config)
        self.light = LightEncoder(config)
        self.background = BackgroundEncoder(config) if config.background else None
        height, width = config.texture_size
        self.texels = TexelInterpolator(template, height // FIELD_STEP, width // FIELD_STEP)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def prototype(self) -> Template:
        """The current template."""
        vertices = self.prototype_vertices
        if self._template.faces.device != vertices.device:
            self._template = self._template.to(vertices.device)
        return self._template.with_vertices(vertices)

    def set_prototype(self, vertices: Float[Tensor, "V 3"]) -> None:
        """Move the prototype; its topology stays."""
        self.prototype_vertices.copy_(vertices.detach())

    def forward(
        self, sample: Sample, trainable: frozenset[str] = ALL_GROUPS, camera: Camera | None = None
    ) -> Attributes:
        """Same as `encode_groups`; here so that wrappers of modules (data-parallel ones) can call it."""
        return self.encode_groups(sample, trainable, camera)

    def encode_groups(
        self, sample: Sample, trainable: frozenset[str] = ALL_GROUPS, camera: Camera | None = None
    ) -> Attributes:
        """Encode photos; only the `trainable` groups receive gradients (the paper's encoder loop).

        Frozen groups run as they do when trained (batch statistics in training mode) but without gradient and without
        touching their running statistics.

        Args:
            trainable: names out of `GROUPS`.

        Raises:
            ValueError: photos of another size, or unknown groups.
        """
        self._check(sample, trainable)
        inputs = self._inputs(sample)
        if camera is None:
            with self._as_trainable("camera", trainable):
                camera = self.camera(inputs, self.prototype_vertices).camera
        with self._as_trainable("shape", trainable):
            shape = self._shape(inputs, camera)
        offsets = shape.offsets
        if self.config.corrects_camera:
            # Pictures teach the camera encoder; what corrects its answers learns from known cameras alone.
            camera = moved(camera, shape.camera_steps.detach())
        with self._as_trainable("texture", trainable):
            fields = self._fields(inputs, self.prototype_vertices + offsets.detach(), camera)
            texture = self._paint(fields, sample)
        with self._as_trainable("light", trainable):
            light = self.light(inputs)
        background = None
        if self.background is not None:
            with self._as_trainable("background", trainable):
                background = self.background(sample)
        return Attributes(camera, offsets, texture, light, background)

    def shape_answers(self, sample: Sample, camera: Camera) -> list[ShapeAnswer]:
        """Shapes alone, under given cameras, after every look of the shape encoder at the photos."""
        self._check(sample, ALL_GROUPS)
        inputs = self._inputs(sample)
        if isinstance(self.shape, ModalShapeEncoder):
            return self.shape.answers(inputs, self.prototype_vertices, camera)
        return [self._shape(inputs, camera)]

    def predict_camera(self, sample: Sample) -> CameraPrediction:
        """Cameras alone, with the features that they were predicted from."""
        self._check(sample, ALL_GROUPS)
        return self.camera(self._inputs(sample), self.prototype_vertices)

    def load_pretrained_trunk(self, group: str, weights: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights in timm's naming into the "shape" (HRNet) or "texture" (ResNet-34) trunk.

        Raises:
            ValueError: the group has no such trunk, or the weights belong to another network.
        """
        trunk: object = None
        if group in ("shape", "texture"):
            trunk = self.shape.trunk if group == "shape" else getattr(self.texture.net, "trunk", None)
        if not isinstance(trunk, HrnetTrunk | ResnetTrunk):
            raise ValueError(f"{group} has no trunk for pretrained weights; trunks 'paper' have, in shape and texture")
        load_trunk(trunk, weights)

    def _check(self, sample: Sample, trainable: frozenset[str]) -> None:
        config = self.config
        if tuple(sample.image.shape[2:]) != (config.height, config.width):
            raise ValueError(
                f"photos are {sample.image.shape[3]}x{sample.image.shape[2]} pixels, the encoder was built for "
                f"{config.width}x{config.height}"
            )
        unknown = sorted(trainable - ALL_GROUPS)
        if unknown:
            raise ValueError(f"unknown encoder groups: {', '.join(unknown)}; there are {', '.join(GROUPS)}")

    def _inputs(self, sample: Sample) -> Tensor:
        return network_input(sample, self.config.input_background).contiguous(memory_format=torch.channels_last)

    @contextmanager
    def _as_trainable(self, group: str, trainable: frozenset[str]) -> Iterator[None]:
        with ExitStack() as stack:
            if group not in trainable:
                stack.enter_context(torch.no_grad())
                stack.enter_context(untracked_statistics(getattr(self, group)))
            yield

    def _see(self, vertices: Tensor, camera: Camera) -> View | Tensor:
        """How predicted cameras see vertices; or the prototype's shared places in every image."""
        config, prototype = self.config, self.prototype_vertices
        if config.is_published:
            return published_points(prototype)
        size = (config.height, config.width)
        if config.alignment == "mean_camera":
            return image_points(prototype[None], mean_camera(config.ranges, prototype), *size)
        vertices = vertices.expand(len(camera), -1, -1)
        return view_of(vertices, self.prototype.faces, camera, config.ranges, size)

    def _shape(self, inputs: Tensor, camera: Camera) -> ShapeAnswer:
        prototype = self.prototype
        if isinstance(self.shape, ModalShapeEncoder):
            return self.shape(inputs, prototype.vertices, camera)
        seen = self._see(prototype.vertices[None], camera)
        offsets = self.shape(inputs, prototype.vertices, prototype.topology, seen)
        return ShapeAnswer(offsets, offsets.new_zeros(len(offsets), CAMERA_STEPS))

    def _fields(self, inputs: Tensor, vertices: Tensor, camera: Camera) -> TextureFields:
        seen = self._see(vertices, camera)
        if not isinstance(seen, View):
            return self.texture(inputs, self.texels(seen).clamp(-1, 1))
        guides = self.texels(torch.cat((seen.points, seen.facing, vertices), dim=2))
        return self.texture(inputs, guides[:, :2].clamp(-1, 1), guides)

    def _paint(self, fields: TextureFields, sample: Sample) -> Tensor:
        if self.config.is_published:
            is_real = self.config.input_background == "real"
            photo = sample.image if is_real else over_white(sample.image, sample.mask)
            flow = enlarged(fields.flow, self.config.height, self.config.width)
            return assemble_halves(sample_flow_published(photo, flow).flip(2))
        return self._whole(fields, push_pull(sample.image, sample.mask), *self.config.texture_size)

    def _whole(self, fields: TextureFields, photo: Tensor, height: int, width: int) -> Tensor:
        if self.config.back == "independent":
            return paint_texture(fields, photo, height, width)
        return assemble_halves(paint_texture(fields, photo, height // 2, width))


def parameter_counts(encoder: AttributeEncoder) -> dict[str, int]:
    """Parameters per group."""
    return {
        name: sum(p.numel() for p in module.parameters())
        for name in GROUPS
        if (module := getattr(encoder, name)) is not None
    }
