"""The data folders of a training, read into banks once; what is slow to make is kept in a cache folder."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mmgen.mask_training import bank
from mmgen.mask_training.bank import Item
from mmgen.mask_training.manifest import PersonManifest
from mmgen.mask_training.scenes import Sources


@dataclass(frozen=True)
class Folders:
    """Where the data lies; what is None is left out.

    Attributes:
        people: `photos/`, `labels/`, `split.csv` with `train`, `val` and perhaps `unlabelled`.
        nobody: `photos/` and `split.csv`: clothes without people.
        avatars: rigged people, GLB.
        teacher: guessed masks of the unlabelled photos.
        facings: CSV of azimuths that a pose network guessed.
        generated: a data set of `mmgen synth`.
        things: pictures of anything but people.
        cache: what was read and drawn, to begin faster the next time.
    """

    people: Path
    nobody: Path
    avatars: Path | None = None
    teacher: Path | None = None
    facings: Path | None = None
    generated: Path | None = None
    things: Path | None = None
    cache: Path | None = None

    def training_sources(self, manifest: PersonManifest) -> Sources:
        """What scenes are made of: training splits alone, and avatars that are not held out."""
        avatars, generated, things = self.avatar_items(manifest, False), self.generated, self.things
        return Sources(
            self._kept("photos", self._photos),
            avatars,
            self._kept("generated", lambda: bank.generated_people(generated / "bounding_box_train"))
            if generated is not None else (),
            self._kept("clothes", lambda: bank.people_free(self.nobody, "train")),
            self._kept("things", lambda: bank.loose_pictures(things)) if things is not None else (),
        )  # fmt: skip

    def avatar_items(self, manifest: PersonManifest, is_held_out: bool) -> list[Item]:
        """Drawn avatars, those to learn from or the others."""
        folder = self.avatars
        if folder is None:
            return []
        paths = sorted(path for path in folder.glob("*.glb") if manifest.is_held_out(path.stem) == is_held_out)
        name = "avatars-held-out" if is_held_out else "avatars"
        return self._kept(name, lambda: bank.drawn_avatars(paths, manifest.views, manifest.seed))

    def _photos(self) -> Iterable[Item]:
        yield from bank.labelled_people(self.people, "train", facings=self.facings)
        if self.teacher is not None:
            yield from bank.labelled_people(self.people, "unlabelled", self.teacher, self.facings)

    def _kept(self, name: str, make: Callable[[], Iterable[Item]]) -> list[Item]:
        if self.cache is None:
            return list(make())
        path = self.cache / f"{name}.npz"
        if not path.exists():
            bank.save_items(path, list(make()))
        return bank.load_items(path)
