"""Answers that need no learning, scored beside every model: the mean shape and a cardboard cut-out of the photo."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.camera import project
from recon.evaluation.surfaces import Surface
from recon.structures import Camera
from recon.template import Template
from recon.texturing.fill import push_pull

CARD_THICKNESS = 0.02
"""Thickness of the cut-out as a share of its height."""


def template_answer(
    template: Template,
    camera: Camera,
    image: Float[Tensor, "3 H W"],
    mask: Float[Tensor, "H W"],
    shift_ndc: tuple[float, float] = (0.0, 0.0),
) -> Surface:
    """The template without any offsets, coloured by projecting the photo through it, front and back alike.

    Args:
        mask: the person in it; colours outside are filled from the person.
        shift_ndc: where the camera's axis meets the photo, NDC; see `recon.evaluation.predictions.Answer`.
    """
    height, width = mask.shape
    ndc, _ = project(template.vertices[None].to(camera.distance), camera, height, width)
    ndc = ndc + ndc.new_tensor(shift_ndc)
    # Half a texel from the border: above it the texture lookup would wrap around to the feet.
    half_row = 1 / height
    uv = torch.stack((ndc[0, :, 0], ndc[0, :, 1].clamp(half_row - 1, 1 - half_row)), dim=1) / 2 + 0.5
    return Surface(template.vertices, template.faces, uv[template.faces], push_pull(image[None], mask[None]))


def billboard_answer(image: Float[Tensor, "3 H W"], mask: Float[Tensor, "H W"]) -> Surface:
    """The photo's person cut out of cardboard, facing the camera: +x right, +y up, one unit per image height, closed.

    Both sides show the photo. Seen from the side nothing is left but the edge.

    Raises:
        ValueError: no pixel of the mask reaches 0.5.
    """
    inside = mask >= 0.5
    if not inside.any():
        raise ValueError("a cut-out needs a mask that is not empty")
    rows = inside.any(dim=1).nonzero()
    thickness = CARD_THICKNESS * float(rows.max() - rows.min() + 1) / len(mask)
    quads, owners = _card_quads(inside)
    faces = torch.cat((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]))
    colours = image.permute(1, 2, 0)[inside][torch.cat((owners, owners))]
    return Surface(_card_vertices(inside, thickness), faces, colours[:, None].expand(-1, 3, -1))


def _card_vertices(inside: Bool[Tensor, "H W"], thickness: float) -> Tensor:
    """Pixel corners in front and behind: index = (layer * (H + 1) + row) * (W + 1) + column, layer 0 in front."""
    height, width = inside.shape
    layer, row, column = torch.meshgrid(
        *(torch.arange(count, device=inside.device) for count in (2, height + 1, width + 1)), indexing="ij"
    )
    x, y = (column - width / 2) / height, 0.5 - row / height
    return torch.stack((x, y, (0.5 - layer) * thickness), dim=-1).reshape(-1, 3)


def _card_quads(inside: Bool[Tensor, "H W"]) -> tuple[Tensor, Tensor]:
    """Corner indices of all quads, counter-clockwise from outside, and the rank of the pixel each belongs to."""
    height, width = inside.shape
    rank = torch.full((height + 2, width + 2), -1, dtype=torch.long, device=inside.device)
    rank[1:-1, 1:-1][inside] = torch.arange(int(inside.sum()), device=inside.device)
    own = rank[1:-1, 1:-1]
    # Corners as (layer, row, column) steps: front, back, and the four edges with the neighbour that would cover them.
    sides = [
        (None, [(0, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1)]),
        (None, [(1, 0, 1), (1, 1, 1), (1, 1, 0), (1, 0, 0)]),
        (rank[1:-1, :-2], [(1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 0)]),
        (rank[1:-1, 2:], [(0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 1)]),
        (rank[:-2, 1:-1], [(1, 0, 0), (0, 0, 0), (0, 0, 1), (1, 0, 1)]),
        (rank[2:, 1:-1], [(0, 1, 0), (1, 1, 0), (1, 1, 1), (0, 1, 1)]),
    ]
    quads, owners = [], []
    for neighbour, corners in sides:
        row, column = (inside if neighbour is None else inside & (neighbour < 0)).nonzero(as_tuple=True)
        index = [(layer * (height + 1) + row + down) * (width + 1) + column + right for layer, down, right in corners]
        quads.append(torch.stack(index, dim=1))
        owners.append(own[row, column])
    return torch.cat(quads), torch.cat(owners)
