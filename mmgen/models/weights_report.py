"""What is in a weights file, and whether it is sound, as plain data."""

from pathlib import Path
from typing import Any

import torch

from mmgen.core.listing import display_name
from mmgen.models.weights import Weights
from recon.encoders import parameter_counts


def weights_facts(path: Path, weights: Weights) -> dict[str, Any]:
    """Networks, template, versions, metrics and training of a weights file that was loaded."""
    counts = parameter_counts(weights.encoder)
    prototype = weights.encoder.prototype
    return {
        "kind": "weights",
        "path": display_name(path),
        "bytes": path.stat().st_size,
        "sha256": weights.sha256,
        "schema": weights.header["schema"],
        "parameters": {**counts, "all": sum(counts.values())},
        "prototype": {
            "vertices": len(prototype.vertices),
            "faces": len(prototype.faces),
            "size": (prototype.vertices.amax(dim=0) - prototype.vertices.amin(dim=0)).tolist(),
        },
        "encoder": weights.header["encoder"],
        "metrics": weights.header.get("metrics", {}),
        "training": weights.header.get("training", {}),
        "versions": weights.header.get("versions", {}),
    }


def weights_faults(weights: Weights) -> list[str]:
    """What is wrong with the numbers of weights; empty if they are sound. Loading checked header against tensors."""
    return [
        f"{name} holds numbers that are not finite"
        for name, value in weights.encoder.state_dict().items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]
