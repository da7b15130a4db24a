"""An ONNX file that the user names, asked for masks: nets like U²-Net, as rembg and others publish them.

What the net wants is read from the file: one picture in, [1, 3, H, W] or [1, H, W, 3], of fixed or free size; as
floats, then normalised as ImageNet's pictures are, or as uint8. Its first output is taken: one value per pixel, or two
(background, person); probabilities as they are, anything else as logits. The photo is stretched to the net's size.
"""

from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.masks.maskers import expected_iou

FREE_SIZE = 512
"""Side of the pictures for nets that take any size; a multiple of 32, as they need."""

MEAN, SPREAD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
"""Of ImageNet's pictures, red, green and blue, 0..1."""

_INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
_SMALLEST_SIDE = 8
_CURE = (
    "Name a net that marks the person in a picture, such as U2-Net, or write a masker of your own: see docs/masks.md."
)


class OnnxMask:
    """A net, loaded and found fit; gives masks on the CPU, on one thread.

    Args:
        data: bytes of the file.

    Raises:
        ItemError: `masker_missing` without onnxruntime, `masker_broken` for a file that is no such net.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._name = name
        self._session = _session(_runtime(name), data, name)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self._unfit(f"wants {len(inputs)} inputs, not one picture")
        self._input = inputs[0].name
        self._type = _INPUT_TYPES.get(inputs[0].type)
        self._layout, self._size = self._frame(inputs[0].shape)
        if self._type is None:
            raise self._unfit(f"wants {inputs[0].type}, not floats or uint8")

    def __call__(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """The mask [H, W], 0..1, of a photo uint8 [H, W, 3], and the IoU to be expected of it."""
        output = self._session.run(None, {self._input: self._picture(rgb)})[0]
        soft = self._soft(np.asarray(output))
        grown = Image.fromarray(soft).resize((rgb.shape[1], rgb.shape[0]), Image.Resampling.BILINEAR)
        return np.asarray(grown).clip(0, 1), expected_iou(soft)

    def _frame(self, shape: list[Any]) -> tuple[Literal["NCHW", "NHWC"], tuple[int, int]]:
        """Layout, and (height, width) of the pictures that the net wants; free sides are no numbers."""
        if len(shape) == 4 and (shape[0] == 1 or not isinstance(shape[0], int)):
            if shape[1] == 3:
                return "NCHW", (_side(shape[2]), _side(shape[3]))
            if shape[3] == 3:
                return "NHWC", (_side(shape[1]), _side(shape[2]))
        raise self._unfit(f"wants {_text(shape)}, not one picture of three colours")

    def _picture(self, rgb: NDArray[np.uint8]) -> NDArray[Any]:
        height, width = self._size
        small: NDArray[Any] = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))
        if self._type is not np.uint8:
            small = (small / np.float32(255) - MEAN) / SPREAD
        picture = small if self._layout == "NHWC" else small.transpose(2, 0, 1)
        return np.ascontiguousarray(picture[None], dtype=self._type)

    def _soft(self, output: NDArray[Any]) -> NDArray[np.float32]:
        """[h, w], 0..1, of whatever stands in the first output."""
        planes = output.reshape([side for side in output.shape if side != 1])
        if planes.ndim == 3 and planes.shape[-1] == 2:
            planes = np.moveaxis(planes, -1, 0)
        is_pair = planes.ndim == 3 and len(planes) == 2
        if not (planes.ndim == 2 or is_pair) or min(planes.shape[-2:]) < _SMALLEST_SIDE:
            raise self._unfit(f"answers with {_text(list(output.shape))}, not with one mask")
        planes = planes.astype(np.float32)
        if not np.isfinite(planes).all():
            raise self._unfit("answers with values that are no numbers")
        if planes.min() >= 0 and planes.max() <= 1:
            return planes[1] if is_pair else planes
        logits = planes[1] - planes[0] if is_pair else planes
        return np.asarray(1 / (1 + np.exp(-logits.clip(-60, 60))), np.float32)

    def _unfit(self, what: str) -> ItemError:
        return ItemError("masker_broken", f"the ONNX file {self._name} {what}", _CURE)


def _runtime(name: str) -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        cause = f"masks by the ONNX file {name} need onnxruntime"
        raise ItemError("masker_missing", cause, 'pip install "mmgen[masks]"') from error
    module: ModuleType = onnxruntime
    return module


def _session(runtime: ModuleType, data: bytes, name: str) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # sums must not depend on how many share them
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a class for every way in which a file can be bad
        cause = f"the ONNX file {name} cannot be loaded: {' '.join(str(error).split())[:200]}"
        raise ItemError("masker_broken", cause, "Get the file again; it must be a whole ONNX model.") from error


def _side(side: Any) -> int:
    return side if isinstance(side, int) else FREE_SIZE


def _text(shape: list[Any]) -> str:
    return f"[{', '.join(str(side) if isinstance(side, int) else '?' for side in shape)}]"
