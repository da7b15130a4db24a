"""Losses of re-id training; pure functions of tensors."""

import torch
from torch import Tensor
from torch.nn import functional


def identity_loss(
    logits: Tensor, classes: Tensor, weights: Tensor, smoothing: float, uniform: Tensor | None = None
) -> Tensor:
    """Cross entropy with label smoothing against up to two classes per photo, mean over labelled photos.

    Args:
        logits: [N, C].
        classes: [N, 2] class numbers.
        weights: [N, 2] their shares; photos with (0, 0) are unlabelled and left out.
        smoothing: share that is spread over all classes, 0..1.
        uniform: [N] bool: photos whose target is the same for every class (LSRO, Zheng et al. 2017, eq. 5); they count
            as labelled.

    Returns:
        A scalar; 0 if no photo is labelled.
    """
    per_class = [
        functional.cross_entropy(logits, classes[:, column], reduction="none", label_smoothing=smoothing)
        for column in range(2)
    ]
    total = (torch.stack(per_class, dim=1) * weights).sum()
    count = weights.sum()
    if uniform is not None:
        total = total - functional.log_softmax(logits[uniform], dim=1).mean(dim=1).sum()
        count = count + uniform.sum()
    return total / count.clamp(min=1e-12)


def triplet_loss(features: Tensor, person: Tensor, margin: float) -> Tensor:
    """Batch-hard triplet loss on Euclidean distances (Hermans et al. 2017), mean over anchors that have both sides.

    Args:
        features: [N, D].
        person: [N] who it is; negative takes no part.
        margin: by which the farthest positive shall be nearer than the nearest negative.

    Returns:
        A scalar; 0 if there is no such anchor.
    """
    keep = person >= 0
    features, person = features[keep].float(), person[keep]
    if len(person) < 2:
        return features.sum() * 0
    squared = features.square().sum(dim=1)
    gaps = squared[:, None] + squared[None, :] - 2 * features @ features.T
    distances = gaps.clamp(min=1e-12).sqrt()
    same = person[:, None] == person[None, :]
    other_self = same & ~torch.eye(len(person), dtype=torch.bool, device=same.device)
    farthest = distances.masked_fill(~other_self, -torch.inf).amax(dim=1)
    nearest = distances.masked_fill(same, torch.inf).amin(dim=1)
    usable = other_self.any(dim=1) & (~same).any(dim=1)
    losses = (farthest - nearest + margin)[usable].clamp(min=0)
    return losses.mean() if len(losses) else features.sum() * 0


def symmetric_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(student|teacher) + KL(teacher|student) of the class scores, mean over photos; no gradient to the teacher.

    Args:
        student: [N, C] logits.
        teacher: [N, C] logits.
    """
    if not len(student):
        return student.sum() * 0
    ours = functional.log_softmax(student.float(), dim=1)
    theirs = functional.log_softmax(teacher.detach().float(), dim=1)
    return ((ours.exp() - theirs.exp()) * (ours - theirs)).sum(dim=1).mean()
