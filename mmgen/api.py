"""mmgen in Python: photos to people in memory, and the same runs as on the command line. docs/python.md shows it all.

What comes out is what the commands write; errors are `mmgen.ItemError` (one photo is at fault) and `mmgen.FatalError`
(nothing can be done), each with `code`, `message` and `hint`.
"""

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmgen.bundled import required_weights
from mmgen.core.devices import resolve_device
from mmgen.photos.inputs import UsageError
from mmgen.reconstruction.people import ImageLike, MaskLike, Person, Reconstructor

if TYPE_CHECKING:
    from reid.data.photos import Dataset

__all__ = ["Person", "Reconstructor", "augment_reid", "evaluate", "read_reid", "reconstruct"]


def reconstruct(image: ImageLike, mask: MaskLike | None = None, **options: Any) -> Person:
    """The main person of a photo: of several the largest; `Reconstructor` gives all of them.

    Args:
        image: see `ImageLike`.
        mask: see `MaskLike`; None finds or guesses it.
        options: those of `Reconstructor`; the same ones again use the networks that are loaded already.

    Raises:
        ItemError: the photo or its mask cannot be used.
        FatalError: the weights or the device cannot be used.
    """
    if isinstance(image, list | tuple):
        hint = "For several photos use mmgen.Reconstructor()(images)."
        raise UsageError("image_type", f"one image is wanted, not a {type(image).__name__}", hint)
    weights = required_weights(options.get("weights"))
    changed = weights.stat().st_mtime_ns if weights.is_file() else None
    people = _shared(changed, **options)(image, mask)
    main = max(people, key=lambda person: np.count_nonzero(person.mask >= 128))
    if len(people) == 1:
        return main
    note = f"the photo shows {len(people)} people; this is number {main.number[0]} from the left, the largest"
    return replace(main, warnings=(*main.warnings, note))


@lru_cache(maxsize=1)
def _shared(changed: int | None, **options: Any) -> Reconstructor:
    """The networks of the last call; `changed` is when their file was written."""
    return Reconstructor(**options)


def evaluate(
    data: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] = "bundled",
    meshes: str | os.PathLike[str] | None = None,
    split: str | None = None,
    refine: int | None = None,
    limit: int | None = None,
    device: str = "auto",
    workers: int = 1,
) -> dict[str, Any]:
    """Score networks, or the meshes of a run, on a data set: what `mmgen evaluate --json` prints.

    Args:
        data: data set folder with masks, and truth where it is known.
        weights: "bundled", or a weights file.
        meshes: output folder of `mmgen reconstruct`, scored in place of the weights.
        split: part of the data set; None is the test part, or everything where there is one part.
        refine: refinement steps per photo; None takes the default of `mmgen reconstruct`.
        limit: only the first so many photos.
        device: "auto", "cpu" or "cuda:N".
        workers: processes.

    Returns:
        `metrics` (name to figure), `n` photos scored, `failed`, `errors` and more.

    Raises:
        FatalError: data set, weights or meshes are not there.
    """
    from mmgen.evaluation.running import EvaluateConfig
    from mmgen.evaluation.running import evaluate as run
    from mmgen.evaluation.scoring import ScoringPlan
    from mmgen.evaluation.sources import SourceSpec
    from mmgen.reconstruction.options import DEFAULT_REFINE_STEPS

    if meshes is None:
        steps = DEFAULT_REFINE_STEPS["network"] if refine is None else refine
        source = SourceSpec("weights", str(required_weights(weights)), steps)
    else:
        source = SourceSpec("meshes", os.fspath(meshes))
    scoring = ScoringPlan(source, device=resolve_device(device))
    return run(EvaluateConfig(Path(data), split, limit, workers, scoring)).as_data()


def augment_reid(
    market: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] = "bundled",
    device: str = "auto",
    workers: int = 1,
    overwrite: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Write shards of virtual people from a re-id training set: what `mmgen augment-reid` does.

    Args:
        market: data set folder.
        out: folder of the shards; None is `market` with `-3d` at its end.
        weights: "bundled", or a weights file.
        device: "auto", "cpu" or "cuda:N".
        workers: processes.
        overwrite: make again what is there.
        options: fields of `MixOptions`, `RenderOptions` and `AugmentOptions` of `mmgen.augment.options`, such as
            `mix="regions"`, `turns_deg=(-30, 0, 30)`, `with_real=True` or `refine_steps=20`.

    Returns:
        The record: `samples`, `classes`, `accounting`, `shards` with hashes, and more.

    Raises:
        UsageError: `option_unknown`.
        FatalError: the data set cannot be used, or the folder holds something else.
    """
    from mmgen.augment.plan import Plan
    from mmgen.augment.running import AugmentConfig, run_augmentation
    from mmgen.augment.sources import find_sources
    from mmgen.core.files import sha256_file
    from mmgen.work.callbacks import RunCallbacks

    chosen, path = _augment_options(options), required_weights(weights)
    found = find_sources(Path(market), chosen.limit)
    config = AugmentConfig(
        plan=Plan(chosen, found.photos),
        root=found.root,
        out=Path(os.path.abspath(market) + "-3d") if out is None else Path(out),
        weights=path,
        weights_sha256=sha256_file(path),
        device=resolve_device(device),
        workers=workers,
        overwrite=overwrite,
    )
    outcome = run_augmentation(config, RunCallbacks())
    if outcome.ending.fatal is not None:
        raise outcome.ending.fatal
    if outcome.record is None:
        raise KeyboardInterrupt
    return outcome.record


def _augment_options(given: Mapping[str, Any]) -> Any:
    """The options of all three kinds, by the names of their fields."""
    from mmgen.augment.options import AugmentOptions, MixOptions, RenderOptions

    kinds = (MixOptions, RenderOptions, AugmentOptions)
    names = {kind: {field.name for field in fields(kind)} - {"draw", "look"} for kind in kinds}
    unknown = sorted(given.keys() - set().union(*names.values()))
    if unknown:
        known = ", ".join(sorted(set().union(*names.values())))
        raise UsageError("option_unknown", f"there is no option {unknown[0]!r}", f"There are {known}.")
    draw, look, rest = ({name: value for name, value in given.items() if name in names[kind]} for kind in kinds)
    return AugmentOptions(MixOptions(**draw), RenderOptions(**look), **rest)


def read_reid(folder: str | os.PathLike[str], layout: Literal["auto", "market", "folders"] = "auto") -> "Dataset":
    """The photos of a re-id data set, with identity and camera, or of a folder of shards of virtual people.

    Args:
        folder: a data set, or what `augment_reid` wrote.
        layout: layout of a data set; "auto" finds out.

    Returns:
        `train`, `query` and `gallery`, each a tuple of photos with `identity`, `camera`, `path`, `kind` and `parents`.

    Raises:
        FatalError: there is no such data set.
    """
    from mmgen.augment.verification import is_shard_folder
    from mmgen.core.reid_problems import reid_problems
    from mmgen.reid_runs.manifest import DataSection
    from mmgen.reid_runs.sources import read_dataset
    from reid.data.photos import Dataset
    from reid.data.shards import read_shards

    with reid_problems():
        if is_shard_folder(Path(folder)):
            return Dataset(train=tuple(read_shards(Path(folder))))
        return read_dataset(Path(folder), DataSection(layout=layout))
