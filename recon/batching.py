"""Batches of predictions put together and taken apart."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from recon.structures import Attributes, Camera


def joined_cameras(cameras: Sequence[Camera]) -> Camera:
    """One batch out of several; focal length and offset frame are those of the first."""
    return replace(
        cameras[0],
        azimuth_deg=torch.cat([camera.azimuth_deg for camera in cameras]),
        elevation_deg=torch.cat([camera.elevation_deg for camera in cameras]),
        distance=torch.cat([camera.distance for camera in cameras]),
        offset=torch.cat([camera.offset for camera in cameras]),
    )


def joined(batches: Sequence[Attributes]) -> Attributes:
    """One batch out of several that have the same parts."""

    def over(name: str) -> Tensor | None:
        values = [getattr(batch, name) for batch in batches]
        return None if values[0] is None else torch.cat(values)

    return Attributes(
        joined_cameras([batch.camera for batch in batches]),
        torch.cat([batch.offsets for batch in batches]),
        torch.cat([batch.texture for batch in batches]),
        over("light"),
        over("background"),
    )


def separated(batch: Attributes) -> list[Attributes]:
    """Batches of one."""

    def at(values: Tensor | None, index: int) -> Tensor | None:
        return None if values is None else values[index : index + 1]

    return [
        Attributes(
            batch.camera.at(index),
            batch.offsets[index : index + 1],
            batch.texture[index : index + 1],
            at(batch.light, index),
            at(batch.background, index),
        )
        for index in range(len(batch.camera))
    ]
