"""How a person network is trained, read from a TOML file."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.mask_training.training import Stage


@dataclass(frozen=True)
class PersonManifest:
    """A training without its data.

    Attributes:
        stages: one after the other.
        seed: random seed of scenes, poses and first weights.
        views: drawn of every avatar.
        held_out_avatars: beginnings of the names of avatars that are not trained on but measured.
    """

    about: str
    stages: tuple[Stage, ...]
    seed: int = 0
    views: int = 12
    held_out_avatars: tuple[str, ...] = ()

    def is_held_out(self, name: str) -> bool:
        """Whether an avatar is kept for measuring."""
        return name.startswith(self.held_out_avatars)


def read_person_manifest(path: Path) -> PersonManifest:
    """Read a manifest.

    Raises:
        FatalError: `manifest_invalid`.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        stages = tuple(Stage(**stage) for stage in tables.pop("stage"))
        unknown = sorted(set(tables) - {field.name for field in fields(PersonManifest)})
        if unknown or not stages:
            raise ValueError(f"unknown key {unknown[0]}" if unknown else "no stage")
        tables["held_out_avatars"] = tuple(tables.get("held_out_avatars", ()))
        return PersonManifest(stages=stages, **tables)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise FatalError(
            "manifest_invalid", f"manifest {display_name(path)}: {error}", "See manifests/person-network.toml."
        ) from error
