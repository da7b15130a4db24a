"""Rigged people in the crowd: who is cast from a folder of avatars, in which colours and of which build."""

import hashlib
import zlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.synth.palette import Colour
from mmgen.synth.recolour import REGIONS, Dye, cloth_regions, recoloured, sample_dye, sample_hair
from mmgen.synth.rigged import Matrices, RiggedPerson
from mmgen.synth.rigged_file import check_rigged, read_rigged
from mmgen.synth.streams import stream

HELD_OUT = ("AIAN_M_1", "Asian_F_2", "Black_M_2", "Hispanic_F_3", "MENA_M_2", "White_F_2")
"""Beginnings of the names of avatars that are test people: those that the person network has not learned from."""


@dataclass(frozen=True)
class AvatarIdentity:
    """One rigged person: the same body, face and clothes in every picture.

    Attributes:
        avatar: name of the file without its ending.
        hair: mean colour of dyed hair, None for their own.
        top, bottom, shoes: what became of the clothes' colours.
        girth: thickness over that of the file.
        legs: length of the legs over that of the file.
    """

    split: str
    index: int
    avatar: str
    hair: Colour | None
    top: Dye
    bottom: Dye
    shoes: Dye
    girth: float
    legs: float


@lru_cache(maxsize=4)
def avatar_files(folder: Path, split: str) -> tuple[Path, ...]:
    """GLBs of a folder whose people are of a split, sorted by name.

    Raises:
        FatalError: `no_avatars`, if there is none.
    """
    files = sorted(folder.glob("*.glb")) if folder.is_dir() else []
    chosen = tuple(file for file in files if file.stem.startswith(HELD_OUT) == (split == "test"))
    if not chosen:
        cure = "Give a folder of rigged GLB files with --avatars."
        if files:
            cure = "Use --test-fraction 0, or add avatars; test people are those named " + ", ".join(HELD_OUT)
        raise FatalError("no_avatars", f"no {split} people among the avatars in {display_name(folder)}", cure)
    return chosen


def avatars_digest(folder: Path, splits: tuple[str, ...]) -> str:
    """Names and contents of a folder's avatars in sixteen digits, after a look at every file.

    Raises:
        FatalError: `no_avatars`; `avatar_unusable`.
    """
    digest = hashlib.sha256()
    for split in splits:
        for file in avatar_files(folder, split):
            check_rigged(file)
            digest.update(file.name.encode("utf-8", "surrogateescape") + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def avatar_identity(seed: int, split: str, index: int, folder: Path) -> AvatarIdentity:
    """Person number `index` of a split; the same whatever else is generated.

    Raises:
        FatalError: `no_avatars`.
    """
    files = avatar_files(folder, split)
    # In turn rather than drawn, so that all are cast equally often.
    order = stream(seed, split, index // len(files), "avatars").permutation(len(files))
    generator = stream(seed, split, index, "avatar")
    return AvatarIdentity(
        split=split,
        index=index,
        avatar=files[int(order[index % len(files)])].stem,
        hair=sample_hair(generator),
        top=sample_dye(generator),
        bottom=sample_dye(generator),
        shoes=sample_dye(generator),
        girth=float(np.clip(generator.normal(1.0, 0.05), 0.9, 1.15)),
        legs=float(np.clip(generator.normal(1.0, 0.025), 0.94, 1.06)),
    )


@lru_cache(maxsize=256)
def _packed_regions(path: Path) -> bytes:
    """`cloth_regions` of a file, compressed: they take longer than anything else that is read from it."""
    return zlib.compress(cloth_regions(_read(path)).tobytes(), 1)


@lru_cache(maxsize=2)
def _read(path: Path) -> RiggedPerson:
    return read_rigged(path)


@lru_cache(maxsize=2)
def dressed_avatar(who: AvatarIdentity, folder: Path) -> RiggedPerson:
    """The rigged person in their colours.

    Raises:
        FatalError: `avatar_unusable`.
    """
    path = folder / f"{who.avatar}.glb"
    person = _read(path)
    regions = np.frombuffer(zlib.decompress(_packed_regions(path)), np.uint8).reshape(person.textures.shape[:3])
    return recoloured(person, regions, dict(zip(REGIONS, (who.top, who.bottom, who.shoes), strict=True)), who.hair)


def build_stretch(person: RiggedPerson, who: AvatarIdentity) -> Matrices:
    """By joint, how the person's build differs from the file's: across the bones, and along those of the legs."""
    places = person.rest[:, :3, 3]
    stretch: dict[str, np.ndarray] = {}
    for name in ("Hips", "Spine", "Spine1", "Spine2"):
        if name in person.names:
            stretch[name] = np.diag([who.girth, 1.0, who.girth])
    for side in ("Left", "Right"):
        for bones, length in (("Arm", "ForeArm", "Hand"), 1.0), (("UpLeg", "Leg", "Foot"), who.legs):
            for first, second in pairwise(bones):
                along = places[person.node(side + second)] - places[person.node(side + first)]
                along /= np.linalg.norm(along)
                axis = np.outer(along, along)
                stretch[side + first] = who.girth * (np.eye(3) - axis) + length * axis
    return stretch
