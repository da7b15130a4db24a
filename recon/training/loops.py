"""What happens between steps: the prototype moves, the average grows."""

from collections.abc import Iterable
from dataclasses import replace

import torch

from recon.averaging import WeightAverage, recompute_batch_norm
from recon.encoders import AttributeEncoder
from recon.prototype import OffsetSum, gathered_more, moved_prototype, warmup_weight
from recon.training.config import Averaging, PrototypeLoop
from recon.training.learner import Learner
from recon.training.parallel import summed
from recon.training.step import Batch


def move_prototype(
    learner: Learner, loop: PrototypeLoop, clean: Iterable[Batch], warmup_steps: int, step: int
) -> float:
    """Move the prototype by the mean offset of clean photos; returns the mean length of the move, template units.

    Args:
        learner: changed in place.
        clean: batches of clean photos; used by the published kind only, which looks at them with the networks in
            evaluation mode.
        warmup_steps: steps over which moves grow to their full size.
    """
    if loop.kind == "published":
        learner.prototype = replace(learner.prototype, gathered=_gathered_again(learner, clean))
    before = learner.prototype.template.vertices
    together = replace(learner.prototype, gathered=summed(learner.prototype.gathered))
    warmup = warmup_weight(step, warmup_steps) if warmup_steps else 1.0
    learner.set_prototype(moved_prototype(together, loop.move, warmup))
    return float((learner.prototype.template.vertices - before).norm(dim=-1).mean())


@torch.no_grad()
def _gathered_again(learner: Learner, clean: Iterable[Batch]) -> OffsetSum:
    encoder = learner.encoder
    state = replace(learner.prototype, gathered=OffsetSum.empty(learner.prototype.template))
    encoder.eval()
    for batch in clean:
        state = gathered_more(state, encoder(batch.sample).offsets, batch.clean)
    encoder.train()
    return state.gathered


def join_average(learner: Learner, averaging: Averaging) -> None:
    """Let the encoder as it is now join the average."""
    if learner.average is None:
        decay = averaging.decay if averaging.kind == "exponential" else None
        learner.average = WeightAverage.start(learner.encoder, decay)
    else:
        learner.average = learner.average.with_model(learner.encoder)


def averaged_encoder(learner: Learner, batches: Iterable[Batch] | None) -> AttributeEncoder:
    """The average as an encoder, with the prototype as it is now and batch-norm statistics of photos.

    Args:
        batches: training photos for the statistics, at least one batch; None keeps the averaged ones.

    Raises:
        ValueError: there is no average.
    """
    if learner.average is None:
        raise ValueError("no weights were averaged")
    encoder = learner.average.model_like(learner.encoder)
    if batches is not None:
        recompute_batch_norm(encoder, (batch.sample for batch in batches))
    return encoder
