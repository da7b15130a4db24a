"""Batches of tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reid.data.augmentation import Augmentation, augmented
from reid.data.labels import Labels
from reid.data.order import BatchOrder, share_of_rank
from reid.data.pixels import PixelStore

FIRST_LOOK, SECOND_LOOK = 21, 22
"""Streams of randomness of the two views of a photo."""


@dataclass(frozen=True)
class Batch:
    """Photos and what they teach.

    Attributes:
        images: [N, 3, H, W] float32, augmented and normalised.
        second_look: [V, 3, H, W] the virtual ones, augmented otherwise; None unless a teacher looks at them.
        classes: [N, 2] int64.
        weights: [N, 2] float32.
        person: [N] int64, -1 for nobody.
        is_virtual: [N] bool.
    """

    images: Tensor
    second_look: Tensor | None
    classes: Tensor
    weights: Tensor
    person: Tensor
    is_virtual: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; images in channels-last memory, on which convolutions are faster."""
        last = torch.channels_last
        second = self.second_look
        return Batch(
            images=self.images.to(device, memory_format=last, non_blocking=True),
            second_look=None if second is None else second.to(device, memory_format=last, non_blocking=True),
            classes=self.classes.to(device),
            weights=self.weights.to(device),
            person=self.person.to(device),
            is_virtual=self.is_virtual.to(device),
        )


@dataclass(frozen=True)
class BatchMaker:
    """Makes batch number n, the same one every time.

    Attributes:
        processes: how many share a batch.
        per_identity: photos per identity in a batch, or 0.
        with_second_look: also look at virtual photos a second time.
    """

    store: PixelStore
    labels: Labels
    order: BatchOrder
    augmentation: Augmentation
    seed: int = 0
    rank: int = 0
    processes: int = 1
    per_identity: int = 0
    with_second_look: bool = False

    def make(self, step: int) -> Batch:
        """The batch of that step.

        Raises:
            ReidError: `photo_unreadable`, `batch_indivisible`.
        """
        rows = share_of_rank(self.order.draw(step), self.rank, self.processes, self.per_identity)
        pixels = self.store.take(rows)
        is_virtual = torch.from_numpy(self.labels.is_virtual[rows])
        second = None
        if self.with_second_look and bool(is_virtual.any()):
            second = augmented(pixels[is_virtual], self.augmentation, self._rng(SECOND_LOOK, step))
        return Batch(
            images=augmented(pixels, self.augmentation, self._rng(FIRST_LOOK, step)),
            second_look=second,
            classes=torch.from_numpy(self.labels.classes[rows]),
            weights=torch.from_numpy(self.labels.weights[rows]),
            person=torch.from_numpy(self.labels.person[rows]),
            is_virtual=is_virtual,
        )

    def _rng(self, stream: int, step: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, step, self.rank))
