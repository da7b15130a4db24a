"""Held-out photos while training: the paper's two figures, and the signs of collapse."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from mmgen.training.batches import PhotoStore, as_batch
from mmgen.training.truth_pack import TruthPack
from recon.encoders import AttributeEncoder
from recon.evaluation.scores import Scores, score_batch
from recon.metrics import azimuth_error_deg
from recon.structures import Attributes
from recon.training.collapse import CollapseFigures, collapse_figures

BATCH_PHOTOS = 32


@dataclass(frozen=True)
class Validation:
    """What held-out photos say.

    Attributes:
        figures: `mask_iou`, `ssim`, `ssim_in_mask`, `azimuth_spread_deg`; with truth also `azimuth_error_deg_median`
            and `vertex_distance` (to the registered template, template units).
    """

    figures: dict[str, float]
    collapse: CollapseFigures

    @property
    def score(self) -> float:
        """What checkpoints are chosen by: mean of MaskIoU and SSIM inside the mask, which no white paint can raise."""
        return (self.figures["mask_iou"] + self.figures["ssim_in_mask"]) / 2

    def as_row(self) -> dict[str, Any]:
        """For the metrics log."""
        return {**self.figures, **asdict(self.collapse), "score": self.score}


def spread_choice(store: PhotoStore, count: int) -> PhotoStore:
    """At most `count` photos at equal steps through the store."""
    rows = np.unique(np.linspace(0, len(store) - 1, min(count, len(store))).round().astype(int))
    truth = None if store.truth is None else store.truth.chosen(rows)
    return PhotoStore(store.packed[rows], store.identity[rows], store.clean[rows], truth)


@torch.no_grad()
def validate(encoder: AttributeEncoder, photos: PhotoStore, critic_gap: float | None = None) -> Validation:
    """Score the encoder in evaluation mode; its mode and all random states are as before afterwards."""
    was_training = encoder.training
    encoder.eval()
    device = encoder.prototype_vertices.device
    scores, azimuths, lengths, distances = [], [], [], []
    try:
        for start in range(0, len(photos), BATCH_PHOTOS):
            sample = as_batch(photos.packed[start : start + BATCH_PHOTOS]).sample.to(device)
            predicted = encoder(sample)
            scores.append(score_batch(predicted, sample, encoder.prototype))
            azimuths.append(predicted.camera.azimuth_deg)
            lengths.append(predicted.offsets.norm(dim=-1).mean(dim=1))
            if photos.truth is not None:
                distances.append(_vertex_distance(encoder, predicted, photos.truth, start))
    finally:
        encoder.train(was_training)
    figures = {name: value for name, value in Scores.joined(scores).summary().items() if math.isfinite(value)}
    if photos.truth is not None:
        error = azimuth_error_deg(torch.cat(azimuths).cpu(), torch.from_numpy(photos.truth.camera[:, 0]))
        figures["azimuth_error_deg_median"] = float(error.median())
        figures["vertex_distance"] = float(torch.cat(distances).mean())
    return Validation(figures, collapse_figures(torch.cat(azimuths), torch.cat(lengths), critic_gap))


def _vertex_distance(encoder: AttributeEncoder, predicted: Attributes, truth: TruthPack, start: int) -> torch.Tensor:
    """Mean distance of every photo's vertices to the registered ones, template units."""
    vertices = encoder.prototype_vertices + predicted.offsets
    rows = truth.mesh[start : start + len(vertices)]
    return (vertices.cpu() - torch.from_numpy(truth.vertices[rows]).float()).norm(dim=-1).mean(dim=1)
