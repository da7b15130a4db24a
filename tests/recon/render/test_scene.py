"""`render`: what ends up in the picture, and that gradients reach everything that may be learned."""

import math
from dataclasses import replace

import pytest
import torch

from recon.camera import intrinsics_px, project, project_matrices, world_to_camera
from recon.render import RenderSettings, render, render_projected, render_silhouette
from recon.structures import Camera, TexturedMesh
from recon.template import ellipsoid_template

SIZE = (48, 24)
BACKENDS = ["numba", "torch"]
AMBIENT_LIGHT = torch.tensor([[3.0] + [0.0] * 8])


def body(texture: torch.Tensor, level: int = 2) -> TexturedMesh:
    template = ellipsoid_template(level=level)
    vertices = template.vertices.float().expand(len(texture), -1, -1)
    return TexturedMesh(vertices, template.faces, template.face_uv.float(), texture)


def plain(red: float, green: float, blue: float) -> torch.Tensor:
    return torch.tensor([red, green, blue])[None, :, None, None].expand(1, 3, 8, 4).clone()


def halves() -> torch.Tensor:
    """Front red over green (head to feet), back blue; see the texture convention in structures.py."""
    texture = torch.zeros(1, 3, 64, 16)
    texture[:, 2, :32] = 1
    texture[:, 0, 32:48] = 1
    texture[:, 1, 48:] = 1
    return texture


