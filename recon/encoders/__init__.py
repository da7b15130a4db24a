"""Networks from photos to attributes: two sizes from one code base."""

from recon.encoders.blocks import fixed_statistics, untracked_statistics
from recon.encoders.camera import CameraPrediction
from recon.encoders.config import (
    CAMERA_RANGES,
    ENCODER_PRESETS,
    CameraRanges,
    EncoderConfig,
    aligned_config,
    paper_config,
    published_config,
    small_config,
    smr_config,
)
from recon.encoders.model import ALL_GROUPS, GROUPS, AttributeEncoder, parameter_counts

__all__ = [
    "ALL_GROUPS",
    "CAMERA_RANGES",
    "ENCODER_PRESETS",
    "GROUPS",
    "AttributeEncoder",
    "CameraPrediction",
    "CameraRanges",
    "EncoderConfig",
    "aligned_config",
    "fixed_statistics",
    "paper_config",
    "parameter_counts",
    "published_config",
    "small_config",
    "smr_config",
    "untracked_statistics",
]
