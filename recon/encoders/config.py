"""Which networks to build: camera ranges, network sizes, and where the paper and its corrections differ."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

Trunks = Literal["small", "paper"]
Conventions = Literal["corrected", "published"]
Alignment = Literal["mean_camera", "predicted_camera", "corrected_camera"]
AzimuthHead = Literal["vector", "bins"]
BackHalf = Literal["independent", "mirrored"]
TextureSource = Literal["flow", "blend"]
ShapeSpace = Literal["free", "modes"]
InputBackground = Literal["grey", "white", "real"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "trunks": ("small", "paper"),
    "conventions": ("corrected", "published"),
    "alignment": ("mean_camera", "predicted_camera", "corrected_camera"),
    "azimuth_head": ("vector", "bins"),
    "back": ("independent", "mirrored"),
    "texture_source": ("flow", "blend"),
    "shape_space": ("free", "modes"),
    "input_background": ("grey", "white", "real"),
}


@dataclass(frozen=True)
class CameraRanges:
    """What the camera encoder can say (paper section 4, table of settings).

    Attributes:
        elevation_deg: lowest and highest elevation.
        distance: nearest and farthest distance, template units.
        azimuth_scope_deg: full range of the azimuth, centred on the front.
        offset_limit: largest predicted |offset| per axis, template units; 0 switches the offset off.
        sampled_offset: largest |offset| of randomly drawn cameras, template units.
    """

    elevation_deg: tuple[float, float]
    distance: tuple[float, float]
    azimuth_scope_deg: float = 360.0
    offset_limit: float = 1.0
    sampled_offset: float = 0.5

    def __post_init__(self) -> None:
        for name in ("elevation_deg", "distance"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name} must rise from low to high, not {low} to {high}")
        if self.distance[0] <= 0:
            raise ValueError(f"distance must be positive, not {self.distance[0]}")
        if not 0 < self.azimuth_scope_deg <= 360:
            raise ValueError(f"azimuth_scope_deg must lie in 0..360, not {self.azimuth_scope_deg}")
        if self.offset_limit < 0 or self.sampled_offset < 0:
            raise ValueError("offset_limit and sampled_offset must not be negative")

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "CameraRanges":
        """From plain values, as in JSON: pairs may be lists and numbers whole."""
        pairs = {name: (float(values[name][0]), float(values[name][1])) for name in ("elevation_deg", "distance")}
        single = {name: float(value) for name, value in values.items() if name not in pairs}
        return CameraRanges(**pairs, **single)  # type: ignore[arg-type]

    @property
    def middle(self) -> tuple[float, float]:
        """Mid-range elevation in degrees and distance: what an untrained camera encoder predicts."""
        return sum(self.elevation_deg) / 2, sum(self.distance) / 2


@dataclass(frozen=True)
class EncoderConfig:
    """All that decides the architecture of an `AttributeEncoder`.

    Attributes:
        height, width: image size in pixels; multiples of 16 (small) or of 32, at least 64 (paper).
        trunks: "small" networks for two CPU cores or those of the "paper".
        conventions: "published" reproduces the paper's code where the corrections differ: template y upside down in
            both vertex samplers and corners aligned in the shape sampler, template coordinates used raw, pooling that
            depends on the order of the vertices, flow without a base grid, bicubic samples, upper half predicted,
            look-at offset in the world frame, arbitrary initial azimuth.
        alignment: where image features meet vertices and texels: under the "mean_camera" (encoders are independent, as
            in the paper), the "predicted_camera" (shape and texture see where the predicted camera puts the body), or
            the "corrected_camera" (every further look of the shape encoder at the body in its place corrects it; shapes
            in modes alone have further looks).
        azimuth_head: a (cos, sin) "vector", or 36 "bins" beside the vector.
        back: back half of the texture "independent" or "mirrored" from the front.
        texture_source: colours copied along a "flow", or a "blend" of those with directly predicted colours.
        input_background: what encoders see outside the mask: mean "grey", "white", or the "real" background.
        integration: False removes the integration module (the paper's "No IM").
        background: True adds the background encoder.
        camera_dropout, shape_dropout, texture_dropout: probabilities; camera's also serves light, texture's (halved)
            also the background.
        shape_space: "free" offsets, or combinations of `offset_rank` "modes" of known shapes, given before training
            (`ModalShapeEncoder.take`); needs alignment to the predicted or corrected camera.
        camera_widths: channels of the small camera trunk at 1/4, 1/8 and 1/16 of the size.
        shape_widths: the same for the small shape trunk.
        trunk_depth: residual blocks of both at 1/8, and again at 1/16.
        shape_looks: how often a shape in modes is read from a photo: once as a whole, then under the last answer.
        largest_offset: vertex offsets end at this per component, template units; published 0.5.
        offset_rank: inner width of the offset output layer, 0 takes the full matrix; or the number of modes.
    """

    height: int
    width: int
    ranges: CameraRanges
    trunks: Trunks = "small"
    conventions: Conventions = "corrected"
    alignment: Alignment = "mean_camera"
    azimuth_head: AzimuthHead = "vector"
    back: BackHalf = "independent"
    texture_source: TextureSource = "flow"
    input_background: InputBackground = "grey"
    integration: bool = True
    background: bool = False
    camera_dropout: float = 0.0
    shape_dropout: float = 0.0
    texture_dropout: float = 0.0
    shape_space: ShapeSpace = "free"
    camera_widths: tuple[int, int, int] = (32, 64, 128)
    shape_widths: tuple[int, int, int] = (32, 48, 64)
    trunk_depth: int = 1
    shape_looks: int = 1
    largest_offset: float = 0.5
    offset_rank: int = 128

    def __post_init__(self) -> None:
        self._check_size()
        for name in ("camera_dropout", "shape_dropout", "texture_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in 0..1, not {getattr(self, name)}")
        if self.largest_offset <= 0:
            raise ValueError(f"largest_offset must be positive, not {self.largest_offset}")
        if self.offset_rank < 0:
            raise ValueError(f"offset_rank must not be negative, not {self.offset_rank}")
        for name in ("shape_looks", "trunk_depth"):
            if not 1 <= getattr(self, name) <= 8:
                raise ValueError(f"{name} must lie in 1..8, not {getattr(self, name)}")
        for name in ("camera_widths", "shape_widths"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"{name} must be positive, not {list(getattr(self, name))}")
        if self.azimuth_head == "bins" and self.ranges.azimuth_scope_deg != 360:
            raise ValueError("azimuth_head 'bins' needs azimuth_scope_deg = 360")
        if self.shape_space == "modes" and not (self.is_aligned and self.offset_rank):
            raise ValueError("shape_space 'modes' needs alignment to the photo's camera and a positive offset_rank")
        asked = (self.alignment, self.back, self.texture_source, self.azimuth_head)
        if self.is_published and asked != ("mean_camera", "mirrored", "flow", "vector"):
            raise ValueError(
                "conventions 'published' need alignment 'mean_camera', back 'mirrored', texture_source 'flow' and "
                f"azimuth_head 'vector', not {', '.join(map(repr, asked))}"
            )

    def _check_size(self) -> None:
        multiple, least = (16, 32) if self.trunks == "small" else (32, 64)
        for name in ("height", "width"):
            size = getattr(self, name)
            if size < least or size % multiple:
                raise ValueError(f"{name} must be a multiple of {multiple} and at least {least}, not {size}")

    @property
    def is_published(self) -> bool:
        """True when the paper's code is to be reproduced."""
        return self.conventions == "published"

    @property
    def is_aligned(self) -> bool:
        """True when shape and texture see where each photo's own camera puts the body."""
        return self.alignment != "mean_camera"

    @property
    def corrects_camera(self) -> bool:
        """True when there are further looks, and they correct the camera."""
        return self.alignment == "corrected_camera" and self.shape_space == "modes" and self.shape_looks > 1

    @property
    def texture_size(self) -> tuple[int, int]:
        """Height and width of the whole texture map, pixels."""
        return 2 * self.height, self.width

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON headers."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "EncoderConfig":
        """Inverse of `to_dict`.

        Raises:
            ValueError: an unknown key, or a value out of range.
        """
        known = {field.name for field in fields(EncoderConfig)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"unknown encoder settings: {', '.join(unknown)}")
        for name, choices in _CHOICES.items():
            if values.get(name, choices[0]) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {values[name]!r}")
        widths = {
            name: tuple(int(width) for width in values.get(name, getattr(EncoderConfig, name)))
            for name in ("camera_widths", "shape_widths")
        }
        ranges = CameraRanges.from_dict(values["ranges"])
        return EncoderConfig(**{**values, **widths, "ranges": ranges})


CAMERA_RANGES: dict[str, CameraRanges] = {
    "market": CameraRanges(elevation_deg=(-15.0, 15.0), distance=(2.0, 6.0)),
    "atr": CameraRanges(elevation_deg=(-15.0, 15.0), distance=(2.0, 8.0)),
    "cub": CameraRanges(elevation_deg=(0.0, 30.0), distance=(2.0, 7.0), sampled_offset=0.3),
    "people": CameraRanges(elevation_deg=(-20.0, 20.0), distance=(1.8, 3.8), offset_limit=0.5, sampled_offset=0.1),
}
"""Paper's ranges per data set, and narrower ones for crops that the person fills."""

IMAGE_SIZES: dict[str, tuple[int, int]] = {
    "market": (128, 64),
    "atr": (160, 96),
    "cub": (128, 128),
    "people": (128, 64),
}
"""Height and width in pixels."""

PAPER_TEXTURE_DROPOUT = {"market": 0.0, "atr": 0.2, "cub": 0.0, "people": 0.0}


def small_config(data: str = "people", **changes: Any) -> EncoderConfig:
    """About two million parameters, shaped for two CPU cores.

    Args:
        data: one of `CAMERA_RANGES`.
        changes: fields of `EncoderConfig` to set otherwise.
    """
    height, width = IMAGE_SIZES[data]
    return replace(EncoderConfig(height=height, width=width, ranges=CAMERA_RANGES[data]), **changes)


def aligned_config(data: str = "people", **changes: Any) -> EncoderConfig:
    """Small networks with larger trunks, shape and texture aligned to the camera; made for training with known cameras.

    Not the paper's independent encoders: shape and texture follow the camera encoder's answer (without gradient to it),
    and further looks of the shape encoder correct it.
    """
    aligned: dict[str, Any] = {
        "alignment": "corrected_camera",
        "azimuth_head": "bins",
        "texture_source": "blend",
        "shape_space": "modes",
        "camera_widths": (48, 96, 160),
        "shape_widths": (80, 128, 192),
        "trunk_depth": 2,
        "shape_looks": 3,
        "largest_offset": 1.0,  # a raised arm
    }
    return small_config(data, **{**aligned, **changes})


def paper_config(data: str = "market", **changes: Any) -> EncoderConfig:
    """The paper's networks with the corrections; `conventions="published", back="mirrored"` undoes those."""
    height, width = IMAGE_SIZES[data]
    config = EncoderConfig(
        height=height,
        width=width,
        ranges=CAMERA_RANGES[data],
        trunks="paper",
        input_background="real",
        background=True,
        camera_dropout=0.2,
        shape_dropout=0.2,
        texture_dropout=PAPER_TEXTURE_DROPOUT[data],
        offset_rank=0,
    )
    return replace(config, **changes)


def published_config(data: str = "market", **changes: Any) -> EncoderConfig:
    """The networks exactly as published, for parity experiments."""
    return paper_config(data, **{"conventions": "published", "back": "mirrored", **changes})


def smr_config(data: str = "market", **changes: Any) -> EncoderConfig:
    """The paper's SMR baseline: its trunks, x/y offset prediction kept, no integration module.

    SMR itself predicts no offset; `ranges` with `offset_limit=0` gives that. The baseline also trains without the
    encoder loop and without the prototype loop, which is the trainer's part.
    """
    return published_config(data, **{"integration": False, **changes})


ENCODER_PRESETS = {
    "small": small_config,
    "aligned": aligned_config,
    "paper": paper_config,
    "published": published_config,
    "smr": smr_config,
}
