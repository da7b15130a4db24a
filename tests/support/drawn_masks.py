"""Drawn silhouettes for tests: [H, W] float masks of 0 and 1."""

import torch


def canvas(height=64, width=32):
    """NDC-like coordinates in units of half the height: x right, y up."""
    y = 1 - (2 * torch.arange(height) + 1) / height
    x = (2 * torch.arange(width) + 1 - width) / height
    return torch.meshgrid(y, x, indexing="ij")


def ellipse(half_width=0.25, half_height=0.8, centre=(0.0, 0.0), height=64, width=32):
    y, x = canvas(height, width)
    return (((x - centre[0]) / half_width) ** 2 + ((y - centre[1]) / half_height) ** 2 < 1).float()


def segment(start, end, radius, height=64, width=32):
    """A line from `start` to `end` (x, y) with round ends."""
    y, x = canvas(height, width)
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = (((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return (((x - start[0] - along * dx) ** 2 + (y - start[1] - along * dy) ** 2).sqrt() < radius).float()


def stick_figure(height=64, width=32, lean=0.0):
    """Head, body, legs apart, arms out."""
    parts = [
        segment((lean, 0.72), (lean, 0.78), 0.11, height, width),
        segment((0.0, 0.0), (lean, 0.55), 0.15, height, width),
        segment((0.05, -0.05), (0.18, -0.82), 0.08, height, width),
        segment((-0.05, -0.05), (-0.18, -0.82), 0.08, height, width),
        segment((lean, 0.5), (0.34, 0.0), 0.06, height, width),
        segment((lean, 0.5), (-0.34, 0.0), 0.06, height, width),
    ]
    return torch.stack(parts).amax(dim=0)
