"""Enlarging photos: Lanczos, or a super-resolution network of the user's, such as Real-ESRGAN, through spandrel."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name

Pixels = NDArray[np.uint8]


def enlarged(rgb: Pixels, factor: int, network: Path | None = None) -> Pixels:
    """A photo `factor` times as large.

    Args:
        rgb: [H, W, 3].
        factor: 2 or more.
        network: weights of a super-resolution network; what its own factor leaves over is done by Lanczos.

    Raises:
        FatalError: as from `check_upscaler`.
    """
    size = (rgb.shape[1] * factor, rgb.shape[0] * factor)
    if network is not None:
        import torch

        model = _model(network)
        with torch.inference_mode():
            image = torch.from_numpy(rgb.transpose(2, 0, 1).copy()).float().div_(255)[None]
            large = model(image)[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
        rgb = np.ascontiguousarray(large)
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def check_upscaler(network: Path) -> None:
    """Load a network once, so that a wrong one is known before any work.

    Raises:
        FatalError: `upscaler_missing`, `needs_upscale_extra`, `upscaler_unusable`.
    """
    if not network.is_file():
        raise FatalError("upscaler_missing", f"there is no {display_name(network)}", "Check --upscaler.")
    _model(network)


@lru_cache(maxsize=1)
def _model(network: Path) -> Any:
    """spandrel's descriptor, on the CPU; it has no types, hence Any. spandrel unpickles tensors only."""
    try:
        from recon.torchvision_shim import ensure_torchvision_imports

        ensure_torchvision_imports()
        import spandrel
    except ImportError as error:
        raise FatalError(
            "needs_upscale_extra", f"--upscaler needs spandrel ({error})", "Install mmgen[upscale]."
        ) from error
    try:
        model = spandrel.ModelLoader(device="cpu").load_from_file(network)
    except Exception as error:  # whatever a foreign file makes its many architectures raise
        raise FatalError(
            "upscaler_unusable",
            f"{display_name(network)} cannot be loaded ({type(error).__name__}: {str(error)[:120]})",
            "Give a .pth or .safetensors file of a super-resolution network that spandrel knows.",
        ) from error
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.input_channels != 3 or model.scale < 2:
        raise FatalError(
            "upscaler_unusable",
            f"{display_name(network)} is for {model.purpose}, {model.input_channels} channels, x{model.scale}",
            "Give one that enlarges RGB images.",
        )
    return model
