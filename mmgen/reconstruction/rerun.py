"""Make an asset again from the provenance inside it, and compare the bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from mmgen.assets.asset import EXPORT_KEY, ORIGINAL_HEIGHT_KEY, Asset
from mmgen.assets.container import REMAKE, parse_glb
from mmgen.assets.formats import ExportOptions, export_glb
from mmgen.assets.glb import (
    asset_from_glb,
    glb_bytes,
    provenance_of,
    read_file,
)
from mmgen.assets.textures import MAX_TEXTURE_SIDE
from mmgen.assets.tree import GlbFile
from mmgen.bundled import required_weights
from mmgen.core.devices import resolve_device
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_file, sha256_or_none
from mmgen.core.limits import PHOTO_BYTES, REFINE_STEPS
from mmgen.core.listing import display_name, path_of_name
from mmgen.core.places import check_relative
from mmgen.core.version import __version__
from mmgen.masks.maskers import installed_maskers
from mmgen.masks.structures import MaskResult
from mmgen.photos.inputs import InputItem, with_person
from mmgen.reconstruction.identity import PreparedPerson
from mmgen.reconstruction.job import ReconstructorLike
from mmgen.reconstruction.options import ReconstructOptions, build_reconstructor
from mmgen.reconstruction.prepare import Prepared
from mmgen.templates import TEMPLATE_NAMES, named_template, template_digest
from mmgen.work.pool import one_thread
from mmgen.work.records import PhotoRecord, Record, manifest_files, read_records
from recon.template import Template

NEEDED = ("input", "input_sha256", "mask_source", "mask_sha256", "weights_sha256", "options")
MASK_KINDS = {"alpha": "alpha", "sibling": "auto", "network": "network", "grabcut": "grabcut", "mixed": "auto"}
"""How `--masks` has to be said to find a mask where provenance says that it was found."""


@dataclass(frozen=True)
class Whereabouts:
    """Where photos, masks, weights and template are now; None: as the run record or the package says."""

    photos: Path | None = None
    masks: Path | None = None
    weights: Path | None = None
    template: str | None = None


class Rerunner:
    """Makes assets again; networks are loaded once for all assets that were made alike."""

    def __init__(self, given: Whereabouts) -> None:
        self._given = given
        self._reconstructors: dict[ReconstructOptions, ReconstructorLike] = {}

    def difference(self, file: GlbFile) -> str | None:
        """What differs between a mesh and the one that its provenance gives now; None for equal bytes.

        Raises:
            ItemError: it cannot be made again: `provenance_incomplete`, `photo_missing`, `photo_changed`,
                `mask_missing`, `mask_changed`, `weights_differ`, `template_differs`, `options_unknown`, or whatever
                reconstructing raises.
            FatalError: weights or device are not there.
        """
        data = read_file(file.path)
        container = parse_glb(data)
        made = provenance_of(container)
        missing = [name for name in NEEDED if name not in made]
        if missing:
            raise ItemError(
                "provenance_incomplete",
                f"it does not say how it was made: its provenance has no {', '.join(missing)}",
                "Only what `mmgen reconstruct` made, or `mmgen export` of that, can be made again.",
            )
        options = options_of(made, _masks(made["mask_source"], self._given.masks), self._given)
        item = _item(made, file.path, self._given.photos)
        with one_thread():
            again = _exported(self._remade(options, item, made), made, options)
        return None if again == data else _what_differs(data, again, made)

    def _remade(self, options: ReconstructOptions, item: InputItem, made: Mapping[str, Any]) -> Asset:
        if options not in self._reconstructors:
            self._reconstructors[options] = build_reconstructor(options)
        reconstructor = self._reconstructors[options]
        prepared = _same_person(reconstructor.prepare(item), item, made)
        for photo, row in zip(_photos(prepared), _photo_rows(made), strict=True):
            if photo.found.sha256 != row["mask_sha256"]:
                raise _mask_changed(photo.found, photo.item, row)
        result = reconstructor.reconstruct([prepared])[0]
        if isinstance(result, ItemError):
            raise result
        return result.asset


def _same_person(people: Sequence[Any], item: InputItem, made: Mapping[str, Any]) -> Any:
    """The one of a photo's people that a mesh shows."""
    person = _person(made)
    found = next((one for one in people if one.person == person), None)
    if found is None:
        what = f"{display_name(item.path)} shows {len(people)} people by its mask now, and {person[1]} then"
        raise ItemError("mask_changed", what, "Put the old mask back, or name its folder with --masks.")
    return found


def _photos(prepared: Prepared | PreparedPerson) -> Sequence[Prepared]:
    """The photos of a mesh, none of them left out."""
    if isinstance(prepared, Prepared):
        return (prepared,)
    for photo in prepared.left_out:
        raise ItemError(photo.error or "internal", photo.message or "", photo.hint or "")
    return prepared.photos


