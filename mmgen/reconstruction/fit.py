"""Photos to assets without any learned prior: the template is fitted through the renderer.

The front is what the photo shows; depth and the unseen side are guesses. `network.py` is the other way.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from mmgen.core.errors import ItemError
from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.reconstruction.prepare import Framing, Prepared, as_unit, prepare_people
from mmgen.reconstruction.result import Body, Reconstructed, RunContext, finish
from mmgen.templates import named_template
from recon.fitting.fit_mask import FitConfig, SurfaceSmoother, fit_silhouette
from recon.fitting.stretch import stretched_triangles
from recon.predict import photo_fit
from recon.structures import Camera, TexturedMesh
from recon.texturing.bake import bake_texture
from recon.texturing.texels import TexelMap, map_texels

FIT_SIZE = (256, 128)
"""Height and width of the silhouettes that are fitted, pixels."""

MEASURE_SIZE = (128, 64)
"""Height and width at which MaskIoU and SSIM are measured, as published."""


class FitReconstructor:
    """Fits batches of photos. Heavy parts are made at the first batch; a result does not depend on its batch."""

    weights_sha256 = "none"

    def __init__(self, options: ReconstructOptions) -> None:
        self.options = options
        self._masks = MaskSource.parse(options.masks)
        self._fit = FitConfig(render_steps=options.steps)
        self._maps: dict[tuple[int, int], TexelMap] = {}
        self._framing = Framing(MEASURE_SIZE, FIT_SIZE, options.texture_size)

    @cached_property
    def _template(self) -> Any:
        return named_template(self.options.template).to(self.options.device)

    @cached_property
    def _smoother(self) -> SurfaceSmoother:
        return SurfaceSmoother(self._template, self._fit.smoothing)

    def _texels(self, size: tuple[int, int]) -> TexelMap:
        if size not in self._maps:
            self._maps[size] = map_texels(self._template, *size)
        return self._maps[size]

    def prepare(self, item: InputItem) -> tuple[Prepared, ...]:
        """Read the photo and its mask and cut out its people, from left to right.

        Raises:
            ItemError: what is wrong with the photo or the mask.
        """
        return prepare_people(item, self._masks, self._framing)

    def reconstruct(self, batch: list[Prepared]) -> Sequence[Reconstructed | ItemError]:
        """One asset per prepared photo, in order."""
        if not batch:
            return []
        template, device = self._template, self.options.device
        outlines = torch.stack([as_unit(item.outline) for item in batch if item.outline is not None]).to(device)
        fitted = fit_silhouette((outlines > 0.5).float(), template, self._fit, self._smoother)
        with torch.no_grad():
            vertices = template.vertices + fitted.offsets
            return [
                self._finished(item, shape[None], fitted.camera.at(index))
                for index, (item, shape) in enumerate(zip(batch, vertices, strict=True))
            ]

    def _finished(self, item: Prepared, vertices: torch.Tensor, camera: Camera) -> Reconstructed:
        template, device = self._template, self.options.device
        person = item.tensors().to(device)
        texels = self._texels(item.texture_size)
        baked = bake_texture(person.fine_image, person.fine_mask, vertices[0], camera, template, texels)
        mesh = TexturedMesh(vertices, template.faces, template.face_uv, baked.texture[None])
        source = "fitted to the silhouette; depth is a guess"
        fit = photo_fit(mesh, camera, person.image, person.mask)
        body = Body(
            mesh,
            camera,
            baked.seen_fraction,
            baked.vertex_seen,
            source,
            fit,
            stretched_triangles=stretched_triangles(vertices[0], template),
        )
        return finish(item, body, RunContext(self.options, self.weights_sha256))
