"""Order of the photos and batches of tensors.

A batch is a function of (seed, epoch, number in the epoch, rank): where a run stands in its data is two numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mmgen.training.augmentation import augmented
from mmgen.training.manifest import Augmentation
from mmgen.training.packing import Packed
from mmgen.training.truth_batches import known_batch
from mmgen.training.truth_pack import TruthPack, joined_truth
from recon.structures import Sample
from recon.training.step import Batch


@dataclass(frozen=True)
class PhotoStore:
    """Packed photos with what is known about each.

    Attributes:
        packed: [N, H, W, 4] uint8.
        identity: [N] numbers of identities; a photo of nobody known has one of its own.
        clean: [N] whether the prototype may follow it.
        truth: truth of the photos, where they are to be learned with it.
    """

    packed: Packed
    identity: NDArray[np.int64]
    clean: NDArray[np.bool_]
    truth: TruthPack | None = None

    def __len__(self) -> int:
        return len(self.packed)


@dataclass(frozen=True)
class BatchPlan:
    """How batches are drawn.

    Attributes:
        augmentation: see `mmgen.training.manifest.DataSection`.
        shift_px: likewise.
        pairs: two photos of each identity in a batch.
        replay_every: steps between two batches of replayed photos; 0: none.
    """

    size: int
    augmentation: Augmentation = "none"
    shift_px: int = 0
    pairs: bool = False
    seed: int = 0
    rank: int = 0
    processes: int = 1
    degradation: float = 1.0
    replay_every: int = 0


def joined(stores: Sequence[PhotoStore]) -> PhotoStore:
    """Stores of several data sets as one, in memory; nobody is in two of them. All of them have truth, or none."""
    first = np.cumsum([0, *(store.identity.max(initial=-1) + 1 for store in stores)])
    truths = [store.truth for store in stores if store.truth is not None]
    return PhotoStore(
        np.concatenate([store.packed for store in stores]),
        np.concatenate([store.identity + offset for store, offset in zip(stores, first, strict=False)]),
        np.concatenate([store.clean for store in stores]),
        joined_truth(truths) if truths else None,
    )


class Drawn(NamedTuple):
    """A batch and where it stands: number of its epoch, number within it, and whether it is the epoch's last.

    `replay` is a batch with truth that is learned beside it.
    """

    epoch: int
    number: int
    is_last: bool
    batch: Batch
    replay: Batch | None = None


def identity_numbers(labels: Sequence[str | None]) -> NDArray[np.int64]:
    """Numbers for labels; every None is somebody else."""
    names = [f"label {label}" if label is not None else f"photo {index}" for index, label in enumerate(labels)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def batches_per_epoch(store: PhotoStore, plan: BatchPlan) -> int:
    """Whole batches in an epoch; 0 where there are too few photos. A remainder is dropped."""
    usable = 2 * len(_pairs(store.identity, np.random.default_rng(0))) if plan.pairs else len(store)
    return usable // (plan.size * plan.processes)


def epoch_order(store: PhotoStore, plan: BatchPlan, epoch: int) -> NDArray[np.int64]:
    """[batches, size x processes] photo numbers of one epoch."""
    generator = np.random.default_rng((plan.seed, 1, epoch))
    if plan.pairs:
        order = generator.permutation(_pairs(store.identity, generator)).reshape(-1)
    else:
        order = generator.permutation(len(store))
    whole = plan.size * plan.processes
    return order[: len(order) // whole * whole].reshape(-1, whole)


def _pairs(identity: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """[P, 2] photos of one identity each, in random company; an odd one out is left out this epoch."""
    shuffled = generator.permutation(len(identity))
    grouped = shuffled[np.argsort(identity[shuffled], kind="stable")]
    starts = np.unique(identity[grouped], return_index=True)[1]
    groups = np.split(grouped, starts[1:])
    pairs = [group[: len(group) // 2 * 2].reshape(-1, 2) for group in groups]
    return np.concatenate(pairs)


def make_batch(store: PhotoStore, rows: NDArray[np.int64], plan: BatchPlan, epoch: int, number: int) -> Batch:
    """This process's part of one batch, augmented."""
    own = rows[plan.rank * plan.size : (plan.rank + 1) * plan.size]
    generator = np.random.default_rng((plan.seed, 2, epoch, number, plan.rank))
    if store.truth is not None:
        return _known(store, own, plan, generator)
    pictures = augmented(store.packed[own], plan.augmentation, plan.shift_px, generator)
    return as_batch(pictures, store.identity[own], store.clean[own])


def replay_batch(replayed: PhotoStore, plan: BatchPlan, epoch: int, number: int) -> Batch | None:
    """Photos with truth for this step, or None where it has none."""
    if not plan.replay_every or number % plan.replay_every:
        return None
    generator = np.random.default_rng((plan.seed, 3, epoch, number, plan.rank))
    return _known(replayed, generator.choice(len(replayed), plan.size), plan, generator)


def _known(store: PhotoStore, rows: NDArray[np.int64], plan: BatchPlan, generator: np.random.Generator) -> Batch:
    assert store.truth is not None
    pictures, known = known_batch(store.packed[rows], store.truth.chosen(rows), plan.degradation, generator)
    return replace(as_batch(pictures, store.identity[rows], store.clean[rows]), known=known)


def as_batch(
    pictures: NDArray[np.uint8], identity: NDArray[np.int64] | None = None, clean: NDArray[np.bool_] | None = None
) -> Batch:
    """[B, H, W, 4] uint8 to tensors."""
    planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    tensor = torch.from_numpy(planes).float().div_(255)
    sample = Sample(
        tensor[:, :3].contiguous(),
        tensor[:, 3].contiguous(),
        None if identity is None else torch.from_numpy(identity.copy()),
    )
    return Batch(sample, None if clean is None else torch.from_numpy(clean.copy()))


def draw_batches(
    store: PhotoStore, plan: BatchPlan, epoch: int = 0, number: int = 0, replayed: PhotoStore | None = None
) -> Iterator[Drawn]:
    """Batches without end, from batch `number` of `epoch` on, with replayed photos where the plan says so."""
    while True:
        order = epoch_order(store, plan, epoch)
        for index in range(number, len(order)):
            batch = make_batch(store, order[index], plan, epoch, index)
            replay = None if replayed is None else replay_batch(replayed, plan, epoch, index)
            yield Drawn(epoch, index, index == len(order) - 1, batch, replay)
        epoch, number = epoch + 1, 0
