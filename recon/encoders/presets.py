"""Named settings: camera ranges and image sizes per data set, and the two network sizes."""

from dataclasses import replace
from typing import Any

from recon.encoders.config import CameraRanges, EncoderConfig

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
