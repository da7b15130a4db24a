"""Small meshes with known properties, for tests."""

import math

import torch


def tetrahedron(dtype=torch.float64):
    """Vertices [4, 3] and outward faces [4, 3]; volume 1/6."""
    vertices = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=dtype)
    return vertices, torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def torus(around=24, across=12, radius=0.6, tube=0.25, dtype=torch.float64):
    """A closed mesh with a hole in the middle, lying in the xy plane; outward faces."""
    i, j = torch.meshgrid(torch.arange(around), torch.arange(across), indexing="ij")
    a, b = 2 * math.pi * i.flatten() / around, 2 * math.pi * j.flatten() / across
    ring = radius + tube * b.cos()
    vertices = torch.stack((ring * a.cos(), ring * a.sin(), tube * b.sin()), dim=1).to(dtype)

    def at(di, dj):
        return ((i + di) % around * across + (j + dj) % across).flatten()

    first = torch.stack((at(0, 0), at(1, 0), at(1, 1)), dim=1)
    second = torch.stack((at(0, 0), at(1, 1), at(0, 1)), dim=1)
    return vertices, torch.cat((first, second))
