"""What is scored: networks, meshes of a reconstruction run, masks of any method, or answers that need no learning."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch

from mmgen.core.errors import ItemError
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.mesh_predictions import MeshFolder
from mmgen.evaluation.photos import Loaded, load, load_person
from mmgen.reconstruction.network import PhotoPredictor
from mmgen.templates import named_template
from recon.evaluation.baselines import billboard_answer, template_answer
from recon.evaluation.predictions import Prediction
from recon.evaluation.surfaces import Surface
from recon.fitting.fit_mask import frontal_camera
from recon.predict import PredictedPerson
from recon.structures import Camera
from recon.template import Template

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

    def load(self, item: DataSetPhoto) -> Loaded:
        """Read a photo in the frame that it is scored in; raises ItemError."""

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """One answer per photo, or why there is none, in order."""


def open_source(spec: SourceSpec, device: str, size: tuple[int, int] | None = None) -> Source:
    """Get a source ready.

    Args:
        device: device of the networks.
        size: (height, width) of scoring; None leaves it to the photo. Networks have their own.

    Raises:
        FatalError: it is missing or cannot be read.
        ValueError: the source gives no bodies but masks.
    """
    if spec.kind == "weights":
        return WeightsSource(Path(spec.value), device, spec.refine_steps)
    if spec.kind == "meshes":
        return MeshSource(Path(spec.value), size)
    if spec.kind == "trivial":
        return BaselineSource(spec.value, size)
    raise ValueError(f"{spec.kind} is no source of bodies")


class WeightsSource:
    """Predictions of trained networks, made and painted as `mmgen reconstruct` does."""

    def __init__(self, path: Path, device: str, refine_steps: int = 0) -> None:
        self._predict = PhotoPredictor(path, device, refine_steps=refine_steps)
        self.template = self._predict.weights.encoder.prototype.to("cpu")

    def load(self, item: DataSetPhoto) -> Loaded:
        """Cut the person out."""
        return load_person(item, self._predict.framing)

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """Predictions of all photos, on the CPU, where scoring is."""
        people = self._predict.predictor([photo.crop for photo in batch if photo.crop is not None])
        return [self._prediction(person) for person in people]

    def _prediction(self, person: PredictedPerson) -> Prediction:
        mesh, template = person.mesh, self.template
        surface = Surface(mesh.vertices[0].cpu(), template.faces, template.face_uv, mesh.texture.cpu())
        return Prediction(surface, person.camera.to("cpu"))


class MeshSource:
    """The assets of a run folder of `mmgen reconstruct`."""

    def __init__(self, folder: Path, size: tuple[int, int] | None = None) -> None:
        self.meshes, self._size = MeshFolder(folder), size
        self.template = named_template(DEFAULT_TEMPLATE)

    def load(self, item: DataSetPhoto) -> Loaded:
        """Read the whole photo."""
        return load(item, self._size)

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """Read each photo's asset."""
        found: list[Prediction | ItemError] = []
        for photo in batch:
            try:
                found.append(self.meshes.answer(photo))
            except ItemError as error:
                found.append(error)
        return found


class BaselineSource:
    """The mean shape seen from the front, or a cardboard cut-out of the photo."""

    def __init__(self, name: str, size: tuple[int, int] | None = None) -> None:
        if name not in TRIVIAL:
            raise ValueError(f"the trivial answers are {', '.join(TRIVIAL)}, not {name}")
        self._is_card, self._size = name == "billboard", size
        self.template = named_template(DEFAULT_TEMPLATE)

    def load(self, item: DataSetPhoto) -> Loaded:
        """Read the whole photo."""
        return load(item, self._size)

    def answers(self, batch: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """Predictions from the photo and its mask alone."""
        return [self._card(photo) if self._is_card else self._mean_shape(photo) for photo in batch]

    def _card(self, photo: Loaded) -> Prediction:
        camera = Camera(
            torch.zeros(1), torch.zeros(1), torch.tensor([CARD_DISTANCE]), torch.zeros(1, 2), focal=2 * CARD_DISTANCE
        )
        return Prediction(billboard_answer(photo.image, photo.mask), camera)

    def _mean_shape(self, photo: Loaded) -> Prediction:
        camera = frontal_camera(photo.mask[None], self.template)
        return Prediction(template_answer(self.template, camera, photo.image, photo.mask), camera)
