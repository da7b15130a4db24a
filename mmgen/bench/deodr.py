"""DEODR on the bench scenes: another differentiable CPU rasteriser, to compare speed with.

It does less than DIB-R (no soft mask, silhouettes by antialiased edges, one image per call) and computes in float64.
Finding its silhouette edges is left out of the time, in its favour.
"""

from typing import Any

import numpy as np
import torch

from mmgen.bench.scenes import FEATURES, Scene
from recon.geometry import build_topology

EDGE_WIDTH_PX = 1.0


def is_installed() -> bool:
    """Whether DEODR can be imported."""
    try:
        import deodr.differentiable_renderer  # noqa: F401
    except ImportError:
        return False
    return True


class DeodrScenes:
    """The images of a scene as DEODR scenes."""

    def __init__(self, scene: Scene) -> None:
        edges = _edges_of_faces(scene)
        self._scenes = [_deodr_scene(scene, image, edges) for image in range(scene.spec.batch)]
        self._grads = [grad.numpy().astype(np.float64) for grad in scene.image_grad]

    def forward(self) -> list[np.ndarray]:
        """Draw every image, [H, W, 3] each."""
        return [scene.render(EDGE_WIDTH_PX)[0] for scene in self._scenes]

    def forward_backward(self) -> None:
        """Draw every image and propagate its gradient to positions and colours."""
        for scene, grad in zip(self._scenes, self._grads, strict=True):
            scene.clear_gradients()
            scene.render(EDGE_WIDTH_PX)
            scene.render_backward(grad, make_copies=False)

    def coverage(self) -> float:
        """Share of pixels that are not background."""
        return float(np.mean([np.isfinite(scene.render(EDGE_WIDTH_PX)[1]).mean() for scene in self._scenes]))


def _edges_of_faces(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Edge number of every face side [F, 3] and the two faces at every edge [E, 2]."""
    faces = scene.mesh.faces
    topology = build_topology(faces, scene.mesh.vertices.shape[1])
    count = scene.mesh.vertices.shape[1]
    keys = topology.edges[:, 0] * count + topology.edges[:, 1]
    sides = torch.stack((faces, faces.roll(-1, dims=1)), dim=-1).sort(dim=-1).values
    return torch.searchsorted(keys, sides[..., 0] * count + sides[..., 1]).numpy(), topology.edge_faces.numpy()


def _deodr_scene(scene: Scene, image: int, edges: tuple[np.ndarray, np.ndarray]) -> Any:
    from deodr.differentiable_renderer import Scene2D

    height, width = scene.spec.height, scene.spec.width
    ndc = scene.vertices_ndc[image].numpy().astype(np.float64)
    columns_rows = np.stack(((ndc[:, 0] + 1) * width / 2 - 0.5, (1 - ndc[:, 1]) * height / 2 - 0.5), axis=1)
    faces = scene.mesh.faces.numpy().astype(np.uint32)
    depth = np.empty(len(ndc))
    depth[faces] = -scene.corners_z[image].numpy()
    corners = columns_rows[faces]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    visible = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] < 0
    side_edges, edge_faces = edges
    silhouette = visible[edge_faces].sum(axis=1) == 1
    count = len(ndc)
    return Scene2D(
        faces=faces,
        faces_uv=faces,
        ij=columns_rows,
        depths=depth,
        textured=np.zeros(len(faces), bool),
        uv=np.zeros((count, 2)),
        shade=np.zeros(count),
        colors=scene.colours[image].numpy().astype(np.float64),
        shaded=np.zeros(len(faces), bool),
        edgeflags=silhouette[side_edges],
        height=height,
        width=width,
        nb_colors=FEATURES,
        texture=np.zeros((0, 0, FEATURES)),
        background_color=np.zeros(FEATURES),
        clockwise=False,
        backface_culling=True,
    )
