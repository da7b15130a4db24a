"""Weights files: safetensors that carry architecture, template, versions and metrics with them; never pickle."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from mmgen.core.documents import decode
from mmgen.core.errors import FatalError
from mmgen.core.files import read_regular, sha256_bytes, write_bytes_atomic
from mmgen.core.limits import WEIGHTS_BYTES
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from recon.encoders import AttributeEncoder, EncoderConfig, parameter_counts
from recon.skinning import Skin
from recon.template import Template, template_from_arrays

SCHEMA = "mmgen.weights/1"
HEADER_KEY = "mmgen"
ENCODER, TEMPLATE = "encoder.", "template."
LARGEST_SIDE = 2048
LARGEST_TEMPLATE = 50_000
LENGTH_BYTES = 8
LARGEST_HEADER_BYTES = 16 * 2**20


@dataclass(frozen=True)
class _Outer:
    """The part of a safetensors header that is not about tensors."""

    __metadata__: dict[str, str]


@dataclass(frozen=True)
class Weights:
    """What a weights file holds.

    Attributes:
        encoder: in evaluation mode, prototype included.
        template: the first template; its topology and coordinates are the prototype's.
        header: everything else: `schema`, `encoder`, `template`, `versions`, `metrics`, `training`.
        sha256: SHA-256 of the file's bytes.
    """

    encoder: AttributeEncoder
    template: Template
    header: Mapping[str, Any]
    sha256: str


def save_weights(path: Path, encoder: AttributeEncoder, template: Template, about: Mapping[str, Any]) -> None:
    """Write a weights file, whole or not at all; the same weights give the same bytes.

    Args:
        about: more for the header, such as `metrics` and `training`; JSON values.
    """
    tensors = {ENCODER + name: value for name, value in encoder.state_dict().items()}
    tensors[TEMPLATE + "vertices"] = template.vertices
    tensors[TEMPLATE + "faces"] = template.faces
    tensors[TEMPLATE + "face_uv"] = template.face_uv
    about_template: dict[str, Any] = {"mirror_axis": template.mirror_axis}
    if not template.skin.is_rigid:
        tensors |= {TEMPLATE + name: getattr(template.skin, name) for name in _SKIN_TENSORS}
        about_template |= {"joint_names": template.skin.names, "joint_parents": template.skin.parents}
    header: dict[str, Any] = {
        "schema": SCHEMA,
        "encoder": encoder.config.to_dict(),
        "template": about_template,
        "versions": {"mmgen": __version__, "torch": str(torch.__version__)},
        **about,
    }
    _write(path, {name: value.detach().cpu() for name, value in tensors.items()}, header)


def save_halved(source: Path, target: Path) -> None:
    """Write a weights file again in half the size: matrices and filters of the networks as 16-bit floats.

    Coordinates, biases and statistics keep 32 bits; what is loaded has 32 bits everywhere.

    Raises:
        FatalError: as from `load_weights`.
    """
    weights = load_weights(source)
    tensors = load_tensors(_read(source))
    small = {
        name: value.half() if name.startswith(ENCODER) and name not in _EXACT and value.ndim > 1 else value
        for name, value in tensors.items()
    }
    _write(target, small, weights.header)


_EXACT = (ENCODER + "prototype_vertices",)
_SKIN_TENSORS = ("joints", "bones", "weights")


def _write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    plain = {name: value.contiguous() for name, value in tensors.items()}
    write_bytes_atomic(path, save_tensors(plain, {HEADER_KEY: json.dumps(header, sort_keys=True, allow_nan=False)}))


def load_weights(path: Path, device: str = "cpu", any_numbers: bool = False) -> Weights:
    """Read a weights file and build its networks.

    Args:
        device: where the networks go.
        any_numbers: also those that are not finite, for whoever only describes the file.

    Raises:
        FatalError: `weights_missing`, `weights_unreadable`, `weights_format`, `weights_mismatch`.
    """
    data = _read(path)
    header = _header(data, path)
    try:
        tensors = load_tensors(data)
    except SafetensorError as error:
        raise _unreadable(path, str(error)) from error
    with _fitting(path):
        config = _config(header)
        if len(tensors[TEMPLATE + "vertices"]) > LARGEST_TEMPLATE:
            raise ValueError(f"a template of {len(tensors[TEMPLATE + 'vertices'])} vertices is too large")
        template = _template(tensors, header)
        with needing_timm():
            encoder = AttributeEncoder(config, template)
        own = {name.removeprefix(ENCODER): value for name, value in tensors.items() if name.startswith(ENCODER)}
        encoder.load_state_dict(own)
        if not any_numbers:
            _check_numbers(tensors)
    return Weights(encoder.to(device).eval(), template.to(device), header, sha256_bytes(data))


@contextmanager
def _fitting(path: Path) -> Iterator[None]:
    """Whatever building networks from a header raises is the file's fault."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, OverflowError, AttributeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FatalError(
            "weights_mismatch",
            f"{display_name(path)}: header and tensors do not fit together: {first}"[:300],
            "The file is damaged, or from another version; train or download it again.",
        ) from error


