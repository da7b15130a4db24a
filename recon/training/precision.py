"""bfloat16 for the convolutions where hardware has it; cameras, sampling, renderer and losses stay in float32."""

from typing import Any

import torch
from torch import Tensor, nn

from recon.encoders import AttributeEncoder


def has_bfloat16(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 are worth while: on GPUs that have them, and on CPUs with matrix tiles (AMX)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # not every PyTorch can tell
        return False
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def use_bfloat16(encoder: AttributeEncoder) -> None:
    """Let the encoder's convolutional parts compute in bfloat16; their outputs are float32 again. In place.

    Hooks carry it, so that copies of the encoder and its `state_dict` are what they would be without.
    """
    parts = [encoder.camera.trunk, encoder.shape.trunk, encoder.texture.net, encoder.light, encoder.background]
    for part in parts:
        if part is not None:
            part.register_forward_pre_hook(_enter)
            part.register_forward_hook(_leave, always_call=True)


def _enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    device = next(module.parameters()).device.type
    context = torch.autocast(device, torch.bfloat16)
    context.__enter__()
    object.__setattr__(module, "_autocast", context)


def _leave(module: nn.Module, inputs: tuple[Any, ...], outputs: Any) -> Any:
    module._autocast.__exit__(None, None, None)  # type: ignore[union-attr, operator]
    return _in_float32(outputs)


def _in_float32(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float()
    if isinstance(outputs, tuple | list):
        return type(outputs)(_in_float32(output) for output in outputs)
    return outputs
