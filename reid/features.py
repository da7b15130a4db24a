"""Features of many photos."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from reid.data.augmentation import normalised
from reid.data.pixels import PixelStore
from reid.errors import ReidError
from reid.learner import autocast
from reid.models.network import ReidNetwork

BATCH_PHOTOS = 64


@torch.inference_mode()
def extract_features(
    network: ReidNetwork,
    store: PixelStore,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    advance: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """Photo and mirror image through the network in evaluation mode; its mode is put back.

    Args:
        network: on `device`.

    Returns:
        [N, D], every row of length 1.

    Raises:
        ReidError: `photo_unreadable`, `features_not_finite`.
    """
    was_training = network.training
    network.eval()
    rows = []
    for start in range(0, len(store), BATCH_PHOTOS):
        pixels = store.take(range(start, min(start + BATCH_PHOTOS, len(store))))
        images = normalised(pixels.to(device)).contiguous(memory_format=torch.channels_last)
        with autocast(device, dtype):
            rows.append(network.features(images).cpu().numpy())
        advance(len(pixels))
    network.train(was_training)
    features = np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)
    if not np.isfinite(features).all():
        raise ReidError(
            "features_not_finite",
            "the network's features are not numbers",
            "Its weights are damaged, such as by a training that diverged; train again.",
        )
    return features
