"""Maskers: what finds the person in a photo where nobody drew a mask, by name or from an ONNX file.

Any installed package can bring one. It names, in the entry-point group `mmgen.maskers`, something that is called with a
photo, uint8 [H, W, 3] in sRGB, and returns a soft mask and its quality:

- the mask: [H, W], 1 (float), 255 (uint8) or True where the person is; soft edges are welcome;
- the quality: 0..1, the IoU with the true outline that the masker expects of its own answer; 0 where it sees nobody.

It may have an attribute `version`, a text that says which weights it uses; that and the package's own version are part
of what makes a result old. `docs/masks.md` has an example. Whatever a masker does wrong costs the photo, not the run.
"""

import importlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import read_regular, sha256_bytes, sha256_file
from mmgen.core.limits import WEIGHTS_BYTES
from mmgen.core.listing import display_name
from mmgen.masks.structures import Guess, MaskSource

GROUP = "mmgen.maskers"
BUILT_IN = {"rembg": "mmgen.masks.rembg_masker"}
"""Maskers that come with mmgen; what they need may not be installed."""

MIN_QUALITY = 0.5
"""Answers below this are refused."""

_CURE = "Repair or update it, choose another --masks, or give masks with --masks DIR."


class Mask(Protocol):
    """What an entry point names."""

    def __call__(self, rgb: NDArray[np.uint8], /) -> tuple[NDArray[Any], float]:
        """A soft mask [H, W] and its quality 0..1, of a photo uint8 [H, W, 3]."""


@dataclass(frozen=True)
class Masker:
    """A masker ready for use.

    Attributes:
        source: how records call it: its name, or `onnx`.
    """

    source: str
    title: str
    mask: Mask


def installed_maskers() -> list[str]:
    """Names of all that packages bring, and of our own; sorted."""
    return sorted({*BUILT_IN, *_entry_points()})


def masker_title(source: MaskSource) -> str | None:
    """Name and version of what a source asks, for content keys; None where it asks no masker."""
    if source.file is not None:
        return _file_title(source.file)
    if source.name is None:
        return None
    loaded = _loaded(source.name)
    return loaded.title if isinstance(loaded, Masker) else f"{source.name} unusable"


def load_masker(source: MaskSource) -> Masker:
    """The masker that a source asks; loaded once for the process.

    Raises:
        ItemError: `masker_missing`, `masker_broken`.
    """
    loaded = _loaded(source.name) if source.file is None else _loaded_file(source.file)
    if isinstance(loaded, ItemError):
        raise ItemError(loaded.code, loaded.message, loaded.hint)
    return loaded


def guess_mask(masker: Masker, rgb: NDArray[np.uint8], name: str) -> Guess:
    """Ask a masker for the mask of a photo.

    Args:
        rgb: uint8 [H, W, 3]; the masker gets a copy.

    Raises:
        ItemError: `masker_broken` where it raises or returns something else than it should, `mask_unusable` where it
            sees nobody or is not sure enough; or what it raised, if that was an ItemError.
    """
    try:
        answer = masker.mask(rgb.copy())
    except ItemError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(masker.title, f"failed at {name}: {_cause(error)}") from error
    values, quality = _checked(answer, rgb, masker.title, name)
    if not (values >= 128).any():
        raise _unusable(f"{name} would be empty: {masker.title} sees no person")
    if quality < MIN_QUALITY:
        raise _unusable(f"{name} is not to be trusted: quality {quality:.2f}, at least {MIN_QUALITY} is needed")
    return Guess(values, quality)


def expected_iou(soft: NDArray[np.floating[Any]]) -> float:
    """What the IoU of a soft mask's outline with the truth should be, if its values [H, W] are probabilities; 0..1.

    A net that knows puts every pixel near 0 or 1; one that sees nobody spreads grey, and gets a low figure.
    """
    inside = soft >= 0.5
    union = np.count_nonzero(inside) + float(soft[~inside].sum())
    return float(soft[inside].sum()) / union if union else 0.0


def _checked(answer: Any, rgb: NDArray[np.uint8], title: str, name: str) -> tuple[NDArray[np.uint8], float]:
    try:
        mask, quality = answer
        mask, quality = np.asarray(mask), float(quality)
    except (TypeError, ValueError) as error:
        raise _broken(title, f"returned no pair of mask and quality for {name}") from error
    if mask.shape != rgb.shape[:2]:
        raise _broken(title, f"returned a mask of shape {list(mask.shape)}, not {list(rgb.shape[:2])}, for {name}")
    if not 0 <= quality <= 1:
        raise _broken(title, f"returned the quality {quality:g}, not 0..1, for {name}")
    if mask.dtype == np.uint8:
        return mask, quality
    if mask.dtype != bool and not np.issubdtype(mask.dtype, np.floating):
        raise _broken(title, f"returned a mask of {mask.dtype}, not of floats, uint8 or bool, for {name}")
    if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        raise _broken(title, f"returned mask values outside 0..1 for {name}")
    return (mask * 255.0).round().astype(np.uint8), quality


@cache
def _entry_points() -> dict[str, metadata.EntryPoint]:
    """By name; of two with one name, the first by their package's name, so that every run takes the same."""
    found = sorted(metadata.entry_points(group=GROUP), key=_package, reverse=True)
    return {point.name: point for point in found}


@cache
def _loaded(name: str) -> Masker | ItemError:
    module = BUILT_IN.get(name)
    if module is not None:
        return _tried(name, lambda: importlib.import_module(module).masker())
    point = _entry_points().get(name)
    if point is None:
        known = ", ".join(installed_maskers())
        return ItemError("masker_missing", f"no masker {name} is installed (there is {known})", "Install its package.")
    title = " ".join(filter(None, (name, f"({_package(point)})")))
    return _tried(title, lambda: _from_entry_point(point, title))


@cache
def _loaded_file(path: Path) -> Masker | ItemError:
    if not path.is_file():
        return ItemError("masker_missing", f"there is no {display_name(path)}", "Check the path of --masks.")

    def load() -> Masker:
        from mmgen.masks.onnx_file import OnnxMask

        data = read_regular(path, WEIGHTS_BYTES)
        return Masker("onnx", f"onnx {sha256_bytes(data)[:16]}", OnnxMask(data, display_name(path)))

    return _tried(display_name(path), load)


def _from_entry_point(point: metadata.EntryPoint, title: str) -> Masker:
    mask = point.load()
    if not callable(mask):
        raise TypeError(f"{point.value} cannot be called")
    version = getattr(mask, "version", "")
    return Masker(point.name, f"{title} {version}".strip() if isinstance(version, str) else title, mask)


def _tried(title: str, load: Callable[[], Masker]) -> Masker | ItemError:
    try:
        return load()
    except ItemError as error:
        return error
    except (Exception, SystemExit) as error:
        return _broken(title, f"cannot be loaded: {_cause(error)}")


def _package(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "of no package"


@cache
def _file_title(path: Path) -> str:
    return f"onnx {sha256_file(path)[:16]}" if path.is_file() else "onnx missing"


def _cause(error: BaseException) -> str:
    """Class, words, and the line where it happened, for the masker's author."""
    if isinstance(error, FatalError):
        return error.message
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}{place}"


def _broken(title: str, what: str) -> ItemError:
    return ItemError("masker_broken", f"the masker {title} {what}", _CURE)


def _unusable(what: str) -> ItemError:
    return ItemError("mask_unusable", what, "Crop the photo to the person, or give a mask with --masks DIR.")
