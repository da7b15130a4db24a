"""Shape within known modes: how far each goes, read from the whole photo and then from where the body lies in it.

Not in the paper, whose shape encoder is `recon.encoders.shape`. It needs shapes that are known before training. The
further looks follow PyMAF (Zhang et al., "3D Human Pose and Shape Regression with Pyramidal Mesh Alignment Feedback
Loop", 2021): features under the mesh of the last answer tell how far it lies beside the person.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.alignment import (
    CAMERA_STEPS,
    VIEW_CODE_SIZE,
    as_rows,
    image_points,
    moved,
    sampling_matrix,
    view_code,
)
from recon.encoders.blocks import LEAK, as_head, batch_norm_1d, leaky, linear
from recon.encoders.config import EncoderConfig
from recon.encoders.trunks import SmallTrunk
from recon.structures import Camera

HIDDEN = 256
VIEW_HIDDEN = 128
HARMONICS = 4
"""Multiples of the azimuth that the view is told in: what a silhouette means for the body turns with the camera."""

MODE_GAIN = 0.3
"""Standard deviations of a mode per unit of output."""

POINTS = 160
"""Vertices under which a further look reads the photo."""

CAMERA_UNITS = (6.0, 2.0, 0.02, 0.01, 0.01)
"""Camera step per unit of output, about what a predicted camera is off by: see `recon.encoders.alignment.moved`."""

LARGEST_STEP = 3.0
"""Units that one look can move a camera by."""

LEAST_TOLD = 1e-2
"""Ways to be shaped that new modes hardly know are not read back from them: share of the best known one."""

POINT_SHARE = 4
"""Channels of the finest map per channel that is read under a vertex."""


@dataclass(frozen=True)
class ShapeAnswer:
    """What a look at a photo says.

    Attributes:
        offsets: [B, V, 3] with zero mean.
        camera_steps: [B, 5] from the camera that was given to the one that fits better, see
            `recon.encoders.alignment.moved`; zero where the configuration corrects no cameras.
    """

    offsets: Float[Tensor, "B V 3"]
    camera_steps: Float[Tensor, "B 5"]


class Look(nn.Module):
    """What was read to numbers; the camera scales and shifts it before it is mixed.

    Args:
        features: length of what is read.
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.read = linear(features, HIDDEN)
        self.read_norm = batch_norm_1d(HIDDEN)
        self.view = nn.Sequential(
            linear(VIEW_CODE_SIZE + 2 * (HARMONICS - 1), VIEW_HIDDEN),
            leaky(),
            as_head(nn.Linear(VIEW_HIDDEN, 2 * HIDDEN)),
        )
        self.mix = nn.Sequential(
            leaky(),
            linear(HIDDEN, HIDDEN),
            batch_norm_1d(HIDDEN),
            leaky(),
            as_head(nn.Linear(HIDDEN, outputs)),
        )

    def forward(self, features: Float[Tensor, "B F"], code: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """The numbers; the first are amounts of the modes, in units of `MODE_GAIN`."""
        scale, shift = self.view(code).chunk(2, dim=1)
        return self.mix(self.read_norm(self.read(features)) * (1 + scale) + shift)


class PointReader(nn.Module):
    """Features under points of a photo: a fine and a middle map, sampled and added."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.reduced = nn.ModuleList(linear(width, channels) for width in widths)

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]], points: Float[Tensor, "B P 2"]) -> Float[Tensor, "B F"]:
        """All points' features in a row."""
        # A linear layer and sampling commute: the map is reduced first.
        sampled = [
            sampling_matrix(points, each.shape[2], each.shape[3]) @ layer(as_rows(each))
            for layer, each in zip(self.reduced, maps, strict=True)
        ]
        return nn.functional.leaky_relu(sum(sampled[1:], sampled[0]), LEAK).flatten(1)


class ModalShapeEncoder(nn.Module):
    """Image and camera to offsets within a space of shapes, such as the principal components of registered people.

    The first look reads the last feature map as a whole, place by place: averaged over places it would not tell a
    raised left arm from a raised right one. Further looks read finer maps under the vertices of the answer so far and
    correct it, and the camera with it where the configuration says so: that an answer lies beside the person can have
    either cause, and only the photo under it tells which. The modes are constants and part of the state.
    """

    def __init__(self, config: EncoderConfig, vertex_count: int) -> None:
        super().__init__()
        self.config = config
        self.trunk = SmallTrunk(config.shape_widths, config.trunk_depth)
        places = (config.height // 16) * (config.width // 16)
        modes, further = config.offset_rank, config.shape_looks - 1
        point_count, channels = min(POINTS, vertex_count), max(config.shape_widths[0] // POINT_SHARE, 1)
        self.first = Look(config.shape_widths[-1] * places, modes)
        self.readers = nn.ModuleList(PointReader(config.shape_widths[:2], channels) for _ in range(further))
        outputs = modes + (CAMERA_STEPS if config.corrects_camera else 0)
        self.further = nn.ModuleList(Look(channels * point_count + modes, outputs) for _ in range(further))
        self.directions: Tensor
        self.lengths: Tensor
        self.looked_at: Tensor
        self.register_buffer("directions", torch.zeros(modes, 3 * vertex_count))
        self.register_buffer("lengths", torch.zeros(modes))
        spread = torch.linspace(0, vertex_count - 1, point_count).round().long()
        self.register_buffer("looked_at", spread, persistent=False)
        self.register_load_state_dict_pre_hook(_with_first_look)

    @torch.no_grad()
    def take(self, modes: Float[Tensor, "K V 3"]) -> None:
        """Use these orthogonal modes, each as long as its standard deviation.

        Raises:
            ValueError: more modes than there is room for.
        """
        if len(modes) > len(self.lengths):
            raise ValueError(f"{len(modes)} modes do not fit {len(self.lengths)}")
        lengths = modes.flatten(1).norm(dim=1)
        self.lengths.zero_()[: len(modes)] = lengths
        self.directions.zero_()[: len(modes)] = modes.flatten(1) / lengths[:, None]

    @torch.no_grad()
    def retold(self, modes: Float[Tensor, "K V 3"]) -> None:
        """Use other modes; what was said in the old ones is said in the new ones, as nearly as they can.

        Raises:
            ValueError: as from `take`.
        """
        old = self.lengths[:, None] * self.directions
        self.take(modes)
        known = self.lengths > 0
        told = torch.where(known, old @ self.directions.T / self.lengths.where(known, torch.ones(())), 0.0)
        back = torch.linalg.pinv(told, rtol=LEAST_TOLD)
        count = len(self.lengths)
        for look in self.modules():
            if isinstance(look, Look):
                weight, bias = look.mix[-1].parameters()
                weight[:count] = told.T @ weight[:count]
                bias[:count] = told.T @ bias[:count]
                if look is not self.first:
                    look.read.weight[:, -count:] = look.read.weight[:, -count:] @ back.T

    def forward(self, inputs: Float[Tensor, "B 4 H W"], prototype: Float[Tensor, "V 3"], camera: Camera) -> ShapeAnswer:
        """Predict offsets, each component within `largest_offset` before the mean is removed.

        Args:
            prototype: template vertices, world frame.
            camera: how each photo sees the body, as far as is known.
        """
        return self.answers(inputs, prototype, camera)[-1]

    def answers(
        self, inputs: Float[Tensor, "B 4 H W"], prototype: Float[Tensor, "V 3"], camera: Camera
    ) -> list[ShapeAnswer]:
        """What every look says, the best last; arguments as of `forward`."""
        fine, middle, coarse = self.trunk(inputs)
        amounts = self.first(coarse.flatten(1), self._code(camera))
        steps = amounts.new_zeros(len(amounts), CAMERA_STEPS)
        answers = [ShapeAnswer(self._offsets(amounts), steps)]
        for reader, look in zip(self.readers, self.further, strict=True):
            with torch.no_grad():
                seen = moved(camera, steps)
                body = (prototype + answers[-1].offsets)[:, self.looked_at]
                points = image_points(body, seen, self.config.height, self.config.width)
                code = self._code(seen)
            said = look(torch.cat((reader((fine, middle), points), amounts), dim=1), code)
            amounts = amounts + said[:, : amounts.shape[1]]
            if self.config.corrects_camera:
                limited = LARGEST_STEP * torch.tanh(said[:, amounts.shape[1] :] / LARGEST_STEP)
                steps = steps + limited * limited.new_tensor(CAMERA_UNITS)
            answers.append(ShapeAnswer(self._offsets(amounts), steps))
        return answers

    def _code(self, camera: Camera) -> Tensor:
        return harmonic_code(view_code(camera, self.config.ranges))

    def _offsets(self, amounts: Tensor) -> Tensor:
        raw = (MODE_GAIN * self.lengths * amounts) @ self.directions
        limit = self.config.largest_offset
        offsets = limit * torch.tanh(raw / limit).unflatten(1, (-1, 3))
        return offsets - offsets.mean(dim=1, keepdim=True)


def _with_first_look(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights from before there were further looks named the layers of the only one without `first`."""
    for layer in ("read", "read_norm", "view", "mix"):
        for name in [name for name in state if name.startswith(f"{prefix}{layer}.")]:
            state[f"{prefix}first.{name.removeprefix(prefix)}"] = state.pop(name)


def harmonic_code(code: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
    """A view code (`recon.encoders.alignment.view_code`) with further multiples of its azimuth."""
    azimuth = torch.atan2(code[:, 1], code[:, 0])
    multiples = azimuth[:, None] * torch.arange(2, HARMONICS + 1, device=code.device)
    return torch.cat((code, multiples.cos(), multiples.sin()), dim=1)
