import json

import pytest

from recon.encoders import CAMERA_RANGES, CameraRanges, EncoderConfig, published_config, small_config, smr_config
from recon.encoders.config import ENCODER_PRESETS, IMAGE_SIZES, paper_config


def test_published_ranges():
    assert CAMERA_RANGES["market"] == CameraRanges((-15.0, 15.0), (2.0, 6.0), 360.0, 1.0, 0.5)
    assert CAMERA_RANGES["atr"].distance == (2, 8)
    assert (CAMERA_RANGES["cub"].elevation_deg, CAMERA_RANGES["cub"].sampled_offset) == ((0, 30), 0.3)
    assert IMAGE_SIZES == {"market": (128, 64), "atr": (160, 96), "cub": (128, 128), "people": (128, 64)}


@pytest.mark.parametrize("name", sorted(ENCODER_PRESETS))
@pytest.mark.parametrize("data", sorted(CAMERA_RANGES))
def test_configurations_survive_json(name, data):
    config = ENCODER_PRESETS[name](data)
    assert EncoderConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_paper_dropout_follows_the_runs():
    dropouts = {name: paper_config(name).texture_dropout for name in ("market", "atr", "cub")}
    assert dropouts == {"market": 0.0, "atr": 0.2, "cub": 0.0}


def test_smr_is_published_without_integration():
    config = smr_config()
    assert (config.integration, config.conventions, config.ranges.offset_limit) == (False, "published", 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 100}, "height must be a multiple of 16 and at least 32, not 100"),
        ({"width": 16}, "width must be a multiple of 16 and at least 32, not 16"),
        ({"trunks": "paper", "height": 48}, "height must be a multiple of 32 and at least 64, not 48"),
        ({"shape_dropout": 1.0}, "shape_dropout must lie in 0..1"),
        ({"offset_rank": -1}, "offset_rank must not be negative"),
        ({"shape_looks": 0}, "shape_looks must lie in 1..8, not 0"),
        ({"trunk_depth": 9}, "trunk_depth must lie in 1..8, not 9"),
        ({"camera_widths": (0, 8, 8)}, "camera_widths must be positive, not"),
        ({"conventions": "published"}, "conventions 'published' need alignment 'mean_camera', back 'mirrored'"),
        (
            {"azimuth_head": "bins", "ranges": CameraRanges((-1.0, 1.0), (2.0, 3.0), 180.0)},
            "azimuth_head 'bins' needs azimuth_scope_deg = 360",
        ),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(".", r"\.")):
        small_config(**changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"elevation_deg": (5, 5), "distance": (2, 3)}, "elevation_deg must rise"),
        ({"elevation_deg": (0, 5), "distance": (3, 2)}, "distance must rise"),
        ({"elevation_deg": (0, 5), "distance": (-1, 2)}, "distance must be positive"),
        ({"elevation_deg": (0, 5), "distance": (1, 2), "azimuth_scope_deg": 400}, "azimuth_scope_deg must lie"),
        ({"elevation_deg": (0, 5), "distance": (1, 2), "offset_limit": -1}, "must not be negative"),
    ],
)
def test_impossible_ranges_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        CameraRanges.from_dict(values)


def test_unknown_choices_are_named():
    values = {**published_config().to_dict(), "trunks": "huge"}
    with pytest.raises(ValueError, match="trunks must be one of small, paper, not 'huge'"):
        EncoderConfig.from_dict(values)


def test_unknown_settings_are_named():
    values = {**published_config().to_dict(), "colour": 1}
    with pytest.raises(ValueError, match="unknown encoder settings: colour"):
        EncoderConfig.from_dict(values)
