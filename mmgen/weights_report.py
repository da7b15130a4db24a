"""What is in a weights file, and whether it is sound, as plain data."""

from pathlib import Path
from typing import Any

import torch

from mmgen.listing import display_name
from mmgen.weights import load_weights
from recon.encoders import parameter_counts


def weights_facts(path: Path) -> dict[str, Any]:
    """Networks, template, versions, metrics and training of a weights file.

    Raises:
        FatalError: as from `load_weights`.
    """
    weights = load_weights(path)
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


def weights_faults(path: Path) -> list[str]:
    """What is wrong with the numbers of a weights file that otherwise loads; empty if it is sound.

    Raises:
        FatalError: as from `load_weights`: its header and tensors are checked against each other there.
    """
    weights = load_weights(path)
    return [
        f"{name} holds numbers that are not finite"
        for name, value in weights.encoder.state_dict().items()
        if value.is_floating_point() and not bool(torch.isfinite(value).all())
    ]
