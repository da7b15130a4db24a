"""Photos to assets in one forward pass of trained networks, with the photo itself on what it shows."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

from mmgen.core.errors import ItemError
from mmgen.core.files import sha256_file
from mmgen.masks.structures import MaskSource
from mmgen.models.weights import Weights, load_weights, read_config
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.options import FacingChoice, ReconstructOptions, with_choices
from mmgen.reconstruction.prepare import Framing, Prepared, prepare_people
from mmgen.reconstruction.result import Body, Reconstructed, RunContext, finish
from recon.fitting.stretch import stretched_triangles
from recon.predict import PredictedPerson, Predictor


class PhotoPredictor:
    """The networks of a weights file, loaded at the first photo: prepared photos in, predicted people out.

    Attributes:
        framing: the crops that photos have to be prepared with.
        weights_sha256: SHA-256 of the file.

    Raises:
        FatalError: the weights file is missing, damaged, or none of ours.
    """

    def __init__(
        self,
        weights: Path,
        device: str,
        texture_size: tuple[int, int] | None = None,
        refine_steps: int = 0,
        facing: FacingChoice = "auto",
    ) -> None:
        self._path, self._device, self._refine_steps = weights, device, refine_steps
        config = read_config(weights)
        self.weights_sha256 = sha256_file(weights)
        self.framing = Framing((config.height, config.width), None, texture_size, facing)

    @cached_property
    def weights(self) -> Weights:
        """The networks."""
        return _loaded(self._path, self.weights_sha256, self._device)

    @cached_property
    def predictor(self) -> Predictor:
        """The prediction path of these networks."""
        return Predictor(self.weights.encoder, self._refine_steps)

    def __call__(self, batch: Sequence[Prepared]) -> list[PredictedPerson]:
        """One prediction per prepared person, in order; it does not depend on the others."""
        return self.predictor([item.tensors() for item in batch])


@lru_cache(maxsize=1)
def _loaded(path: Path, sha256: str, device: str) -> Weights:
    """The weights last used: what a person chose for one photo (see `Choices`) wants no second copy of them."""
    return load_weights(path, device)


class NetworkReconstructor:
    """Photos to assets. A result does not depend on its batch.

    Raises:
        FatalError: as from `PhotoPredictor`.
    """

    def __init__(self, options: ReconstructOptions) -> None:
        assert options.weights is not None
        self.options = options
        self._masks = MaskSource.parse(options.masks)
        self.predict = PhotoPredictor(
            options.weights, options.device, options.texture_size, options.steps, options.facing
        )
        self.weights_sha256 = self.predict.weights_sha256
        self._others: dict[ReconstructOptions, NetworkReconstructor] = {}

    def chosen_for(self, item: InputItem) -> "NetworkReconstructor":
        """The reconstructor with what somebody chose for this item; itself where nothing is chosen."""
        options = with_choices(self.options, item.choices)
        if options == self.options:
            return self
        if options not in self._others:
            self._others[options] = NetworkReconstructor(options)
        return self._others[options]

    def prepare(self, item: InputItem) -> tuple[Prepared, ...]:
        """Read the photo and its mask and cut out its people, as large in their crops as in the training photos.

        Raises:
            ItemError: what is wrong with the photo or the mask.
        """
        return prepare_people(item, self._masks, self.chosen_for(item).predict.framing)

    def reconstruct(self, batch: list[Prepared]) -> Sequence[Reconstructed | ItemError]:
        """One asset per prepared photo, in order."""
        made: dict[int, Reconstructed] = {}
        for maker, places in self.shared([one.item for one in batch]):
            made |= zip(places, maker._finished([batch[place] for place in places]), strict=True)
        return [made[place] for place in range(len(batch))]

    def shared(self, items: Sequence[InputItem]) -> "list[tuple[NetworkReconstructor, list[int]]]":
        """Who is to make which of the items, by their places, as was chosen for each."""
        makers = [self.chosen_for(item) for item in items]
        return [
            (maker, [place for place, other in enumerate(makers) if other is maker]) for maker in dict.fromkeys(makers)
        ]

    def _finished(self, batch: list[Prepared]) -> list[Reconstructed]:
        people, origin = self.predict(batch), RunContext(self.options, self.weights_sha256)
        return [finish(item, self.body(person), origin) for item, person in zip(batch, people, strict=True)]

    def body(self, person: PredictedPerson) -> Body:
        """A predicted person with what assets say about it."""
        baked, light = person.baked, person.attributes.light
        return Body(
            person.mesh,
            person.camera,
            baked.seen_fraction,
            baked.vertex_seen,
            self.offsets_source,
            person.fit,
            () if light is None else tuple(light[0].tolist()),
            person.is_turned,
            stretched_triangles(person.mesh.vertices[0], self.predict.weights.encoder.prototype),
        )

    @property
    def offsets_source(self) -> str:
        """Where shapes come from, in words."""
        refined = f", then refined on the silhouette in {self.options.steps} steps" if self.options.steps else ""
        return f"predicted by the networks{refined}"
