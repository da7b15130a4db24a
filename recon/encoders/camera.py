"""Camera encoder: azimuth, elevation, distance, offset (paper section 3.2, table 7)."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.alignment import (
    as_rows,
    image_points,
    mean_camera,
    published_points,
    sampling_matrix,
    vertex_moments,
)
from recon.encoders.blocks import (
    MixedPool,
    as_head,
    batch_norm_1d,
    leaky,
    linear,
)
from recon.encoders.config import CameraRanges, EncoderConfig
from recon.encoders.trunks import CAMERA_CHANNELS, PaperCameraTrunk, SmallTrunk
from recon.structures import Camera, OffsetFrame

AZIMUTH_BINS = 36
SMALL_HIDDEN = 128
PAPER_HIDDEN = 128
RAW_COUNT = 6


@dataclass(frozen=True)
class CameraPrediction:
    """A predicted camera and what it was read from, for losses.

    Attributes:
        azimuth_vector: [B, 2] un-normalised (cos, sin) of the azimuth.
        azimuth_logits: [B, 36] scores of azimuth bins centred on -180, -170, ... degrees, or None without bins.
    """

    camera: Camera
    azimuth_vector: Float[Tensor, "B 2"]
    azimuth_logits: Float[Tensor, "B K"] | None = None


def camera_from_raw(raw: Float[Tensor, "B 6"], ranges: CameraRanges, offset_frame: OffsetFrame = "camera") -> Camera:
    """Map six unbounded numbers to a camera (paper section 1.3).

    Args:
        raw: distance, elevation (sigmoids over their ranges), azimuth as (cos, -sin), offset x and y (tanh).
        offset_frame: how the offset is to be read.
    """
    low_elevation, high_elevation = ranges.elevation_deg
    near, far = ranges.distance
    azimuth_deg = -torch.rad2deg(torch.atan2(raw[:, 3], raw[:, 2])) * (ranges.azimuth_scope_deg / 360)
    return Camera(
        azimuth_deg=azimuth_deg,
        elevation_deg=low_elevation + torch.sigmoid(raw[:, 1]) * (high_elevation - low_elevation),
        distance=near + torch.sigmoid(raw[:, 0]) * (far - near),
        offset=torch.tanh(raw[:, 4:]) * ranges.offset_limit,
        offset_frame=offset_frame,
    )


def bin_centres_deg(like: Tensor) -> Float[Tensor, " K"]:
    """Centres of the azimuth bins, degrees."""
    return torch.arange(AZIMUTH_BINS, device=like.device, dtype=like.dtype) * (360 / AZIMUTH_BINS) - 180


def azimuth_from_bins(logits: Float[Tensor, "B K"]) -> Float[Tensor, " B"]:
    """Azimuth in degrees: circular mean of the probabilities within two bins of the smoothed peak."""
    probabilities = torch.softmax(logits, dim=1)
    smooth = 0.5 * probabilities + 0.25 * (probabilities.roll(1, 1) + probabilities.roll(-1, 1))
    steps = torch.arange(-2, 3, device=logits.device)
    near = (smooth.argmax(dim=1, keepdim=True) + steps) % AZIMUTH_BINS
    weights = probabilities.gather(1, near)
    angles = torch.deg2rad(bin_centres_deg(logits))[near]
    return torch.rad2deg(torch.atan2((weights * angles.sin()).sum(1), (weights * angles.cos()).sum(1)))


class PaperHeads(nn.Module):
    """Three independent heads, as in the paper: distance and elevation, azimuth, offset."""

    def __init__(self, features: int, dropout: float, bins: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                linear(features, PAPER_HIDDEN),
                batch_norm_1d(PAPER_HIDDEN),
                nn.Dropout(dropout),
                as_head(nn.Linear(PAPER_HIDDEN, outputs)),
            )
            for outputs in (2, 2 + bins, 2)
        )

    def cosine_bias(self) -> Tensor:
        """The bias behind the cosine of the azimuth."""
        return self.heads.get_parameter("1.3.bias")[0]

    def forward(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """Six raw numbers, then the bin scores."""
        scale, azimuth, offset = (head(features) for head in self.heads)
        return torch.cat((scale, azimuth[:, :2], offset, azimuth[:, 2:]), dim=1)


class SmallHeads(nn.Module):
    """One hidden layer for all outputs."""

    def __init__(self, features: int, dropout: float, bins: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            linear(features, SMALL_HIDDEN),
            batch_norm_1d(SMALL_HIDDEN),
            leaky(),
            nn.Dropout(dropout),
            as_head(nn.Linear(SMALL_HIDDEN, RAW_COUNT + bins)),
        )

    def cosine_bias(self) -> Tensor:
        """The bias behind the cosine of the azimuth."""
        return self.layers.get_parameter("4.bias")[2]

    def forward(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """Six raw numbers, then the bin scores."""
        return self.layers(features)


class CameraEncoder(nn.Module):
    """Image and prototype to camera.

    The heads read the feature map (pooled to 2x2 in the paper's size, flattened as a whole in the small one, which the
    finer angle needs) beside features sampled at the template's vertices, pooled independently of the vertices' order.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        bins = AZIMUTH_BINS if config.azimuth_head == "bins" else 0
        if config.trunks == "paper":
            self.trunk: nn.Module = PaperCameraTrunk()
            self.map_pool: nn.Module = MixedPool(2)
            features, channels = 4 * CAMERA_CHANNELS, CAMERA_CHANNELS
        else:
            self.trunk = SmallTrunk(config.camera_widths, config.trunk_depth)
            self.map_pool = nn.Identity()
            channels = config.camera_widths[-1]
            features = channels * (config.height // 16) * (config.width // 16)
        self.vertex_pool = MixedPool(2) if config.is_published and config.integration else None
        features += 4 * channels if config.integration else 0
        self.heads: PaperHeads | SmallHeads
        heads = PaperHeads if config.trunks == "paper" else SmallHeads
        self.heads = heads(features, config.camera_dropout, bins)
        if not config.is_published:
            self._start_at_the_front()

    def _start_at_the_front(self) -> None:
        """A non-zero cosine: the azimuth of a vector near zero is arbitrary, and its gradient explodes."""
        with torch.no_grad():
            self.heads.cosine_bias().fill_(1.0)

    def forward(self, inputs: Float[Tensor, "B 4 H W"], prototype: Float[Tensor, "V 3"]) -> CameraPrediction:
        """Predict cameras.

        Args:
            prototype: template vertices, world frame.
        """
        features = self.trunk(inputs)
        if not isinstance(features, Tensor):
            features = features[-1]
        parts = [self.map_pool(features).flatten(1)]
        if self.config.integration:
            parts.append(self._vertex_features(features, prototype))
        return self._read(self.heads(torch.cat(parts, dim=1)))

    def _vertex_features(self, features: Tensor, prototype: Tensor) -> Tensor:
        config, (height, width) = self.config, features.shape[2:]
        if self.vertex_pool is not None:
            matrix = sampling_matrix(published_points(prototype), height, width)
            local = matrix @ as_rows(features)
            return self.vertex_pool(local.transpose(1, 2)[..., None]).flatten(1)
        points = image_points(prototype[None], mean_camera(config.ranges, prototype), config.height, config.width)
        return vertex_moments(sampling_matrix(points, height, width)[0], as_rows(features), prototype)

    def _read(self, outputs: Tensor) -> CameraPrediction:
        raw, logits = outputs[:, :RAW_COUNT], outputs[:, RAW_COUNT:]
        frame: OffsetFrame = "world" if self.config.is_published else "camera"
        camera = camera_from_raw(raw, self.config.ranges, frame)
        vector = raw[:, 2:4] * raw.new_tensor([1.0, -1.0])
        if self.config.azimuth_head == "vector":
            return CameraPrediction(camera, vector)
        return CameraPrediction(replace(camera, azimuth_deg=azimuth_from_bins(logits)), vector, logits)
