"""Shape within known modes: how far each goes, read from the whole photo and from where the camera stands.

Not in the paper, whose shape encoder is `recon.encoders.shape`. It needs shapes that are known before training.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.alignment import VIEW_CODE_SIZE, View
from recon.encoders.blocks import as_head, batch_norm_1d, leaky, linear
from recon.encoders.config import EncoderConfig
from recon.encoders.trunks import SmallTrunk
from recon.geometry import MeshTopology

TRUNK_WIDTHS = (32, 48, 64)
HIDDEN = 256
VIEW_HIDDEN = 128
HARMONICS = 4
"""Multiples of the azimuth that the view is told in: what a silhouette means for the body turns with the camera."""

MODE_GAIN = 0.3
"""Standard deviations of a mode per unit of output."""


class ModalShapeEncoder(nn.Module):
    """Image and camera to offsets within a space of shapes, such as the principal components of registered people.

    The last feature map is read as a whole, place by place: averaged over places it would not tell a raised left arm
    from a raised right one. The camera scales and shifts what was read before it is turned into modes. The modes are
    constants and part of the state.
    """

    def __init__(self, config: EncoderConfig, vertex_count: int) -> None:
        super().__init__()
        self.largest_offset = config.largest_offset
        self.trunk = SmallTrunk(TRUNK_WIDTHS)
        places = (config.height // 16) * (config.width // 16)
        self.read = linear(TRUNK_WIDTHS[-1] * places, HIDDEN)
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
            as_head(nn.Linear(HIDDEN, config.offset_rank)),
        )
        self.directions: Tensor
        self.lengths: Tensor
        self.register_buffer("directions", torch.zeros(config.offset_rank, 3 * vertex_count))
        self.register_buffer("lengths", torch.zeros(config.offset_rank))

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

    def forward(
        self, inputs: Float[Tensor, "B 4 H W"], prototype: Float[Tensor, "V 3"], topology: MeshTopology, seen: View
    ) -> Float[Tensor, "B V 3"]:
        """Predict offsets with zero mean, each component within `largest_offset` before the mean is removed.

        Args:
            inputs: normalised RGB and mask.
            prototype: not used; the modes know the vertices.
            topology: not used.
            seen: how each image's camera sees the prototype.
        """
        features = self.trunk(inputs)[-1].flatten(1)
        scale, shift = self.view(harmonic_code(seen.code)).chunk(2, dim=1)
        amounts = self.mix(self.read_norm(self.read(features)) * (1 + scale) + shift)
        raw = (MODE_GAIN * self.lengths * amounts) @ self.directions
        offsets = self.largest_offset * torch.tanh(raw / self.largest_offset).unflatten(1, (-1, 3))
        return offsets - offsets.mean(dim=1, keepdim=True)


def harmonic_code(code: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
    """A view code (`recon.encoders.alignment.view_code`) with further multiples of its azimuth."""
    azimuth = torch.atan2(code[:, 1], code[:, 0])
    multiples = azimuth[:, None] * torch.arange(2, HARMONICS + 1, device=code.device)
    return torch.cat((code, multiples.cos(), multiples.sin()), dim=1)
