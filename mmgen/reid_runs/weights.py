"""Re-id weights files: safetensors with the network's settings in the header; never pickle."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from mmgen.core.documents import decode
from mmgen.core.errors import FatalError
from mmgen.core.files import write_bytes_atomic
from mmgen.core.listing import display_name
from mmgen.core.settings import SettingError, build
from reid.models.network import ModelConfig, ReidNetwork, make_network

SCHEMA = "mmgen.reid/1"
HEADER = "mmgen"
MOST_CLASSES = 10_000_000


def save_reid_weights(path: Path, network: ReidNetwork, config: ModelConfig, about: Mapping[str, Any]) -> None:
    """Write a network; the same network and header give the same bytes.

    Args:
        path: `.safetensors`.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    header = {"schema": SCHEMA, "model": asdict(config), **about}
    write_bytes_atomic(path, save(tensors, metadata={HEADER: json.dumps(header)}))


def load_reid_weights(path: Path) -> tuple[ReidNetwork, ModelConfig, dict[str, Any]]:
    """A network in evaluation mode, its settings, and the header.

    Raises:
        FatalError: `weights_missing`, `weights_unreadable`, `weights_format`; `ReidError` where its backbone is absent.
    """
    if not path.is_file():
        raise FatalError("weights_missing", f"there is no file {display_name(path)}", "Check --weights.")
    try:
        with safe_open(path, "pt") as file:
            header = decode((file.metadata() or {})[HEADER].encode(), dict[str, Any])
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _foreign(path, f"it has no header of ours ({type(error).__name__})") from error
    if header.get("schema") != SCHEMA:
        raise _foreign(path, f"its schema is not {SCHEMA}")
    try:
        config = build(ModelConfig, header["model"], "model")
        classes = tensors["classifier.weight"].shape[0]
        if classes > MOST_CLASSES:
            raise ValueError(f"{classes} classes are too many")
        network = make_network(config, classes, seed=0)
        network.load_state_dict(tensors)
    except (SettingError, KeyError, RuntimeError, ValueError) as error:
        raise _foreign(path, str(error).splitlines()[0]) from error
    return network.eval(), config, header


def read_backbone_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a published weights file; pickled files are read as plain tensors only, nothing in them runs.

    Raises:
        FatalError: `pretrained_unusable`.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict):
            raise ValueError("it holds no table of tensors")
        inner = found.get("state_dict", found)
        return {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
    except Exception as error:  # the readers raise whatever they trip over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FatalError(
            "pretrained_unusable",
            f"pretrained.backbone: {display_name(path)} cannot be read: {reason}"[:300],
            "Give a .safetensors file, or a .pth of plain tensors, or leave the key empty for random weights.",
        ) from error


def _foreign(path: Path, reason: str) -> FatalError:
    return FatalError(
        "weights_format",
        f"{display_name(path)} is no weights file of `mmgen reid train`: {reason}"[:300],
        "Give a checkpoints/last.safetensors of such a run.",
    )