@contextmanager
def needing_timm() -> Iterator[None]:
    """Say how to get timm where the paper's networks are built without it.

    Raises:
        FatalError: `timm_missing`.
    """
    try:
        yield
    except ImportError as error:
        raise FatalError(
            "timm_missing",
            f"the paper's networks need timm, which cannot be imported: {error}"[:300],
            'pip install "mmgen[reid]", or choose the small networks (encoder.preset = "small").',
        ) from error


def read_config(path: Path) -> EncoderConfig:
    """The architecture alone; nothing is built.

    Raises:
        FatalError: as from `load_weights`.
    """
    header = _header(_read(path), path)
    with _fitting(path):
        return _config(header)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, WEIGHTS_BYTES)
    except FileNotFoundError as error:
        raise FatalError("weights_missing", f"there is no weights file {display_name(path)}", "Check --weights.") from (
            error
        )
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be read") from error


def _header(data: bytes, path: Path) -> dict[str, Any]:
    """Read by hand: the library gives metadata of files on disk only."""
    size = int.from_bytes(data[:LENGTH_BYTES], "little")
    if len(data) < LENGTH_BYTES or size > min(len(data) - LENGTH_BYTES, LARGEST_HEADER_BYTES):
        raise _unreadable(path, "it is no safetensors file")
    try:
        outer = decode(data[LENGTH_BYTES : LENGTH_BYTES + size], _Outer)
        header = decode(outer.__metadata__[HEADER_KEY].encode(), dict[str, Any])
    except (ValueError, KeyError) as error:
        raise FatalError(
            "weights_format",
            f"{display_name(path)} has no mmgen header",
            "Give a weights file that `mmgen train` wrote.",
        ) from error
    if header.get("schema") != SCHEMA:
        raise FatalError(
            "weights_format",
            f"{display_name(path)} is of schema {header.get('schema')!r:.80}, not {SCHEMA!r}",
            "Update mmgen.",
        )
    return header


def _config(header: Mapping[str, Any]) -> EncoderConfig:
    """A header must not make us build networks of any size."""
    config = EncoderConfig.from_dict(header["encoder"])
    if max(config.height, config.width) > LARGEST_SIDE:
        raise ValueError(f"images of {config.width} x {config.height} pixels are too large")
    return config


def _check_numbers(tensors: Mapping[str, Tensor]) -> None:
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} holds numbers that are not finite")


def _template(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Template:
    return template_from_arrays(
        tensors[TEMPLATE + "vertices"],
        tensors[TEMPLATE + "faces"].long(),
        tensors[TEMPLATE + "face_uv"],
        int(header["template"]["mirror_axis"]),
        _skin(tensors, header["template"]),
    )


def _skin(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Skin | None:
    """The template's skeleton; None in files whose template has none, or from before there were any."""
    if "joint_names" not in about:
        return None
    names, parents = (tuple(about[key]) for key in ("joint_names", "joint_parents"))
    return Skin(names, parents, *(tensors[TEMPLATE + name] for name in _SKIN_TENSORS))


def _unreadable(path: Path, reason: str) -> FatalError:
    return FatalError(
        "weights_unreadable",
        f"{display_name(path)} cannot be read as a weights file: {reason}",
        "Give a .safetensors file; pickled checkpoints (.pt, .pth) are never loaded.",
    )


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
