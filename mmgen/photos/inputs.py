"""Inputs of a batch run: its photos, the names of their outputs, and the part of this shard."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from mmgen.core.errors import FatalError, MmgenError
from mmgen.core.files import collision_key, safe_folder, safe_stem
from mmgen.core.listing import ImageFile, display_name, list_images
from mmgen.work.records import NO_CHOICES, Choices, Shard

REJECTED_FOLDER = "rejected"
PERSON_NUMBER = re.compile(r"-person\d+(\.glb)$")


class UsageError(MmgenError):
    """The command line asks for something that cannot be right. The command exits with code 2."""


@dataclass(frozen=True)
class InputItem:
    """One photo of a batch run, or all photos of one person that become one asset.

    Attributes:
        path: Where it is; the folder of the first one where there are several.
        root: The folder that was given, or the one the file stands in; absolute.
        relative: The photo's place below `root`.
        output: Path of the GLB relative to the output folder, with forward slashes.
        height_m: How tall the person is, where a list says so; None takes the run's height.
        photos: All photos of the person; empty where the item is a photo itself.
        choices: What a person chose for it in place of the run's options.
    """

    path: Path
    root: Path
    relative: PurePath
    output: str
    height_m: float | None = None
    photos: tuple["InputItem", ...] = ()
    choices: Choices = NO_CHOICES

    @property
    def sources(self) -> tuple["InputItem", ...]:
        """The photos to read."""
        return self.photos or (self,)

    @property
    def name(self) -> str:
        """`relative` with forward slashes, printable; names the item in the run record."""
        return display_name(self.relative.as_posix())

    @property
    def rejected_output(self) -> str:
        """Where the GLB goes when it is too weak to keep."""
        return f"{REJECTED_FOLDER}/{self.output}"

    def output_of(self, person: tuple[int, int]) -> str:
        """Path of one person's GLB: `output` where the photo has one, else with the person's number from the left."""
        return self.output if person[1] == 1 else with_person(self.output, person[0])


def with_person(name: str, number: int) -> str:
    """The name of a GLB, or its stem, for one of several people in a photo: `photo-person2.glb`."""
    stem, suffix = (name[:-4], name[-4:]) if name.endswith(".glb") else (name, "")
    return f"{stem}-person{number}{suffix}"


def without_person(name: str) -> str:
    """The name of a GLB without the number that `with_person` put there."""
    return PERSON_NUMBER.sub(r"\1", name)


def list_inputs(
    sources: Sequence[Path],
    out: Path,
    skipped_folders: Iterable[Path] = (),
    arranged: Callable[[Sequence[InputItem]], list[InputItem]] = list,
) -> list[InputItem]:
    """Find the photos, in sorted order.

    Args:
        sources: Folders, files and lists, as `mmgen.core.listing.list_images` takes them.
        out: The output folder; what it holds is never an input.
        skipped_folders: Further folders to pass over, such as one of masks.
        arranged: Makes the items out of single photos; see `mmgen.reconstruction.identities.by_identity`.

    Raises:
        UsageError: a source does not exist, `out` is a file or an input folder, or two inputs would get one output.
        FatalError: there is no photo at all.
    """
    if out.exists() and not out.is_dir():
        raise UsageError("out_not_a_folder", f"--out {display_name(out)} is a file", "Name a folder.")
    for source in sources:
        _check_source(source, out)
    roots = [os.path.realpath(source) for source in sources]
    hidden = [os.path.realpath(folder) for folder in (out, *skipped_folders)]
    hidden = [folder for folder in hidden if _is_below(folder, roots)]
    found = [file for file in list_images(sources) if not _is_below(os.path.realpath(file.path), hidden)]
    if not found:
        raise FatalError(
            "no_images",
            f"no photos in {', '.join(map(display_name, sources))} outside {display_name(out)}",
            "Give another folder, or another --out.",
        )
    items = arranged(_told_apart([_item(file) for file in found]))
    refuse_collisions(items, out)
    return items


def _told_apart(items: Sequence[InputItem]) -> list[InputItem]:
    """Photos of one folder whose names differ in the suffix alone keep it: `a.jpg.glb` and `a.png.glb`."""
    alike: dict[str, set[PurePath]] = {}
    for item in items:
        alike.setdefault(collision_key(item.output), set()).add(item.relative)
    return [
        replace(item, output=_output(item.relative.with_name(f"{item.relative.name}.glb")))
        if len(alike[collision_key(item.output)]) > 1
        else item
        for item in items
    ]


def refuse_collisions(items: Sequence[InputItem], out: Path) -> None:
    """Make sure that no two inputs share an output on any file system, and that no output replaces an input.

    Raises:
        UsageError: naming both files.
    """
    taken: dict[str, InputItem] = {}
    alone = {collision_key(item.output): item for item in items}
    inputs = {os.path.abspath(photo.path) for item in items for photo in item.sources}
    for item in items:
        group = alone.get(collision_key(without_person(item.output)), item)
        if group is not item and without_person(item.output) != item.output:
            raise _collision(group, item, f"{item.output}, if the first shows several people")
        for output in (item.output, item.rejected_output):
            other = taken.setdefault(collision_key(output), item)
            if other is not item:
                raise _collision(other, item, output)
            if os.path.abspath(out / output) in inputs:
                raise UsageError(
                    "output_is_input",
                    f"{output} in {display_name(out)} would replace an input file",
                    "Choose another --out.",
                )


def _collision(one: InputItem, other: InputItem, output: str) -> UsageError:
    return UsageError(
        "output_collision",
        f"{display_name(one.path)} and {display_name(other.path)} would both be written to {output}",
        "Rename one of them, or run them apart with another --out each.",
    )


def select(items: Sequence[InputItem], shard: Shard, limit: int | None) -> list[InputItem]:
    """The first `limit` items, and of these the part that `shard` names; parts are of equal size within one item."""
    return list(items[:limit])[shard.index :: shard.count]


def _check_source(source: Path, out: Path) -> None:
    is_list = source.name.startswith("@")
    if not os.path.lexists(source.with_name(source.name[1:]) if is_list else source):
        raise UsageError("input_missing", f"{display_name(source)} does not exist", "Check the path.")
    if source.is_dir() and os.path.realpath(source) == os.path.realpath(out):
        raise UsageError(
            "out_is_input",
            f"--out {display_name(out)} is the input folder",
            "Choose another folder, such as --out meshes.",
        )


def item_of(root: Path, relative: str) -> InputItem:
    """The photo at `relative` below `root`, as a run over `root` would list it."""
    path = Path(os.path.abspath(root)) / relative
    return _item(ImageFile(PurePath(relative), path))


def _item(file: ImageFile) -> InputItem:
    root = Path(os.path.abspath(file.path))
    for _ in file.relative.parts:
        root = root.parent
    return InputItem(file.path, root, file.relative, _output(file.relative), file.height_m)


def _output(relative: PurePath) -> str:
    return "/".join((*map(safe_folder, relative.parts[:-1]), f"{safe_stem(relative.name)}.glb"))


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(os.path.join(folder, "")) for folder in folders)
