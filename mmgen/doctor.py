"""What works on this machine, what is missing, what that costs, and how to get it."""

import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from mmgen.core.errors import ItemError
from mmgen.core.version import installed_version

Status = Literal["ok", "missing", "broken"]

CORE_MODULES = {
    "torch": "torch",
    "numpy": "numpy",
    "numba": "numba",
    "PIL": "pillow",
    "trimesh": "trimesh",
    "skimage": "scikit-image",
    "fast_simplification": "fast-simplification",
    "pygltflib": "pygltflib",
    "safetensors": "safetensors",
    "jaxtyping": "jaxtyping",
    "rich": "rich",
    "click": "click",
    "webdataset": "webdataset",
    "jinja2": "jinja2",
}
"""Import name to distribution of everything that `pip install mmgen` brings."""

REINSTALL = "pip install --force-reinstall mmgen"
LEAST_FREE_BYTES = 1_000_000_000
LONGEST_DETAIL = 200


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes:
        name: What was looked at.
        status: `ok`; `missing`: not there; `broken`: there and not working.
        is_core: Whether the core commands need it.
        detail: Version, place or error.
        purpose: What it is for.
        fix: What to type or do; empty when ok.
    """

    name: str
    status: Status
    is_core: bool
    detail: str
    purpose: str
    fix: str = ""


@dataclass(frozen=True)
class OptionalPart:
    """Something that some commands use where it is there."""

    name: str
    purpose: str
    fix: str
    find: Callable[[], str | None]


def examine() -> list[Check]:
    """Look at everything; takes a few seconds, longer the first time, as the renderer is compiled then."""
    checks = [_python(), _system(), *map(_core_module, CORE_MODULES)]
    if all(check.status == "ok" for check in checks):
        checks += [_guarded("renderer", _renderer), _guarded("glb writer", _glb_writer), _guarded("devices", _devices)]
        checks += [_guarded("person networks", _person_networks), _guarded("mask network", _mask_network)]
        checks += _plug_ins()
    return [*checks, _compile_cache(), _disk(), *_torchvision(), *map(_optional, _optional_parts())]


def core_works(checks: list[Check]) -> bool:
    """Whether reconstruct, export, inspect, verify and gallery can work."""
    return all(check.status == "ok" for check in checks if check.is_core)


def _python() -> Check:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    fix = "" if good else "install Python 3.11 or newer"
    return Check("python", "ok" if good else "broken", True, f"{version} at {sys.executable}", "runs mmgen", fix)


def _system() -> Check:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("system", "ok", True, f"{platform.platform()}, {cpus} CPUs", "")


def _core_module(module: str) -> Check:
    distribution = CORE_MODULES[module]
    if importlib.util.find_spec(module) is None:
        return Check(distribution, "missing", True, "not installed", "core", f"pip install {distribution}")
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken wheel may raise anything
        return Check(distribution, "broken", True, _one_line(error), "core", f"{REINSTALL} {distribution}")
    return Check(distribution, "ok", True, installed_version(distribution) or "version unknown", "core")


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except Exception as error:
        return Check(name, "broken", True, _one_line(error), "core", f"{REINSTALL}; if it stays, report this line")


def _renderer() -> Check:
    import torch

    from recon.camera import project
    from recon.render import render_silhouette
    from recon.structures import Camera
    from recon.template import icosphere

    vertices, faces = icosphere(1)
    started = time.perf_counter()
    vertices_ndc, vertices_camera = project(vertices[None].float(), Camera.frontal(1), 32, 16)
    mask, _ = render_silhouette(vertices_ndc, vertices_camera, faces, (32, 16))
    seconds = time.perf_counter() - started
    if not (torch.isfinite(mask).all() and mask[0, 16, 8] > 0.9):
        return Check("renderer", "broken", True, "draws a sphere wrongly", "draws meshes", "report this line")
    return Check("renderer", "ok", True, f"first picture after {seconds:.2f} s", "draws meshes")


def _glb_writer() -> Check:
    import numpy as np

    from mmgen.assets.asset import Asset
    from mmgen.assets.glb import glb_bytes

    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    face = np.array([[0, 1, 2]], np.int32)
    asset = Asset("triangle", corners, face, corners[None, :, :2].copy(), np.zeros((2, 2, 3), np.uint8))
    return Check("glb writer", "ok", True, f"one triangle: {len(glb_bytes(asset))} bytes", "writes meshes")


def _devices() -> Check:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if names:
        found = ", ".join(f"cuda:{index} {name}" for index, name in enumerate(names))
        return Check("devices", "ok", True, f"cpu, {found}", "--device")
    why = "torch without CUDA" if torch.version.cuda is None else "no GPU or no driver"
    return Check("devices", "ok", True, f"cpu only ({why})", "--device")


def _person_networks() -> Check:
    from mmgen.bundled import required_weights
    from mmgen.models.weights import load_weights

    path = required_weights()
    load_weights(path)
    return Check("person networks", "ok", True, f"{path.stat().st_size / 1e6:.1f} MB of weights", "photos to meshes")


def _mask_network() -> Check:
    from mmgen.masks.network import NETWORK_FILE, bundled_network

    bundled_network()
    return Check("mask network", "ok", True, f"{NETWORK_FILE.stat().st_size / 1e6:.1f} MB of weights", "guesses masks")


def _compile_cache() -> Check:
    """Numba keeps compiled kernels beside the sources, or in the user's cache folder where those are read-only."""
    purpose = "keeps compiled kernels, so that only the first run waits for them"
    named = os.environ.get("NUMBA_CACHE_DIR")
    folder = Path(named) if named else Path(__file__).parents[1] / "recon" / "render"
    kernels = sum(1 for _ in folder.rglob("*.nbi"))
    writable = os.access(folder, os.W_OK)
    where = folder if writable else "the user's cache folder; a temporary one where there is none"
    return Check("compile cache", "ok", False, f"{kernels} kernels in {where}", purpose)


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    good = free >= LEAST_FREE_BYTES
    fix = "" if good else "free some space before a large run"
    return Check("free disk", "ok" if good else "missing", False, f"{free / 1e9:.1f} GB here", "results", fix)