@pytest.mark.parametrize("backend", BACKENDS)
def test_front_and_back_appear_upright_on_white(backend):
    mesh, settings = body(halves()), RenderSettings(backend=backend)
    front = render(mesh, Camera.frontal(1), SIZE, settings=settings)
    assert front.image.shape == (1, 3, *SIZE) and front.mask.shape == front.face_index.shape == (1, *SIZE)
    assert front.image[0, :, 14, 12].tolist() == pytest.approx([1, 0, 0], abs=1e-6)
    assert front.image[0, :, 34, 12].tolist() == pytest.approx([0, 1, 0], abs=1e-6)
    assert (front.image[0, :, 0, 0] == 1).all() and front.face_index[0, 0, 0] == -1
    back = render(mesh, Camera.frontal(1).turned(180.0), SIZE, settings=settings)
    assert back.image[0, :, 14, 12].tolist() == pytest.approx([0, 0, 1], abs=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_unlit_colours_are_unchanged_and_ambient_light_dims_them(backend):
    mesh, settings = body(plain(0.2, 0.5, 1.0)), RenderSettings(backend=backend)
    camera = Camera.frontal(1)
    unlit = render(mesh, camera, SIZE, settings=settings)
    lit = render(mesh, camera, SIZE, light=AMBIENT_LIGHT, settings=settings)
    covered = unlit.face_index[0] >= 0
    colours = torch.tensor([0.2, 0.5, 1.0])[:, None]
    assert (unlit.image[0][:, covered] - colours).abs().max() < 1e-6
    assert (lit.image[0][:, covered] - colours * 0.84628437).abs().max() < 1e-6
    assert (lit.image[0][:, ~covered] == 1).all()
    bright = render(mesh, camera, SIZE, light=4 * AMBIENT_LIGHT, settings=settings).image
    assert bright.max() == 1 and bright[0, 0, 24, 12] == pytest.approx(0.2 * 4 * 0.84628437, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_background_shows_untouched_unless_published_shading_is_asked_for(backend):
    mesh, background = body(plain(0.0, 0.0, 0.0)), torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    light = AMBIENT_LIGHT.clone()
    light[0, 6] = 0.1
    settings = RenderSettings(backend=backend)
    own = render(mesh, Camera.frontal(1), SIZE, light=light, background=background, settings=settings)
    around = (own.face_index < 0)[:, None].expand_as(background)
    assert torch.equal(own.image[around], background[around])
    assert (own.image[~around] == 0).all()
    published = replace(settings, shade_background=True)
    shaded = render(mesh, Camera.frontal(1), SIZE, light=light, background=background, settings=published).image
    gain = 3 * 0.28209479177 - 0.1 * 0.31539156525
    assert torch.allclose(shaded[around], background[around] * gain, atol=1e-6)
    on_white = render(mesh, Camera.frontal(1), SIZE, light=light, settings=published).image
    assert on_white[around].unique().tolist() == pytest.approx([gain], abs=1e-6)


def test_a_side_light_brightens_its_side():
    light = AMBIENT_LIGHT.clone()
    light[0, 1] = 1.0
    image = render(body(plain(0.5, 0.5, 0.5), level=3), Camera.frontal(1), SIZE, light=light).image[0, 0]
    row = image[24][image[24] < 0.99]
    assert row[-1] > row[len(row) // 2] > row[0]


@pytest.mark.parametrize("lit", [False, True])
def test_fast_and_portable_rendering_agree_in_values_and_gradients(lit):
    generator = torch.Generator().manual_seed(1)
    mesh = body(torch.rand(2, 3, 16, 8, generator=generator))
    light = (AMBIENT_LIGHT + 0.3 * torch.randn(2, 9, generator=generator)) if lit else None
    background = torch.rand(2, 3, *SIZE, generator=generator)
    weights = torch.randn(2, 3, *SIZE, generator=generator), torch.randn(2, *SIZE, generator=generator)
    results = []
    for backend, dtype in (("numba", torch.float32), ("torch", torch.float64)):
        learned = [tensor.to(dtype).requires_grad_() for tensor in (mesh.vertices, mesh.texture, background)]
        camera_values = [torch.full((2,), value, dtype=dtype, requires_grad=True) for value in (30.0, 5.0, 3.8)]
        offset = torch.full((2, 2), 0.05, dtype=dtype, requires_grad=True)
        own_light = light.to(dtype).requires_grad_() if light is not None else None
        drawn = render(
            TexturedMesh(learned[0], mesh.faces, mesh.face_uv.to(dtype), learned[1]),
            Camera(*camera_values, offset), SIZE,
            light=own_light, background=learned[2], settings=RenderSettings(backend=backend),
        )  # fmt: skip
        inputs = [*learned, *camera_values, offset, *([own_light] if own_light is not None else [])]
        loss = (drawn.image * weights[0]).sum() + (drawn.mask * weights[1]).sum()
        results.append(([drawn.image, drawn.mask, drawn.face_index], torch.autograd.grad(loss, inputs)))
    (fast, fast_grads), (exact, exact_grads) = results
    assert torch.equal(fast[2], exact[2])
    assert (fast[0] - exact[0]).abs().max() < 2e-5 and (fast[1] - exact[1]).abs().max() < 1e-5
    for found, expected in zip(fast_grads, exact_grads, strict=True):
        assert expected.norm() > 0
        assert (found - expected).norm() < 2e-3 * expected.norm()


def test_v_wraps_around_in_both_paths():
    mesh = body(torch.rand(1, 3, 16, 8, generator=torch.Generator().manual_seed(2)))
    moved = replace(mesh, face_uv=mesh.face_uv + torch.tensor([0.0, 2.0]))
    for backend in BACKENDS:
        settings = RenderSettings(backend=backend)
        image = render(mesh, Camera.frontal(1), SIZE, settings=settings).image
        assert torch.allclose(render(moved, Camera.frontal(1), SIZE, settings=settings).image, image, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_faces_without_area_are_dropped_unless_asked_to_be_kept(backend):
    vertices = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    mesh = TexturedMesh(vertices, torch.tensor([[0, 1, 2]]), torch.zeros(1, 3, 2), plain(1.0, 0.0, 0.0))
    ndc, in_camera = vertices[..., :2], vertices - torch.tensor([0.0, 0.0, 4.0])
    for keep in (False, True):
        settings = RenderSettings(backend=backend, drop_degenerate=not keep)
        drawn = render_projected(mesh, ndc, in_camera, (5, 8), settings=settings)
        # The line has no height, so its half-open box holds no pixel centre either way; the mask sees it.
        assert (drawn.face_index == -1).all() and drawn.mask.max() > 0.9
    slanted = ndc @ torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    hits = [
        int((render_projected(mesh, slanted, in_camera, (8, 8), settings=s).face_index >= 0).sum())
        for s in (RenderSettings(backend=backend), RenderSettings(backend=backend, drop_degenerate=False))
    ]
    assert hits == [0, 8]


def test_matrices_draw_the_same_picture_as_the_orbit_camera():
    mesh, camera = body(halves()), Camera.frontal(1).turned(40.0)
    intrinsics = intrinsics_px(camera, *SIZE)[None]
    ndc, in_camera = project_matrices(mesh.vertices, world_to_camera(camera), intrinsics, *SIZE)
    by_matrix = render_projected(mesh, ndc, in_camera, SIZE)
    drawn = render(mesh, camera, SIZE)
    assert torch.equal(by_matrix.face_index, drawn.face_index)
    assert torch.allclose(by_matrix.image, drawn.image, atol=1e-4)
    mask, index = render_silhouette(ndc, in_camera, mesh.faces, SIZE)
    assert torch.equal(mask, by_matrix.mask) and torch.equal(index, by_matrix.face_index)


def test_opposite_views_of_a_mirrored_texture_are_mirror_images():
    half = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    mesh = body(torch.cat((half, half.flip(2)), dim=2), level=3)
    one = render(mesh, Camera.frontal(1).turned(25.0), SIZE, light=AMBIENT_LIGHT)
    other = render(mesh, Camera.frontal(1).turned(155.0), SIZE, light=AMBIENT_LIGHT)
    both = (one.face_index >= 0) & (other.face_index.flip(2) >= 0)
    assert both.sum() > 200
    # Two faces look edge-on from one side and not from the other, hence the median.
    assert (one.image - other.image.flip(3)).abs()[both[:, None].expand_as(one.image)].median() < 1e-3


def test_descent_on_the_mask_fits_a_silhouette():
    template = ellipsoid_template(level=1)
    target = render_silhouette(
        *_projected(template.vertices.float() * torch.tensor([1.3, 0.8, 1.0])), template.faces, SIZE
    )
    wanted = (target[1] >= 0).float()
    scale = torch.ones(3, requires_grad=True)
    optimiser, ious = torch.optim.Adam([scale], lr=0.03), []
    for _ in range(30):
        mask, _ = render_silhouette(*_projected(template.vertices.float() * scale), template.faces, SIZE)
        iou = (mask * wanted).sum() / (mask + wanted - mask * wanted).sum()
        optimiser.zero_grad()
        (1 - iou).backward()
        optimiser.step()
        ious.append(iou.item())
    assert ious[0] < 0.75 and ious[-1] > 0.93
    assert math.isclose(scale[0].item(), 1.3, abs_tol=0.06) and math.isclose(scale[1].item(), 0.8, abs_tol=0.06)


def _projected(vertices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return project(vertices[None], Camera.frontal(1), *SIZE)
