"""Every backend against the float64 reference, values and gradients; the reference against central differences."""

from functools import cache

import pytest
import torch
from render_samples import CHOICES, EXACT, NAMES, body, values_and_gradients

SCENES = [
    pytest.param(1, 2, (33, 17), {}, id="odd-size"),
    pytest.param(2, 1, (24, 40), {}, id="wide"),
    pytest.param(2, 2, (40, 24), {"knum": 2}, id="two-faces-per-pixel"),
    pytest.param(1, 1, (12, 70), {"boxlen": 0.2, "sigmainv": 70.0}, id="wide-reach"),
    pytest.param(3, 1, (32, 16), {"multiplier": 10.0, "eps": 1e-6}, id="coarse-epsilons"),
]


@cache
def exact_result(level: int, batch: int, size: tuple[int, int], **options: float) -> dict[str, torch.Tensor]:
    """The slow reference, once per scene."""
    return values_and_gradients(body(level, batch, size, seed=level), size, EXACT, **options)


@pytest.mark.parametrize("choice", CHOICES[1:], ids=NAMES[1:])
@pytest.mark.parametrize(("level", "batch", "size", "options"), SCENES)
def test_backends_agree_with_the_reference(choice, level, batch, size, options):
    scene = body(level, batch, size, seed=level)
    truth = exact_result(level, batch, size, **options)
    found = values_and_gradients(scene, size, choice, **options)
    assert 0.01 < (truth["index"] >= 0).double().mean() < 0.9
    assert torch.equal(found["index"], truth["index"])
    exact = choice[1] == torch.float64
    assert (found["features"] - truth["features"]).abs().max() < (1e-12 if exact else 5e-6)
    assert (found["mask"] - truth["mask"]).abs().max() < (1e-12 if exact else 1e-5)
    for name in ("xy", "corner features", "mask to xy"):
        assert truth[name].norm() > 0
        assert (found[name] - truth[name]).norm() < (1e-10 if exact else 3e-5) * truth[name].norm(), name


def test_reference_gradients_match_central_differences():
    size, step = (16, 12), 1e-6
    scene = body(1, 1, size, seed=3)
    gradients = values_and_gradients(scene, size, EXACT)
    generator = torch.Generator().manual_seed(5)
    weights = (
        torch.randn(1, *size, 3, generator=generator).double(),
        torch.randn(1, *size, generator=generator).double(),
    )

    def losses(xy: torch.Tensor) -> tuple[float, float, torch.Tensor]:
        moved = type(scene)(scene.z, xy, scene.features, scene.normals_z)
        drawn = values_and_gradients(moved, size, EXACT)
        return (
            float((drawn["features"] * weights[0]).sum()), float((drawn["mask"] * weights[1]).sum()), drawn["index"],
        )  # fmt: skip

    checked, directions = 0, torch.randn(6, *scene.xy.shape, generator=generator).double()
    for direction in directions:
        up, down = losses(scene.xy + step * direction), losses(scene.xy - step * direction)
        if not torch.equal(up[2], down[2]):
            continue  # The winner changed: the loss jumps there, and the gradient leaves that out by definition.
        checked += 1
        for part, name in enumerate(("xy", "mask to xy")):
            slope, predicted = (up[part] - down[part]) / (2 * step), float((gradients[name] * direction).sum())
            assert predicted == pytest.approx(slope, rel=2e-4, abs=1e-3), name
    assert checked >= 4


@pytest.mark.parametrize("choice", CHOICES, ids=NAMES)
def test_position_gradient_is_minus_feature_gradient_times_slope(choice):
    size = (32, 24)
    scene = body(1, 1, size, seed=2)
    found = values_and_gradients(scene, size, choice, eps=1e-14)
    u, v = scene.xy[:, :, 1] - scene.xy[:, :, 0], scene.xy[:, :, 2] - scene.xy[:, :, 0]
    area = u[..., 0] * v[..., 1] - v[..., 0] * u[..., 1]
    d1, d2 = scene.features[:, :, 1] - scene.features[:, :, 0], scene.features[:, :, 2] - scene.features[:, :, 0]
    slope_x = (d1 * v[..., 1:] - d2 * u[..., 1:]) / area[..., None]
    slope_y = (d2 * u[..., :1] - d1 * v[..., :1]) / area[..., None]
    slope = torch.stack((slope_x, slope_y), dim=-1)
    predicted = -torch.einsum("bfid,bfdk->bfik", found["corner features"], slope)
    assert (predicted - found["xy"]).norm() < 1e-4 * found["xy"].norm()
