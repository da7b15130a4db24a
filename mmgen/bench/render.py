"""Speed of the renderer: the default CPU backend against the pure-torch one and, where installed, against DEODR."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmgen.bench import deodr
from mmgen.bench.scenes import SCENES, Scene, SceneSpec, build_scene
from mmgen.bench.timing import Task, interleaved, machine, per_item_ms, versions
from mmgen.core.version import __version__
from mmgen.work.pool import one_thread
from recon.render import RenderSettings, render
from recon.render.api import dibr_rasterization

REPEATS = {"numba": 15, "torch": 3, "deodr": 9}
CHECKED_IMAGES = 4

_COLD_START = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import torch
from recon.render import render
from recon.structures import Camera, TexturedMesh
from recon.template import ellipsoid_template
imported = time.perf_counter(), time.process_time()
t = ellipsoid_template(level=1)
vertices = t.vertices.float()[None].requires_grad_()
texture = torch.rand(1, 3, 8, 8, requires_grad=True)
drawn = render(TexturedMesh(vertices, t.faces, t.face_uv.float(), texture), Camera.frontal(1), (32, 16))
(drawn.image.sum() + drawn.mask.sum()).backward()
print(time.perf_counter() - imported[0], time.process_time() - imported[1])
"""


def measure(scenes: Sequence[SceneSpec] = SCENES, repeats: dict[str, int] = REPEATS) -> dict[str, Any]:
    """Time all scenes on one thread; JSON data. Milliseconds are CPU time per image."""
    with one_thread():
        results = [_measure_scene(spec, repeats) for spec in scenes]
    return {
        "bench": "render",
        "mmgen": __version__,
        "method": {
            "clock": "CPU time of the process, one thread",
            "statistic": "median over interleaved repeats",
            "warm_up": 1,
            "repeats": repeats,
            "reference": "torch: the pure-torch pair-list backend, float32",
            "fast": "numba: the default CPU backend, float32",
            "deodr": "float64, no soft mask, hence less work; null where it is not installed",
            "full_render": "recon.render.render with a 256 x 64 texture, to vertices and texture",
        },
        "machine": machine(),
        "versions": versions("torch", "numba", "numpy", "deodr"),
        "first_call": measure_first_call(),
        "scenes": results,
    }


def measure_first_call() -> dict[str, float]:
    """Seconds of the first render with gradients in a new process, without and with numba's compiled code on disk."""
    with tempfile.TemporaryDirectory(prefix="mmgen-bench-") as cache:
        cold, warm = _first_call(cache), _first_call(cache)
    return {
        "cold_compile_seconds": cold[0],
        "cold_compile_cpu_seconds": cold[1],
        "cached_seconds": warm[0],
        "cached_cpu_seconds": warm[1],
    }


def _first_call(cache: str) -> tuple[float, float]:
    environment = os.environ | {"NUMBA_CACHE_DIR": cache, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", _COLD_START], env=environment, capture_output=True, text=True, check=True
    )
    wall, cpu = done.stdout.split()
    return float(wall), float(cpu)


def _measure_scene(spec: SceneSpec, repeats: dict[str, int]) -> dict[str, Any]:
    scene = build_scene(spec)
    tasks: dict[str, dict[str, Task]] = {name: _torch_tasks(scene, name) for name in ("numba", "torch")}
    with torch.no_grad():
        coverage = {"numba": float((_draw(scene, "numba")[2] >= 0).double().mean())}
    if deodr.is_installed():
        other = deodr.DeodrScenes(scene)
        tasks["deodr"] = {"forward": other.forward, "forward_backward": other.forward_backward}
        coverage["deodr"] = other.coverage()
    flat = {(name, what): task for name, kinds in tasks.items() for what, task in kinds.items()}
    seconds = interleaved(
        {f"{name} {what}": task for (name, what), task in flat.items()},
        {f"{name} {what}": repeats[name] for name, what in flat},
    )
    times = {
        name: {what: per_item_ms(seconds[f"{name} {what}"], spec.batch) for what in kinds}
        for name, kinds in tasks.items()
    }
    return {
        "name": spec.name,
        "vertices": scene.mesh.vertices.shape[1],
        "faces": len(scene.mesh.faces),
        "height": spec.height,
        "width": spec.width,
        "batch": spec.batch,
        "coverage": coverage,
        "ms_per_image": {name: {what: t["median"] for what, t in kinds.items()} for name, kinds in times.items()},
        "spread_ms_per_image": {
            name: {what: [t["lowest"], t["highest"]] for what, t in kinds.items()} for name, kinds in times.items()
        },
        "speedup_vs_reference": _ratio(times, "torch", "forward_backward"),
        "speedup_vs_deodr": _ratio(times, "deodr", "forward_backward"),
        "speedup_vs_reference_forward": _ratio(times, "torch", "forward"),
        "speedup_vs_deodr_forward": _ratio(times, "deodr", "forward"),
        "agreement": _agreement(scene),
    }


