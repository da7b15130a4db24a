"""Setting a run up: photos, networks, and the state of an earlier session."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from mmgen.bundled import required_weights
from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.datasets.reading import DataSetPhoto
from mmgen.datasets.structures import Foreground
from mmgen.models.weights import load_weights, needing_timm, read_config
from mmgen.templates import named_template
from mmgen.training.batches import (
    BatchPlan,
    Drawn,
    PhotoStore,
    as_batch,
    batches_per_epoch,
    identity_numbers,
    joined,
)
from mmgen.training.clock import Clock
from mmgen.training.folder import RunFolder
from mmgen.training.manifest import Manifest, TruthSection
from mmgen.training.packing import foreground_fractions, pack
from mmgen.training.photos import find_photos, hold_out
from mmgen.training.truth_pack import TruthPack, mean_shape, pack_truth, principal_modes
from mmgen.training.window import Window
from recon.encoders import AttributeEncoder
from recon.encoders.modal_shape import ModalShapeEncoder
from recon.prototype import PrototypeState
from recon.template import Template, ellipsoid_template
from recon.training import parallel
from recon.training.learner import Learner, make_learner
from recon.training.precision import has_bfloat16, use_bfloat16
from recon.training.step import Batch

BUNDLED = "bundled"
"""Name of the weights inside the package, for `pretrained.init`."""


@dataclass(frozen=True)
class TrainOrder:
    """What to train.

    Attributes:
        device: `cpu` or `cuda:N`.
        resume: go on with the run in `out`.
        limit_steps: stop after so many steps in all, checkpoint included; the schedule stays that of the whole run.
    """

    manifest: Manifest
    data: Path
    out: Path
    seed: int = 0
    device: str = "cpu"
    resume: bool = False
    limit_steps: int | None = None


@dataclass
class Session:
    """A run at work; what a step changes is in `learner`, where it stands in the numbers.

    Attributes:
        validation: photos held out; may be empty.
        replayed: photos with truth that are learned beside the others, or None.
        number: batches done in it.
    """

    order: TrainOrder
    folder: RunFolder
    store: PhotoStore
    validation: PhotoStore
    plan: BatchPlan
    learner: Learner
    template: Template
    clock: Clock
    window: Window
    replayed: PhotoStore | None = None
    step: int = 0
    epoch: int = 0
    number: int = 0
    best_score: float = float("-inf")

    @property
    def manifest(self) -> Manifest:
        """The settings."""
        return self.order.manifest

    def stepped(self, drawn: Drawn) -> None:
        """Count a step on that batch."""
        self.step += 1
        self.epoch, self.number = (drawn.epoch + 1, 0) if drawn.is_last else (drawn.epoch, drawn.number + 1)

    def state_dict(self) -> dict[str, Any]:
        """All that `--resume` needs."""
        return {
            "learner": self.learner.state_dict(),
            "window": self.window.state_dict(),
            "position": {"step": self.step, "epoch": self.epoch, "number": self.number},
            "clock": {"wall_s": self.clock.wall_s, "cpu_s": self.clock.cpu_s},
            "best_score": self.best_score,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there, in place.

        Raises:
            FatalError: `state_unreadable`.
        """
        try:
            self.learner.load_state_dict(state["learner"])
            self.window.load_state_dict(state["window"])
            position = state["position"]
            self.step, self.epoch, self.number = position["step"], position["epoch"], position["number"]
            self.clock = Clock(**state["clock"])
            self.best_score = state["best_score"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FatalError(
                "state_unreadable",
                f"{display_name(self.folder.state_path)} does not fit this run: {type(error).__name__}: {error}"[:300],
                "Start the run again in another folder.",
            ) from error


def make_session(order: TrainOrder, folder: RunFolder, advance: Callable[[], None] = lambda: None) -> Session:
    """Read the photos, build the networks.

    Raises:
        FatalError: as from `find_photos`, `pack`, `named_template`; `too_few_photos`, `truth_template`,
            `pretrained_unusable`.
    """
    manifest = order.manifest
    weights = load_weights(_initial_path(manifest)) if manifest.pretrained.init else None
    template = make_template(manifest) if weights is None else weights.template
    _check_template(manifest, template)
    store, validation = load_photos(manifest, order.data, advance)
    plan = BatchPlan(
        size=manifest.data.batch_photos,
        augmentation=manifest.data.augmentation,
        shift_px=manifest.data.shift_px,
        pairs=manifest.data.pairs,
        seed=order.seed,
        rank=parallel.rank(),
        processes=parallel.world_size(),
        degradation=manifest.truth.degradation,
        replay_every=manifest.truth.replay_every if manifest.truth.replay_path else 0,
    )
    if not batches_per_epoch(store, plan):
        raise FatalError(
            "too_few_photos",
            f"{display_name(order.data)} has {len(store)} training photos, which fill no batch of "
            f"{plan.size} x {plan.processes}" + (" in pairs of one identity" if plan.pairs else ""),
            "Use more photos or a smaller data.batch_photos.",
        )
    learner = _learner(order, template)
    groups = manifest.pretrained.groups
    knows_shapes = weights is not None and (not groups or "shape" in groups)
    if not knows_shapes and store.truth is None and manifest.encoder.shape_space == "modes":
        raise FatalError(
            "modes_unknown",
            "encoder.shape_space 'modes' needs to know how shapes differ",
            'Start from weights (--init), learn from truth (truth.photos), or set encoder.shape_space = "free".',
        )
    if weights is not None:
        _start_from_weights(learner, weights.encoder, groups)
    if store.truth is not None and not knows_shapes:
        _start_from_truth(learner, store.truth)
    elif store.truth is not None and manifest.pretrained.modes == "truth":
        _start_from_truth(learner, store.truth, retold=True)
    replayed = _replayed(manifest, advance)
    return Session(order, folder, store, validation, plan, learner, template, Clock(), Window(), replayed)


def _start_from_weights(learner: Learner, encoder: AttributeEncoder, groups: Sequence[str]) -> None:
    """Take these groups of networks, or all of them; and the prototype.

    Raises:
        FatalError: `init_groups` where a group has another architecture in the weights.
    """
    if not groups:
        learner.encoder.load_state_dict(encoder.state_dict())
    for group in groups:
        given, own = getattr(encoder, group), getattr(learner.encoder, group)
        try:
            own.load_state_dict(given.state_dict())
        except (AttributeError, RuntimeError) as error:
            raise FatalError(
                "init_groups",
                f"pretrained.groups: the weights' {group} encoder is not that of this manifest",
                "Leave it out of pretrained.groups, or set the encoder section as in the weights.",
            ) from error
    learner.set_prototype(PrototypeState.start(encoder.prototype.to(learner.device)))


def _start_from_truth(learner: Learner, truth: TruthPack, retold: bool = False) -> None:
    """The prototype becomes the mean shape, and shapes are combinations of the ways people differ from it.

    Args:
        retold: the networks know shapes already, and go on saying the same.
    """
    mean = torch.from_numpy(mean_shape(truth.vertices, truth.partners)).to(learner.prototype.template.vertices)
    learner.set_prototype(PrototypeState.start(learner.prototype.template.with_vertices(mean)))
    shape = learner.encoder.shape
    if isinstance(shape, ModalShapeEncoder):
        modes = torch.from_numpy(principal_modes(truth.vertices, truth.partners, len(shape.lengths))).to(mean)
        (shape.retold if retold else shape.take)(modes)


def _check_template(manifest: Manifest, template: Template) -> None:
    """Truth tells every vertex where to go, so it must be about the vertices that are trained."""
    told = len(make_template(manifest).vertices)
    if (manifest.truth.photos or manifest.truth.replay_path) and told != len(template.vertices):
        raise FatalError(
            "truth_template",
            f"truth would be registered with template {manifest.template.name!r} of {told} vertices, the networks "
            f"have {len(template.vertices)}",
            "Set template.name to the one that the weights were trained with; the bundled ones: person.",
        )


def _replayed(manifest: Manifest, advance: Callable[[], None]) -> PhotoStore | None:
    if not manifest.truth.replay_path:
        return None
    known = replace(manifest, truth=TruthSection(photos=True))
    return load_photos(known, Path(manifest.truth.replay_path), advance)[0]


def initialised(order: TrainOrder) -> TrainOrder:
    """The order with the architecture of the weights that it starts from, if it takes all of them.

    Raises:
        FatalError: as from `read_config`.
    """
    manifest = order.manifest
    if not manifest.pretrained.init or manifest.pretrained.groups:
        return order
    return replace(order, manifest=replace(manifest, encoder=read_config(_initial_path(manifest))))


def _initial_path(manifest: Manifest) -> Path:
    named = manifest.pretrained.init
    return required_weights() if named == BUNDLED else Path(named)


def load_photos(
    manifest: Manifest, data: Path, advance: Callable[[], None] = lambda: None
) -> tuple[PhotoStore, PhotoStore]:
    """Packed photos to train on, and those held out of the data set itself. Process 0 packs them, the others wait."""
    train, validation = _load_folder(manifest, data, advance)
    others = [_load_folder(manifest, Path(folder), advance)[0] for folder in manifest.truth.beside]
    return (joined([train, *others]) if others else train), validation


def _load_folder(manifest: Manifest, data: Path, advance: Callable[[], None]) -> tuple[PhotoStore, PhotoStore]:
    listed, fixed = find_photos(data)
    split = hold_out(listed, manifest.data.validation_share, fixed)
    if parallel.rank() == 0:
        stores = _store(split.train, manifest, data, advance), _store(split.validation, manifest, data, advance)
        parallel.barrier()
        return stores
    parallel.barrier()
    return _store(split.train, manifest, data, advance), _store(split.validation, manifest, data, advance)


def _store(photos: tuple[DataSetPhoto, ...], manifest: Manifest, data: Path, advance: Callable[[], None]) -> PhotoStore:
    size = (manifest.encoder.height, manifest.encoder.width)
    packed = pack(photos, size, manifest.data.fit, data, advance)
    identity = identity_numbers([photo.identity for photo in photos])
    if manifest.data.clean_fraction:
        bounds = Foreground(*manifest.data.clean_fraction)
        clean = np.array([bounds.holds(fraction) for fraction in foreground_fractions(packed)], dtype=bool)
    else:
        clean = np.array([photo.clean is not False for photo in photos], dtype=bool)
    truth = pack_truth(photos, data, manifest.template.name, advance) if manifest.truth.photos and photos else None
    return PhotoStore(packed, identity, clean, truth)


def make_template(manifest: Manifest) -> Template:
    """The template a run starts from."""
    section = manifest.template
    if section.name == "ellipsoid":
        return ellipsoid_template(half_extents=section.half_extents, mirror_axis=section.mirror_axis)
    return named_template(section.name)


def _learner(order: TrainOrder, template: Template) -> Learner:
    manifest = order.manifest
    device = torch.device(order.device)

    def prepare(encoder: AttributeEncoder) -> None:
        for group in ("shape", "texture"):
            if path := getattr(manifest.pretrained, group):
                _load_trunk(encoder, group, Path(path))
        if device.type == "cuda" and parallel.world_size() > 1:
            nn.SyncBatchNorm.convert_sync_batchnorm(encoder)
        if has_bfloat16(device):
            use_bfloat16(encoder)

    with needing_timm():
        learner = make_learner(
            manifest.encoder,
            template,
            manifest.optimiser,
            seed=order.seed,
            with_critic=manifest.loss.adversarial > 0,
            offset_smoothing=manifest.step.offset_smoothing,
            device=device,
            prepare=prepare,
        )
    parallel.copy_from_first(learner.encoder)
    if parallel.rank():
        reseed(learner, order.seed, 0)
    return learner


def reseed(learner: Learner, seed: int, step: int) -> None:
    """Randomness of its own for every process but the first."""
    own = int(np.random.SeedSequence((seed, step, parallel.rank())).generate_state(1)[0])
    learner.generator.manual_seed(own)
    torch.manual_seed(own)


def _load_trunk(encoder: AttributeEncoder, group: str, path: Path) -> None:
    try:
        encoder.load_pretrained_trunk(group, load_file(path))
    except Exception as error:  # the reader has errors of its own kinds
        raise FatalError(
            "pretrained_unusable",
            f"pretrained.{group}: {display_name(path)}: {error}"[:300],
            "Give a safetensors file of that network from timm, or leave the key out for random weights.",
        ) from error


def clean_batches(session: Session) -> Iterator[Batch]:
    """The photos that the prototype may follow, this process's share, as they are; whole batches only."""
    rows = np.flatnonzero(session.store.clean)
    size, device = session.plan.size, session.learner.device
    for index in range(session.plan.rank, len(rows) // size, session.plan.processes):
        chosen = rows[index * size : (index + 1) * size]
        yield as_batch(session.store.packed[chosen]).to(device)
