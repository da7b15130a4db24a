"""Exchange of clothing: the texture of one asset on the shape of another, in either's pose or another one.

All assets of one template share its texture coordinates, so a texel means the same place on everybody: exchanging
clothes is exchanging textures, and front stays front. Assets without that common ground are refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.assets.asset import Asset
from mmgen.assets.glb import asset_from_glb, naming, read_file
from mmgen.assets.rig import Rig, rigged
from mmgen.assets.stances import Stance, brought_into
from mmgen.assets.tree import GlbFile, list_glbs
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import collision_key, safe_folder, safe_stem, sha256_bytes
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from recon.template import Template

UV_STEP = 1e-4
"""Texture coordinates are compared in these steps: files hold 1 - v, which rounds."""

DIFFERENT_FACES = 0.02
"""Share of the triangles that may be missing on one side: writers drop triangles that have lost their area."""

FROM_SHAPE = ("height_m", "height_source", "placement", "camera", "offsets_source", "light")
"""Provenance of the body that stays true of the body in other clothes."""

FROM_SOURCE = ("input", "input_sha256", "mask_source", "weights_sha256", "options_sha256", "mask_iou", "seen_fraction")
"""Provenance of a source that a swapped asset repeats about it."""


@dataclass(frozen=True)
class Wearer:
    """One mesh of an exchange.

    Attributes:
        name: unique among those that take part, without suffix; names outputs.
        asset: shape and clothing.
        sha256: SHA-256 of the GLB's bytes.
        rig: its skeleton; None where nobody is to change their pose.
    """

    name: str
    asset: Asset
    sha256: str
    rig: Rig | None = None


def list_wearers(meshes: Sequence[Path], limit: int | None = None) -> list[tuple[str, GlbFile]]:
    """The files that take part, with a unique name each.

    Args:
        meshes: GLB files and folders, in the order in which they are to stand.
        limit: only the first ones.

    Raises:
        FatalError: `meshes_missing`, `no_meshes`, `too_few_meshes`, or `swap_collision` where two have one name.
    """
    named = [(_name(file), file) for source in meshes for file in list_glbs(source)][:limit]
    taken: dict[str, GlbFile] = {}
    for name, file in named:
        other = taken.setdefault(collision_key(name), file)
        if other is not file:
            raise FatalError(
                "swap_collision",
                f"{display_name(other.path)} and {display_name(file.path)} would both be called {name}",
                "Name each mesh once, and rename one of two of the same name.",
            )
    if len(named) < 2:
        raise FatalError(
            "too_few_meshes",
            f"{named[0][1].path.name if named else 'nothing'} alone has nobody to exchange clothes with",
            "Give two meshes, or a folder of several: mmgen swap a.glb b.glb",
        )
    return named


def read_wearer(name: str, path: Path, template: Template | None = None) -> Wearer:
    """Read one mesh.

    Args:
        template: whose skeleton it gets, for other poses.

    Raises:
        ItemError: as from `mmgen.assets.glb.read_glb` and `mmgen.assets.rig.rigged`.
    """
    data = read_file(path)
    with naming(path):
        asset = asset_from_glb(data)
        return Wearer(name, asset, sha256_bytes(data), None if template is None else rigged(asset, template))


def check_layout(wearer: Wearer, first: Wearer) -> None:
    """Make sure that two assets use the same places of the texture for the same parts of the body.

    Raises:
        ItemError: `uv_mismatch`.
    """
    own, other = _uv_triangles(wearer.asset), _uv_triangles(first.asset)
    together = len(np.unique(np.concatenate([own, other]), axis=0))
    different = 2 * together - len(own) - len(other)
    if different > DIFFERENT_FACES * max(len(own), len(other)):
        raise ItemError(
            "uv_mismatch",
            f"{wearer.name} ({len(wearer.asset.faces):,} triangles) and {first.name} ({len(first.asset.faces):,}) "
            "have different templates: a place of the texture is not the same place of the body",
            "Make both with the same --weights (or the same --template) and leave the level of detail as it is.",
        )


def dressed(shape: Wearer, clothing: Wearer, stance: Stance | None = None) -> Asset:
    """The body of one in the clothes of another; check that they fit with `check_layout` first.

    Args:
        stance: how they stand, which needs the rigs of both; None leaves the body as it is.

    Returns:
        An asset called `SHAPE_in_CLOTHING`; its provenance names both, with their hashes and photos.
    """
    own = shape.asset.provenance
    asset = Asset(
        name=swap_name(shape.name, clothing.name),
        vertices=shape.asset.vertices,
        faces=shape.asset.faces,
        face_uv=shape.asset.face_uv,
        texture=clothing.asset.texture,
        provenance={
            "version": __version__,
            "made_by": "swap",
            "shape_from": _source(shape),
            "clothing_from": _source(clothing),
            **{key: own[key] for key in FROM_SHAPE if key in own},
        },
    )
    return asset if stance is None else _in_stance(asset, shape, clothing, stance)


def standing(wearer: Wearer, stance: Stance | None = None) -> Asset:
    """Somebody in their own clothes, as `dressed` shows the others."""
    return wearer.asset if stance is None else _in_stance(wearer.asset, wearer, wearer, stance)


def _in_stance(asset: Asset, shape: Wearer, clothing: Wearer, stance: Stance) -> Asset:
    if shape.rig is None or clothing.rig is None:
        raise ValueError("a stance needs the rigs of both")
    posed = brought_into(asset, shape.rig, stance.rotations(shape.rig, clothing.rig))
    return replace(posed, provenance=posed.provenance | {"pose": stance.label})


def swap_name(shape: str, clothing: str) -> str:
    """What `dressed` and its file are called."""
    return f"{shape}_in_{clothing}"


def doubt_of_weights(wearers: Sequence[Wearer]) -> str | None:
    """Why textures may sit a little differently, if not all are known to be made with the same weights."""
    made_with = {wearer.name: _weights(wearer.asset.provenance) for wearer in wearers}
    if len(set().union(*made_with.values())) > 1:
        return "these meshes come from different weights; their textures may sit a little differently"
    unknown = [name for name, weights in made_with.items() if not weights]
    if unknown:
        names = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        return f"the weights that made {names} are unknown; if they differ, textures may sit a little differently"
    return None


def _weights(provenance: dict[str, Any]) -> set[str]:
    """Hashes of the weights that made a mesh, or those that it was swapped of; none where nobody noted them."""
    origins = (provenance, provenance.get("shape_from"), provenance.get("clothing_from"))
    hashes = (origin.get("weights_sha256") for origin in origins if isinstance(origin, dict))
    return {value for value in hashes if isinstance(value, str)}


def _source(wearer: Wearer) -> dict[str, Any]:
    provenance = wearer.asset.provenance
    known = {key: provenance[key] for key in FROM_SOURCE if key in provenance}
    return {"name": wearer.name, "glb_sha256": wearer.sha256, **known}


def _name(file: GlbFile) -> str:
    *folders, last = file.relative.parts
    return "-".join((*map(safe_folder, folders), safe_stem(last)))


def _uv_triangles(asset: Asset) -> NDArray[np.int64]:
    """[F, 6] whole steps, unique rows; whole turns of v and the turn of the corners do not count."""
    uv = asset.face_uv.astype(np.float64)
    uv[..., 1] -= np.floor(uv[..., 1].mean(axis=1, keepdims=True) + UV_STEP)
    steps = np.round(uv / UV_STEP).astype(np.int64)
    keys = steps[..., 0] * (1 << 32) + steps[..., 1]
    turned = np.take_along_axis(steps, _first_corner_first(keys)[..., None], axis=1)
    return np.unique(turned.reshape(-1, 6), axis=0)


def _first_corner_first(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """[F, 3] positions that turn each triangle, without flipping it, so that its smallest key comes first."""
    return (keys.argmin(axis=1)[:, None] + np.arange(3)) % 3