def _torchvision() -> list[Check]:
    """Whether `import torchvision` works in a program of the user's; mmgen itself makes it work for its own imports."""
    if importlib.util.find_spec("torchvision") is None:
        return []
    code = "import torchvision"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    purpose = "imported by timm and torchreid"
    if done.returncode == 0:
        return [Check("torchvision", "ok", False, installed_version("torchvision") or "version unknown", purpose)]
    why = (done.stderr.strip().splitlines() or ["it ends at once"])[-1]
    detail = f"works inside mmgen only; `import torchvision` (and so timm, torchreid) fails by itself: {why}"
    fix = "install the torchvision that was built for your torch, from the index that torch came from"
    return [Check("torchvision", "broken", False, detail[:300], purpose, fix)]


def _optional_parts() -> list[OptionalPart]:
    return [
        OptionalPart("anny", "bodies for `mmgen synth --bodies anny`", 'pip install "mmgen[crowd]"', _module("anny")),
        OptionalPart(
            "spandrel", "enlarges photos in `mmgen prepare`", 'pip install "mmgen[upscale]"', _module("spandrel")
        ),
        OptionalPart("tensorboard", "curves of a training", 'pip install "mmgen[tensorboard]"', _module("tensorboard")),
        OptionalPart("opencv", "guesses masks (GrabCut)", 'pip install "mmgen[masks]"', _module("cv2")),
        OptionalPart("onnxruntime", "masks by ONNX files", 'pip install "mmgen[masks]"', _module("onnxruntime")),
        OptionalPart("rembg", "masks by rembg's nets", 'pip install "mmgen[rembg]"', _module("rembg")),
        OptionalPart("timm", "HRNet and ResNet trunks", 'pip install "mmgen[reid]"', _module("timm")),
        OptionalPart("torchreid", "re-identification models", 'pip install "mmgen[reid]"', _module("torchreid")),
        OptionalPart("ray", "spreads work over machines", 'pip install "mmgen[ray]"', _module("ray")),
        OptionalPart("usd-core", "writes USDZ", 'pip install "mmgen[usd]"', _module("pxr")),
        OptionalPart(
            "kaolin",
            "another renderer on CUDA",
            "see kaolin's installation page; the package of that name on PyPI is empty",
            _module("kaolin.render"),
        ),
        OptionalPart("node", "runs the Khronos validator", "install Node.js 18 or newer", _program("node")),
        OptionalPart(
            "gltf-validator",
            "`mmgen verify` by Khronos' rules",
            "npm install gltf-validator, and name that folder in MMGEN_GLTF_VALIDATOR",
            _find_validator,
        ),
        OptionalPart(
            "chromium",
            "tests the gallery in a browser",
            "install chromium",
            _program("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
        ),
        OptionalPart("ffmpeg", "turntables as mp4", "install ffmpeg", _program("ffmpeg")),
    ]


def _optional(part: OptionalPart) -> Check:
    found = part.find()
    if found is None:
        return Check(part.name, "missing", False, "not found", part.purpose, part.fix)
    return Check(part.name, "ok", False, found, part.purpose)


def _plug_ins() -> list[Check]:
    """Maskers that other packages bring; one that does not load would cost every photo."""
    from mmgen.masks.maskers import BUILT_IN, installed_maskers, load_masker
    from mmgen.masks.structures import MaskSource

    checks = []
    for name in installed_maskers():
        if name in BUILT_IN:
            continue
        try:
            title = load_masker(MaskSource("masker", name=name)).title
            checks.append(Check(f"masker {name}", "ok", False, title, f"--masks {name}"))
        except ItemError as error:
            checks.append(Check(f"masker {name}", "broken", False, error.message, f"--masks {name}", error.hint))
    return checks


def _module(name: str) -> Callable[[], str | None]:
    """Looks for a module without running it; parents are imported, as for `kaolin.render`."""

    def find() -> str | None:
        try:
            spec: Any = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        return None if spec is None else _version_of_module(name.partition(".")[0])

    return find


def _program(*names: str) -> Callable[[], str | None]:
    return lambda: next((path for path in map(shutil.which, names) if path), None)


def _find_validator() -> str | None:
    from mmgen.assets.khronos import find_validator

    folder = find_validator()
    return None if folder is None else str(folder)


def _version_of_module(module: str) -> str:
    distributions = metadata.packages_distributions().get(module, [])
    return (installed_version(distributions[0]) if distributions else None) or "version unknown"


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST_DETAIL]
