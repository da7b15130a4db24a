"""Features of whole images, for Frechet distances between sets of them."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name

Features = Callable[[Tensor], Tensor]
"""[N, 3, H, W] images, 0..1, to [N, D]."""

COLOUR_EDGE_SIZE = (128, 64)
COLOUR_EDGE_CELLS = (4, 2)


def colour_edge_features(images: Tensor) -> Tensor:
    """Mean and spread of the colours and strength of the edges in four directions, in 4 x 2 cells: [N, 80].

    A stated stand-in where there is no Inception network; distances between such features are not FIDs.

    Args:
        images: [N, 3, H, W], 0..1.
    """
    small = functional.interpolate(images, COLOUR_EDGE_SIZE, mode="bilinear", antialias=True, align_corners=False)
    grey = functional.pad(small.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    middle = grey[:, :, 1:-1, 1:-1]
    steps = (grey[:, :, 1:-1, 2:], grey[:, :, 2:, 1:-1], grey[:, :, 2:, 2:], grey[:, :, 2:, :-2])
    edges = torch.cat([(step - middle).abs() for step in steps], dim=1)
    mean = functional.adaptive_avg_pool2d(small, COLOUR_EDGE_CELLS)
    square = functional.adaptive_avg_pool2d(small.square(), COLOUR_EDGE_CELLS)
    spread = (square - mean.square()).clamp(min=0).sqrt()
    strength = functional.adaptive_avg_pool2d(edges, COLOUR_EDGE_CELLS)
    return torch.cat((mean, spread, strength), dim=1).flatten(1)


def inception_features(weights: Path, device: str) -> Features:
    """Pool-3 features [N, 2048] of the Inception-v3 of the FID, from a weights file of the user's.

    Args:
        weights: `weights-inception-2015-12-05-6726825d.pth` of torch-fidelity; read as plain tensors, never unpickled.
        device: `cpu` or `cuda:N`.

    Raises:
        FatalError: `inception_missing`, `fidelity_missing`, `inception_unreadable`.
    """
    if not weights.is_file():
        raise FatalError("inception_missing", f"there is no file {display_name(weights)}", "Check --inception.")
    try:
        from recon.torchvision_shim import ensure_torchvision_imports

        ensure_torchvision_imports()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise FatalError(
            "fidelity_missing",
            f"--inception needs torch-fidelity, which cannot be imported: {error}",
            'Install it (pip install torch-fidelity "mmgen[reid]"), or leave --inception out.',
        ) from error
    try:
        # Older torch would unpickle what the constructor loads; this pass refuses everything but tensors first.
        torch.load(weights, map_location="cpu", weights_only=True)
        network = FeatureExtractorInceptionV3("fid", ["2048"], feature_extractor_weights_path=str(weights))
    except Exception as error:  # a damaged file raises whatever its parser trips over
        raise FatalError(
            "inception_unreadable",
            f"{display_name(weights)} is no weights file for torch-fidelity's Inception-v3: {type(error).__name__}",
            "Take weights-inception-2015-12-05-6726825d.pth from torch-fidelity's releases.",
        ) from error
    network = network.to(device)

    def features(images: Tensor) -> Tensor:
        pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
        return network(pixels.to(device))[0].cpu()

    return features