def _person(made: Mapping[str, Any]) -> tuple[int, int]:
    """Number, from the left, of how many people in the photo."""
    stated = made.get("person", {"number": 1, "of": 1})
    try:
        number, of = stated["number"], stated["of"]
        if not (type(number) is type(of) is int and 1 <= number <= of):
            raise TypeError("a person has a number, counted from one")
    except (KeyError, TypeError) as error:
        raise _options_unknown(made) from error
    return number, of


def _mask_changed(found: MaskResult, item: InputItem, made: Mapping[str, Any]) -> ItemError:
    what = f"the mask of {display_name(item.path)} is not the one that the mesh was made with"
    if found.masker is not None:
        what += f": that was of {made.get('masker', 'another source')}, and now {found.masker} was asked"
    return ItemError("mask_changed", what, "Put the old mask or masker back, or name its folder with --masks.")


def options_of(made: Mapping[str, Any], masks: str, given: Whereabouts = Whereabouts()) -> ReconstructOptions:
    """The options that an asset was made with, as its provenance has them.

    Args:
        made: provenance with all that `NEEDED` names.
        masks: where masks are to be looked for, as `--masks` says it.
        given: where weights and template are now.

    Raises:
        ItemError: `options_unknown`, `weights_differ`, `template_differs`.
        FatalError: weights or device are not there.
    """
    stated = made["options"]
    try:
        texture_size = None if stated["texture_size"] == "auto" else tuple(stated["texture_size"])
        sizes = [*(texture_size or (1, 1)), stated["refine_steps"], stated["seed"]]
        if not isinstance(made["input"], str) or not isinstance(made.get(EXPORT_KEY, {}), dict):
            raise TypeError("the photo is a name, and what an export changed is an object")
        if not isinstance(made.get("height_m", 1.0), int | float):
            raise TypeError("a height is a number")
        rows = _photo_rows(made)
        if not all(isinstance(row[name], str) for row in rows for name in ("input", "input_sha256", "mask_sha256")):
            raise TypeError("photos are named, and known by their hashes")
        counted = all(type(value) is int and 0 <= value < 2**31 for value in sizes)
        if not counted or max(sizes[:2]) > MAX_TEXTURE_SIDE or sizes[2] > REFINE_STEPS:
            raise TypeError("sizes and counts must be whole numbers that reconstruct would take")
        options = ReconstructOptions(
            texture_size=texture_size,
            height_m=stated["height_m"],
            height_source=stated["height_source"],
            refine_steps=stated["refine_steps"],
            seed=stated["seed"],
            device=resolve_device("cuda:0" if stated["device"] == "cuda" else "cpu"),
            masks=masks,
            texture_codec=stated.get("texture_codec", "png"),
            by_identity=stated.get("by_identity", False),
            facing=stated.get("facing", "auto"),
            rig=stated.get("rig", False),
        )
        if stated["method"] == "network":
            options = replace(options, weights=_weights(made["weights_sha256"], given.weights))
        else:
            options = replace(options, template=_template(stated["template"], given.template))
        known = options.result_options()
    except (KeyError, TypeError) as error:
        raise _options_unknown(made) from error
    if {"texture_codec": "png"} | stated != known:
        raise _options_unknown(made)
    return options


def _options_unknown(made: Mapping[str, Any]) -> ItemError:
    return ItemError(
        "options_unknown",
        f"it was made with options that mmgen {__version__} does not know",
        f"Use mmgen {made.get('version', 'of the version that made it')}.",
    )


def _masks(source: str, folder: Path | None) -> str:
    if folder is not None:
        return str(folder)
    if source in installed_maskers():
        return source
    if source not in MASK_KINDS:
        kind = "an ONNX file" if source == "onnx" else f"a {source}"
        hint = "Name the folder of the masks, the ONNX file, or the masker, with --masks."
        raise ItemError("mask_missing", f"its mask came from {kind}", hint)
    return MASK_KINDS[source]


def _weights(sha256: str, given: Path | None) -> Path:
    path = required_weights(given)
    if not path.is_file():
        raise FatalError("weights_missing", f"there is no {display_name(path)}", "Check the path of --weights.")
    actual = sha256_file(path)
    if actual != sha256:
        raise ItemError(
            "weights_differ",
            f"it was made with weights {sha256[:12]}..., and {display_name(path.name)} has {actual[:12]}...",
            "Name the file that it was made with: --weights FILE.",
        )
    return path


def _template(digest: str, given: str | None) -> str:
    name = digest if digest in TEMPLATE_NAMES else given
    if name is None or template_digest(name) != digest:
        raise ItemError(
            "template_differs",
            f"it was fitted with a template of hash {digest[:12]}..., and {name or 'no such file is known'}",
            "Name the file of that template: --template FILE.",
        )
    return name


