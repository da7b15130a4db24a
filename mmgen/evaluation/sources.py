"""What is scored: networks, meshes of a reconstruction run, masks of any method, or answers that need no learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from mmgen.core.errors import ItemError
from mmgen.evaluation.mesh_predictions import MeshFolder
from mmgen.evaluation.photos import Fit, Loaded, Sizing
from mmgen.templates import named_template
from recon.batching import separated
from recon.camera import in_camera_frame
from recon.evaluation.baselines import billboard_answer, template_answer
from recon.evaluation.predictions import Prediction, predictions_of
from recon.exposure import exposed, exposure_gain, unexposed
from recon.fitting.descent import SurfaceSmoother
from recon.fitting.fit_mask import frontal_camera
from recon.fitting.refine import RefineConfig, refine_shape
from recon.structures import Attributes, Camera, Sample
from recon.template import Template
from recon.texturing.blend import TextureBlender, textures_in_light
from recon.texturing.layout import TexelLayout

SourceKind = Literal["weights", "meshes", "predicted-masks", "trivial"]

TRIVIAL = ("template", "billboard")
DEFAULT_TEMPLATE = "person"
CARD_DISTANCE = 50.0
"""From which the cut-out is photographed, image heights: far enough for its thickness not to show."""


@dataclass(frozen=True)
class SourceSpec:
    """Which source; picklable.

    Attributes:
        kind: `weights`, `meshes`, `predicted-masks` or `trivial`.
        value: file, folder, or the name of the trivial answer.
        refine_steps: steps through the renderer after the networks' answer; for weights alone.
    """

    kind: SourceKind
    value: str
    refine_steps: int = 0


class Source(Protocol):
    """Answers photos. An answer must not depend on the batch."""

    @property
    def template(self) -> Template:
        """The mean shape that is scored beside the answers."""

    @property
    def sizing(self) -> Sizing:
        """At which size it wants its photos."""

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """One answer per photo, or why there is none, in order."""


def open_source(spec: SourceSpec, device: str) -> Source:
    """Get a source ready.

    Raises:
        FatalError: it is missing or cannot be read.
        ValueError: the source gives no bodies but masks.
    """
    if spec.kind == "weights":
        return WeightsSource(Path(spec.value), device, spec.refine_steps)
    if spec.kind == "meshes":
        return MeshSource(Path(spec.value))
    if spec.kind == "trivial":
        return BaselineSource(spec.value)
    raise ValueError(f"{spec.kind} is no source of bodies")


class WeightsSource:
    """Predictions of trained networks; with refinement steps, fitted further to each photo and textured from it."""

    def __init__(self, path: Path, device: str, refine_steps: int = 0) -> None:
        from mmgen.models.weights import load_weights

        weights = load_weights(path, device)
        self._device = device
        self._encoder = weights.encoder
        config = weights.encoder.config
        self.sizing = Sizing((config.height, config.width), _fit(weights.header))
        self.template = weights.encoder.prototype.to("cpu")
        self._finisher = Finisher(weights.encoder.prototype, config.texture_size, refine_steps)

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """Encode all photos at once, as `mmgen reconstruct` does; answers come back on the CPU, where scoring is."""
        image = torch.stack([photo.image for photo in batch])
        mask = torch.stack([photo.mask for photo in batch])
        sample = Sample(image.to(self._device), mask.to(self._device))
        with torch.no_grad():
            gain = exposure_gain(sample)
            attributes = unexposed(self._encoder(exposed(sample, gain)), gain)
        return list(predictions_of(_on_cpu(self._finisher(attributes, sample)), self.template))


class Finisher:
    """Refines what networks say, and puts the photo on it; does nothing with 0 steps.

    Args:
        prototype: what the offsets start from.
        texture_size: (height, width) of the textures.
        steps: of the refinement.
    """

    def __init__(self, prototype: Template, texture_size: tuple[int, int], steps: int) -> None:
        self._prototype = prototype
        self._config = RefineConfig(steps=steps)
        if steps:
            self._smoother = SurfaceSmoother(prototype, self._config.smoothing)
            self._blender = TextureBlender(TexelLayout(prototype, *texture_size))

    def __call__(self, attributes: Attributes, sample: Sample) -> Attributes:
        """Refined answers, unlit: the light is in the texture."""
        if self._config.steps == 0:
            return attributes
        refined = refine_shape(attributes, sample, self._prototype, self._config, self._smoother)
        with torch.no_grad():
            textures = [
                self._blender(
                    painted, image, mask, self._prototype.vertices + one.offsets[0], in_camera_frame(one.camera)
                ).texture
                for painted, image, mask, one in zip(
                    textures_in_light(refined), sample.image, sample.mask, separated(refined), strict=True
                )
            ]
        return replace(refined, texture=torch.stack(textures), light=None)


class MeshSource:
    """The assets of a run folder of `mmgen reconstruct`."""

    sizing = Sizing()

    def __init__(self, folder: Path) -> None:
        self._meshes = MeshFolder(folder)
        self.template = named_template(DEFAULT_TEMPLATE)

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """Read each photo's asset."""
        found: list[Prediction | ItemError] = []
        for photo in batch:
            try:
                found.append(self._meshes.answer(photo))
            except ItemError as error:
                found.append(error)
        return found


class BaselineSource:
    """The mean shape seen from the front, or a cardboard cut-out of the photo."""

    sizing = Sizing()

    def __init__(self, name: str) -> None:
        if name not in TRIVIAL:
            raise ValueError(f"the trivial answers are {', '.join(TRIVIAL)}, not {name}")
        self._is_card = name == "billboard"
        self.template = named_template(DEFAULT_TEMPLATE)

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """Look at nothing but the photo and the outline of its mask."""
        return [self._card(photo) if self._is_card else self._mean_shape(photo) for photo in batch]

    def _card(self, photo: Loaded) -> Prediction:
        camera = Camera(
            torch.zeros(1), torch.zeros(1), torch.tensor([CARD_DISTANCE]), torch.zeros(1, 2), focal=2 * CARD_DISTANCE
        )
        return Prediction(billboard_answer(photo.image, photo.mask), camera)

    def _mean_shape(self, photo: Loaded) -> Prediction:
        camera = frontal_camera(photo.mask[None], self.template)
        return Prediction(template_answer(self.template, camera, photo.image, photo.mask), camera)


def _fit(header: Mapping[str, Any]) -> Fit:
    """How the photos were fitted in training; weights without a record of it are of photos that needed none."""
    try:
        return "pad" if header["training"]["manifest"]["data"]["fit"] == "pad" else "stretch"
    except (KeyError, TypeError):
        return "stretch"


def _on_cpu(attributes: Attributes) -> Attributes:
    camera, light = attributes.camera, attributes.light
    poses = Camera(
        camera.azimuth_deg.cpu(),
        camera.elevation_deg.cpu(),
        camera.distance.cpu(),
        camera.offset.cpu(),
        camera.focal,
        camera.offset_frame,
    )
    return Attributes(poses, attributes.offsets.cpu(), attributes.texture.cpu(), None if light is None else light.cpu())
