"""What is said about a sample, in its member and in the index; the fields are those of `mmgen.augment.shards`."""

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from mmgen.augment.tar import Member
from mmgen.core.files import sha256_bytes
from mmgen.core.version import __version__

if TYPE_CHECKING:
    from mmgen.augment.drawing import View
    from mmgen.augment.plan import ResolvedPlan, VirtualSet

SCHEMA = "mmgen.sample/1"
ONLY_IN_MEMBER = ("schema", "generator")

Description = dict[str, Any]


def describe_view(settled: "ResolvedPlan", virtual: "VirtualSet", view: "View", weights_sha256: str) -> Description:
    """The `json` member of one virtual view."""
    photos, partners = settled.plan.photos, virtual.partners
    return {
        "schema": SCHEMA,
        "kind": "virtual",
        "pid": virtual.pid,
        "cls": settled.classes[virtual.pid],
        "camid": -1,
        "parents": [photos[virtual.first].pid, photos[partners[0]].pid],
        "sources": [photos[index].path for index in (virtual.first, *partners)],
        "set": virtual.number,
        "mix": virtual.outfit.to_dict(),
        "view": {"turn_deg": view.turn_deg, **view.camera, **({} if view.phase is None else {"phase": view.phase})},
        "background": {"mode": settled.plan.options.look.background, "source": photos[view.background].path},
        "seed": virtual.seed,
        "quality": view.quality,
        "generator": {"mmgen": __version__, "weights_sha256": weights_sha256},
    }


def describe_photo(settled: "ResolvedPlan", index: int) -> Description:
    """The `json` member of one real photo."""
    photo = settled.plan.photos[index]
    return {
        "schema": SCHEMA,
        "kind": "real",
        "pid": photo.pid,
        "cls": settled.classes[photo.pid],
        "camid": photo.camid,
        "parents": [photo.pid],
        "sources": [photo.path],
        "set": -1,
        "mix": None,
        "view": None,
        "background": None,
        "seed": None,
        "quality": None,
        "generator": None,
    }


def view_key(virtual: "VirtualSet", view: "View") -> str:
    """Key of one virtual view."""
    return f"{virtual.key}-az{view.turn_deg:+04d}"


def member_bytes(description: Mapping[str, Any]) -> bytes:
    """The `json` member."""
    return _dumps(description).encode()


def index_line(
    key: str, shard: str, description: Mapping[str, Any], members: Mapping[str, Member], jpg: bytes
) -> Description:
    """The index line of a sample that was written.

    Args:
        description: its `json` member.
    """
    return {
        **{name: value for name, value in description.items() if name not in ONLY_IN_MEMBER},
        "key": key,
        "shard": shard,
        "jpg": [members["jpg"].offset, members["jpg"].size],
        "json": [members["json"].offset, members["json"].size],
        "jpg_sha256": sha256_bytes(jpg),
    }


def line_bytes(line: Mapping[str, Any]) -> bytes:
    """An index line with its line end."""
    return _dumps(line).encode() + b"\n"


def descends_from(description: Mapping[str, Any], people: Collection[str], pid_of: Mapping[str, str]) -> bool:
    """Whether anything of these people is in a sample: shape, texture, or the place behind.

    Args:
        description: a `json` member or an index line.
    """
    background = description["background"]
    lenders = {*description["parents"], *([pid_of.get(background["source"])] if background else [])}
    return not lenders.isdisjoint(people)


def _dumps(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