def _photo_rows(made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What provenance says of each photo."""
    return list(made["photos"]) if made["options"].get("by_identity") else [made]


def _item(made: Mapping[str, Any], glb: Path, given: Path | None) -> InputItem:
    """The photo, or all photos of a person in the order in which they were fused."""
    height_m = made.get(EXPORT_KEY, {}).get(ORIGINAL_HEIGHT_KEY, made.get("height_m"))
    own_height_m = None if height_m == made["options"]["height_m"] else height_m
    recorded = _recorded(made["input"], glb) if given is None else ()
    photos = [replace(_photo(row, recorded, given), height_m=own_height_m) for row in _photo_rows(made)]
    if not made["options"].get("by_identity"):
        return photos[0]
    name = PurePath(made["input"])
    return InputItem(photos[0].path.parent, photos[0].root, name, f"{name}.glb", own_height_m, tuple(photos))


def _photo(made: Mapping[str, Any], recorded: Sequence[Record | PhotoRecord], given: Path | None) -> InputItem:
    """A photo with the same bytes as then: where the user says, or where the run record says."""
    try:
        name = PurePath(path_of_name(made["input"]))
        check_relative(str(name))
    except ValueError as error:
        raise ItemError("provenance_invalid", f"its provenance names a photo that is none: {error}", REMAKE) from error
    if given is not None:
        candidates = [given] if given.is_file() else [given / name, given / name.name]
    else:
        rows = [row for row in recorded if row.root and row.input == made["input"]]
        rows.sort(key=lambda row: row.input_sha256 != made["input_sha256"])  # photos in two folders may share a name
        candidates = [Path(path_of_name(row.root)) / name for row in rows]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        looked = ", ".join(display_name(path) for path in candidates) or "no run record says where it was"
        raise ItemError(
            "photo_missing",
            f"the photo {display_name(name)} is not there ({looked})",
            "Name its folder, or the photo itself, with --photos.",
        )
    if sha256_or_none(found, PHOTO_BYTES) != made["input_sha256"]:
        raise ItemError(
            "photo_changed",
            f"{display_name(found)} is not the photo that it was made from, or was changed since",
            "Name the folder of the photo as it was with --photos.",
        )
    return InputItem(found, found.parent, name, f"{name.stem}.glb")


def _recorded(input_name: str, glb: Path) -> Sequence[Record | PhotoRecord]:
    """What the nearest run record above a mesh says of the photos of an input."""
    for folder in glb.absolute().parents:
        if manifest_files(folder):
            record = read_records(folder).get(input_name)
            return () if record is None else record.photos or (record,)
    return ()


def _exported(asset: Asset, made: Mapping[str, Any], options: ReconstructOptions) -> bytes:
    """The file as reconstruct writes it, then changed as the provenance says that an export changed it."""
    stem, (number, of) = PurePath(made["input"]).stem, _person(made)
    name = stem if of == 1 else with_person(stem, number)
    asset = replace(asset, name=name, provenance=asset.provenance | {"input": made["input"]})
    data = glb_bytes(asset, options.texture_codec)
    changes = dict(made.get(EXPORT_KEY, {}))
    if not changes:
        return data
    changes.pop(ORIGINAL_HEIGHT_KEY, None)
    lod = changes.pop("lod", 0)
    try:
        return next(iter(export_glb(data, "again", "glb", ExportOptions(**changes), lod, _skeleton(changes)).values()))
    except (TypeError, ValueError, KeyError) as error:
        raise _options_unknown(made) from error


def _skeleton(changes: Mapping[str, Any]) -> Template | None:
    return named_template("person") if changes.get("rig") else None


def _what_differs(before: bytes, after: bytes, made: Mapping[str, Any]) -> str:
    """In words, with figures."""
    old, new = asset_from_glb(before), asset_from_glb(after)
    parts = []
    if made.get("version") != __version__:
        parts.append(f"made by mmgen {made.get('version')}, now {__version__}")
    if old.vertices.shape != new.vertices.shape or not np.array_equal(old.faces, new.faces):
        parts.append(
            f"{len(old.vertices)} vertices and {len(old.faces)} faces, now {len(new.vertices)} and {len(new.faces)}"
        )
    else:
        moved = float(np.abs(old.vertices - new.vertices).max())
        if moved:
            parts.append(f"vertices differ by up to {1000 * moved:.4g} mm")
    if old.texture.shape != new.texture.shape:
        parts.append("the texture has another size")
    else:
        levels = int(np.abs(old.texture.astype(int) - new.texture).max())
        if levels:
            parts.append(f"texels differ by up to {levels} of 255")
    names = sorted(
        name
        for name in old.provenance.keys() | new.provenance.keys()
        if old.provenance.get(name) != new.provenance.get(name)
    )
    if names:
        parts.append(f"provenance differs in {', '.join(names)}")
    return "; ".join(parts) or f"the files differ in layout only ({len(before)} and {len(after)} bytes)"