def _ratio(times: dict[str, Any], other: str, what: str) -> float | None:
    if other not in times:
        return None
    return times[other][what]["median"] / times["numba"][what]["median"]


def _torch_tasks(scene: Scene, backend: Any) -> dict[str, Task]:
    settings = RenderSettings(backend=backend)
    vertices = scene.mesh.vertices.detach().requires_grad_()
    texture = scene.mesh.texture.detach().requires_grad_()
    mesh = type(scene.mesh)(vertices, scene.mesh.faces, scene.mesh.face_uv, texture)
    size = (scene.spec.height, scene.spec.width)

    def forward() -> None:
        with torch.no_grad():
            _draw(scene, backend)

    def forward_backward() -> None:
        features, mask, _ = _draw(scene, backend)
        torch.autograd.grad((features, mask), (scene.corners, scene.features), (scene.image_grad, scene.mask_grad))

    def full_render() -> None:
        drawn = render(mesh, scene.camera, size, settings=settings)
        image_grad = scene.image_grad.permute(0, 3, 1, 2)
        torch.autograd.grad((drawn.image, drawn.mask), (vertices, texture), (image_grad, scene.mask_grad))

    return {"forward": forward, "forward_backward": forward_backward, "full_render": full_render}


def _draw(scene: Scene, backend: Any) -> tuple[Tensor, Tensor, Tensor]:
    size = (scene.spec.height, scene.spec.width)
    features, mask, index = dibr_rasterization(
        *size, scene.corners_z, scene.corners, scene.features, scene.normals_z, rast_backend=backend
    )
    assert isinstance(features, Tensor)
    return features, mask, index


def _agreement(scene: Scene) -> dict[str, Any]:
    """Largest differences between the fast backend and the pure-torch one in float64, values and gradients."""
    fast, truth = (
        _values_and_gradients(scene, *choice) for choice in (("numba", torch.float32), ("torch", torch.float64))
    )

    def largest(part: int) -> float:
        return float((fast[part] - truth[part]).abs().max())

    def relative(part: int) -> float:
        return float((fast[part] - truth[part]).norm() / truth[part].norm())

    return {
        "against": f"torch backend in float64, first {CHECKED_IMAGES} images",
        "feature_largest_difference": largest(0),
        "mask_largest_difference": largest(1),
        "face_index_share_different": float((fast[2] != truth[2]).double().mean()),
        "position_gradient_relative_difference": relative(3),
        "feature_gradient_relative_difference": relative(4),
        "mask_gradient_relative_difference": relative(5),
    }


def _values_and_gradients(scene: Scene, backend: Any, dtype: torch.dtype) -> list[Tensor]:
    part: Callable[[Tensor], Tensor] = lambda tensor: tensor.detach()[:CHECKED_IMAGES].to(dtype)  # noqa: E731
    corners, features = part(scene.corners).requires_grad_(), part(scene.features).requires_grad_()
    drawn, mask, index = dibr_rasterization(
        scene.spec.height, scene.spec.width, part(scene.corners_z), corners, features, part(scene.normals_z),
        rast_backend=backend,
    )  # fmt: skip
    hard = torch.autograd.grad(drawn, (corners, features), part(scene.image_grad))
    (soft,) = torch.autograd.grad(mask, corners, part(scene.mask_grad))
    assert isinstance(drawn, Tensor)
    return [tensor.detach().double() for tensor in (drawn, mask, index, *hard, soft)]
