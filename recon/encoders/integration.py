"""Integration module: image features meet template vertices (paper section 3.1, table 11).

Per vertex: the features where the vertex lies in the image, how they differ from those of its neighbours, the global
feature, and the vertex's own position. What follows is always a linear layer, and sampling is linear too, so the layer
is applied to the feature map *before* sampling: the same numbers with far less work (2048 channels at 8 places instead
of at 642 vertices).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from recon.geometry import MeshTopology


def sampling_matrix(
    points: Float[Tensor, "B V 2"], height: int, width: int, corners_aligned: bool = False
) -> Float[Tensor, "B V HW"]:
    """Bilinear sampling with zero padding as a matrix over the pixels of a map, row by row.

    Args:
        points: sampler coordinates, x right, y down.
        corners_aligned: -1 and 1 are the centres of the corner pixels (else their outer borders).
    """
    x, y = points.unbind(dim=-1)
    if corners_aligned:
        column, row = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
    else:
        column, row = ((x + 1) * width - 1) / 2, ((y + 1) * height - 1) / 2
    across = (1 - (column[..., None] - torch.arange(width, device=points.device)).abs()).clamp(min=0)
    down = (1 - (row[..., None] - torch.arange(height, device=points.device)).abs()).clamp(min=0)
    return (down[..., :, None] * across[..., None, :]).flatten(-2)


def neighbour_difference(x: Float[Tensor, "B V C"], topology: MeshTopology) -> Float[Tensor, "B V C"]:
    """Mean over the neighbours minus the vertex itself: `uniform_laplacian`, four times as fast for many channels."""
    mask = topology.neighbour_mask.to(x.dtype)
    weights = mask / mask.sum(dim=1, keepdim=True).clamp(min=1)
    by_vertex = x.transpose(0, 1).flatten(1)
    means = functional.embedding_bag(topology.neighbours, by_vertex, mode="sum", per_sample_weights=weights)
    return (means - by_vertex).unflatten(1, (x.shape[0], x.shape[2])).transpose(0, 1)


def as_rows(feature_map: Float[Tensor, "B C H W"]) -> Float[Tensor, "B HW C"]:
    """A feature map as one row per pixel; free for channels-last maps."""
    return feature_map.permute(0, 2, 3, 1).flatten(1, 2)


class IntegratedLinear(nn.Module):
    """A linear layer over the integrated features of every vertex.

    Equals `Linear(concat(local, global, neighbour difference, own))`, local and neighbour parts for each map.
    """

    def __init__(self, map_channels: Sequence[int], global_features: int, own_features: int, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
        self.sampled = nn.ModuleList(nn.Linear(c, 2 * out_features, bias=False) for c in map_channels)
        self.overall = nn.Linear(global_features, out_features)
        self.own = nn.Linear(own_features, out_features, bias=False)
        std = (2 / (2 * sum(map_channels) + global_features + own_features)) ** 0.5
        for parameter in self.parameters():
            nn.init.normal_(parameter, 0, std)
        nn.init.zeros_(self.overall.bias)

    def forward(
        self,
        maps: Sequence[Float[Tensor, "B _ _ _"]],
        overall: Float[Tensor, "B G"],
        own: Float[Tensor, "J V P"],
        matrices: Sequence[Float[Tensor, "K V _"]],
        topology: MeshTopology,
    ) -> Float[Tensor, "B V D"]:
        """Vertex features.

        Args:
            own: what is known of each vertex, such as its position, per image (J = B) or shared (J = 1).
            matrices: one sampling matrix per map, per image (K = B) or shared (K = 1).
        """
        rows = torch.cat([layer(as_rows(m)) for layer, m in zip(self.sampled, maps, strict=True)], dim=1)
        here = torch.cat(list(matrices), dim=2)
        local, neighbour = rows.split(self.out_features, dim=2)
        if len(here) == 1:
            both = torch.cat((here, neighbour_difference(here, topology)), dim=2)
            sampled = both[0] @ torch.cat((local, neighbour), dim=1)
        else:
            sampled = here @ local + neighbour_difference(here @ neighbour, topology)
        return sampled + self.own(own) + self.overall(overall)[:, None]


def vertex_moments(
    matrix: Float[Tensor, "V HW"], rows: Float[Tensor, "B HW C"], prototype: Float[Tensor, "V 3"]
) -> Float[Tensor, "B C4"]:
    """Pool the features sampled at the vertices, independently of the vertices' order.

    Maximum, mean, and the means weighted by template x and by template y (left minus right, top minus bottom).
    Means are linear, so they are taken of the sampling matrix; of the samples only the maxima are needed.

    Args:
        rows: feature map, see `as_rows`.
    """
    centred = prototype[:, :2] - prototype[:, :2].mean(dim=0)
    weights = centred / centred.abs().sum(dim=0).clamp(min=1e-12)
    mean = torch.full_like(weights[:, :1], 1 / len(weights))
    moments = (torch.cat((mean, weights), dim=1).T @ matrix) @ rows
    return torch.cat((_largest_samples(matrix, rows), moments.flatten(1)), dim=1)


def _largest_samples(matrix: Tensor, rows: Tensor) -> Tensor:
    """[B, C] maximum over the vertices of `matrix @ rows`, with a gradient that touches the winners alone."""
    with torch.no_grad():
        winners = (matrix @ rows).max(dim=1).indices  # faster than argmax
    return (matrix[winners] * rows.transpose(1, 2)).sum(dim=2)
