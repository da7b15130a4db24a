"""How fast the renderer could be at best: work counted on the scene itself, times assumed rates of one core."""

from dataclasses import asdict, dataclass

import torch

from mmgen.bench.scenes import FEATURES, Scene
from recon.render.api import dibr_rasterization
from recon.render.torch_pairs import box_pairs

BOXLEN = 0.02
KNUM = 30


@dataclass(frozen=True)
class Rates:
    """Assumed, not measured: one AVX2 core at about 2.5 GHz, memory streams from the last cache level."""

    gigabytes_per_s: float = 9.0
    face_setup_ns: float = 10.0
    inside_test_ns: float = 2.0
    distance_ns: float = 10.0
    covered_pixel_backward_ns: float = 10.0


def estimated_limit(scene: Scene, rates: Rates = Rates()) -> dict[str, object]:
    """Estimated lowest milliseconds per image, with the counts and rates that it follows from."""
    counts = _count_work(scene)
    pixels, faces = scene.spec.height * scene.spec.width, len(scene.mesh.faces)
    inputs = 4 * faces * (3 + 6 + 3 * FEATURES) + faces
    outputs = pixels * (4 * FEATURES + 8 + 4)
    gradients = pixels * 4 * (FEATURES + 1) + 4 * faces * (6 + 3 * FEATURES)
    stream_ns = (inputs + outputs) / rates.gigabytes_per_s
    forward_ns = (
        stream_ns
        + faces * rates.face_setup_ns
        + counts["hard_tests"] * rates.inside_test_ns
        + counts["soft_pairs"] * rates.distance_ns
    )
    backward_ns = (
        (gradients + inputs) / rates.gigabytes_per_s
        + faces * rates.face_setup_ns
        + counts["soft_pairs"] * rates.distance_ns
        + counts["covered_pixels"] * rates.covered_pixel_backward_ns
    )
    return {
        "is": "an estimate from counted work and assumed rates, not a measurement",
        "forward": forward_ns / 1e6,
        "forward_backward": (forward_ns + backward_ns) / 1e6,
        "counted_per_image": counts,
        "assumed_rates": asdict(rates),
    }


def _count_work(scene: Scene) -> dict[str, float]:
    size, batch = (scene.spec.height, scene.spec.width), scene.spec.batch
    with torch.no_grad():
        drawn = dibr_rasterization(*size, scene.corners_z, scene.corners, scene.features, scene.normals_z)
        open_pixels = (drawn[2] < 0).flatten(1)
        tests, _ = box_pairs(scene.corners, scene.normals_z >= 0, size, 0.0)
        face, pixel = box_pairs(scene.corners, torch.ones_like(scene.normals_z, dtype=torch.bool), size, BOXLEN)
    image = face // len(scene.mesh.faces)
    near = open_pixels[image, pixel]
    per_pixel = torch.bincount((image * open_pixels.shape[1] + pixel)[near], minlength=open_pixels.numel())
    return {
        "hard_tests": len(tests) / batch,
        "enlarged_box_visits": len(face) / batch,
        "soft_pairs": float(per_pixel.clamp(max=KNUM).sum()) / batch,
        "silhouette_pixels": float((per_pixel > 0).sum()) / batch,
        "covered_pixels": float((~open_pixels).sum()) / batch,
    }
