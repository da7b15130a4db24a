"""rembg, where it is installed: its net for people, run by rembg itself. Nothing is downloaded by the way."""

import importlib.util
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_file
from mmgen.masks.maskers import Masker, expected_iou

MODEL = "u2net_human_seg"


def masker() -> Masker:
    """rembg with its net for people.

    Raises:
        ItemError: `masker_missing` where rembg, or the net's file, is not there.
    """
    # rembg without onnxruntime does not fail to import, it prints and leaves the process.
    if not all(importlib.util.find_spec(module) for module in ("rembg", "onnxruntime")):
        raise ItemError("masker_missing", "rembg is not installed", 'pip install "mmgen[rembg]"')
    file = _model_file()
    import onnxruntime
    import rembg

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # sums must not depend on how many share them
    session = rembg.new_session(MODEL, sess_opts=options, providers=["CPUExecutionProvider"])

    def mask(rgb: NDArray[np.uint8], /) -> tuple[NDArray[Any], float]:
        values = np.asarray(session.predict(Image.fromarray(rgb))[0])
        return values, expected_iou(values / np.float32(255))

    version = metadata.version("rembg")
    return Masker("rembg", f"rembg {version} {MODEL} {sha256_file(file)[:16]}", mask)


def _model_file() -> Path:
    from rembg.sessions import sessions_class

    (model,) = (one for one in sessions_class if one.name() == MODEL)
    file = model.resolve_existing(f"{MODEL}.onnx")
    if file is None:
        raise ItemError(
            "masker_missing",
            f"rembg's net {MODEL} is not on this machine, in {model.model_dir()}",
            f"Fetch it once: python -c \"import rembg; rembg.new_session('{MODEL}')\"",
        )
    return Path(file)
