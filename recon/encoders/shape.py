"""Shape encoder: vertex offsets from the prototype (paper section 3.1, tables 6 and 11)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recon.encoders.alignment import VIEW_CODE_SIZE, IntegratedLinear, View, sampling_matrix
from recon.encoders.blocks import MixedPool, as_head, batch_norm_1d, batch_norm_2d, leaky, linear
from recon.encoders.config import EncoderConfig
from recon.encoders.trunks import HRNET_CHANNELS, HrnetTrunk, SmallTrunk
from recon.geometry import MeshTopology

SMALL_HIDDEN = 64
PAPER_HIDDEN = 256


class VertexNorm(nn.Module):
    """Batch norm over images and vertices of [B, V, C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = batch_norm_1d(channels)

    def forward(self, x: Float[Tensor, "B V C"]) -> Float[Tensor, "B V C"]:
        """Normalise."""
        return self.norm(x.flatten(0, 1)).view_as(x)


def offset_layer(in_features: int, out_features: int, rank: int) -> nn.Module:
    """The last linear layer: a full matrix (rank 0), or two thin ones, far cheaper to run and to optimise."""
    if rank == 0:
        return as_head(nn.Linear(in_features, out_features))
    return nn.Sequential(linear(in_features, rank, bias=False), as_head(nn.Linear(rank, out_features)))


class ShapeEncoder(nn.Module):
    """Image, prototype and where its vertices lie in the image, to vertex offsets with zero mean."""

    def __init__(self, config: EncoderConfig, vertex_count: int) -> None:
        super().__init__()
        self.config = config
        self.pool = MixedPool(1)
        outputs = 3 * vertex_count
        if config.trunks == "paper":
            self.trunk: nn.Module = HrnetTrunk()
            sampled: Sequence[int] = (HRNET_CHANNELS,)
            hidden = PAPER_HIDDEN
        else:
            self.trunk = SmallTrunk(config.shape_widths, config.trunk_depth)
            sampled = config.shape_widths[1:]
            hidden = SMALL_HIDDEN
        overall = sampled[-1]
        if config.integration:
            seen = (VIEW_CODE_SIZE, 1) if config.is_aligned else (0, 0)
            self.integrated = IntegratedLinear(sampled, overall + seen[0], 3 + seen[1], hidden)
            self.per_vertex = nn.Sequential(
                VertexNorm(hidden),
                leaky(),
                nn.Dropout(config.shape_dropout),
                linear(hidden, 3),
                VertexNorm(3),  # as in the paper; without it the offset layer's input starts at an arbitrary scale
            )
            self.offsets = offset_layer(outputs, outputs, config.offset_rank)
        else:
            self.norm = batch_norm_2d(overall)
            self.offsets = offset_layer(overall, outputs, config.offset_rank)

    def forward(
        self,
        inputs: Float[Tensor, "B 4 H W"],
        prototype: Float[Tensor, "V 3"],
        topology: MeshTopology,
        seen: View | Float[Tensor, "1 V 2"],
    ) -> Float[Tensor, "B V 3"]:
        """Predict offsets, each component within `largest_offset` before the mean is removed.

        Args:
            prototype: template vertices, world frame.
            seen: how each image's camera sees the vertices, or sampler coordinates shared by all images.
        """
        maps = self._maps(inputs)
        pooled = self.pool(maps[-1])
        if self.config.integration:
            overall = pooled.flatten(1)
            if isinstance(seen, View):
                overall = torch.cat((overall, seen.code), dim=1)
            features = self._vertex_features(maps, overall, prototype, topology, seen)
            raw = self.offsets(features.flatten(1))
        else:
            raw = self.offsets(self.norm(pooled).flatten(1))
        offsets = self.config.largest_offset * torch.tanh(raw).unflatten(1, (-1, 3))
        return offsets - offsets.mean(dim=1, keepdim=True)

    def _vertex_features(
        self, maps: Sequence[Tensor], overall: Tensor, prototype: Tensor, topology: MeshTopology, seen: View | Tensor
    ) -> Tensor:
        own = prototype[None]
        if isinstance(seen, View):
            own = torch.cat((own.expand(len(overall), -1, -1), seen.facing), dim=2)
        points = seen.points if isinstance(seen, View) else seen
        matrices = [sampling_matrix(points, m.shape[2], m.shape[3], self.config.is_published) for m in maps]
        return self.per_vertex(self.integrated(maps, overall, own, matrices, topology))

    def _maps(self, inputs: Tensor) -> tuple[Tensor, ...]:
        features = self.trunk(inputs)
        return (features,) if isinstance(features, Tensor) else tuple(features[1:])
