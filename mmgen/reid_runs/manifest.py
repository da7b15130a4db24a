"""Re-id manifests: what a training run is, as one TOML file, checked key by key when it is read."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mmgen.core.settings import build
from mmgen.core.tables import read_checked
from reid.config import AveragingConfig, LearnConfig, LossConfig, OptimiserConfig, Precision
from reid.data.augmentation import Augmentation
from reid.data.labels import VirtualLabels
from reid.data.layouts import Cameras
from reid.data.order import BatchPlan
from reid.models.network import ModelConfig

Layout = Literal["auto", "market", "folders"]


@dataclass(frozen=True)
class DataSection:
    """Photos.

    Attributes:
        layout: "market" (a published layout such as bounding_box_train/ ...), "folders" (train/ID/ ...), or "auto".
        pattern: regular expression for whole file names with the groups `identity` and `camera`, for other names.
        cameras: where cameras come from: file "names", or "none", when they are unknown.
        virtual_labels: virtual people are "classes" of their own (published), carry their "parents" classes or the
            class of the one parent whose texture is their "own", are "uniform" over all classes (LSRO), or are
            "unlabeled" and only have to look the same to the averaged network.
        identity_share: share of the training identities that take part; virtual people only where both parents do.
        identity_seed: random seed of that choice.
        lowest_mask_area: virtual people who cover less of their image are left out, 0..1.
        largest_folded_share: likewise with more folded faces, 0..1.
        lowest_view_consistency: likewise with less consistent views, 0..1.
        memory_gb: decoded photos are kept in memory if they need no more.
    """

    layout: Layout = "auto"
    pattern: str = ""
    cameras: Cameras = "names"
    virtual_labels: VirtualLabels = "classes"
    identity_share: float = 1.0
    identity_seed: int = 0
    lowest_mask_area: float = 0.0
    largest_folded_share: float = 1.0
    lowest_view_consistency: float = 0.0
    memory_gb: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.identity_share <= 1:
            raise ValueError("identity_share must lie in 0..1 (0 excluded)")
        limits = (self.lowest_mask_area, self.largest_folded_share, self.lowest_view_consistency)
        if min(limits) < 0 or max(limits) > 1 or self.memory_gb < 0:
            raise ValueError("the limits on virtual people must lie in 0..1, memory_gb must not be negative")


@dataclass(frozen=True)
class BatchSection:
    """What a batch holds.

    Attributes:
        photos: per step, all processes together.
        per_identity: photos of every identity in a batch; 0 draws photos in random order (published).
        virtual_share: share of virtual people in every batch.
        virtual_extra: virtual photos on top of `photos`; with neither of the two, all are in one order (published).
        virtual_first: part of the run at whose start batches hold virtual people alone, 0..1.
        virtual_until: part of the run after which batches hold real photos alone, 0..1.
        virtual_fades: the number of virtual people falls to nothing until `virtual_until`, linearly.
    """

    photos: int = 64
    per_identity: int = 0
    virtual_share: float = 0.0
    virtual_extra: int = 0
    virtual_first: float = 0.0
    virtual_until: float = 1.0
    virtual_fades: bool = False

    def __post_init__(self) -> None:
        plan = self.plan(1000)
        if not 0 <= self.virtual_first < self.virtual_until <= 1:
            raise ValueError("expected 0 <= virtual_first < virtual_until <= 1")
        if not plan.separates and (self.virtual_until < 1 or self.virtual_first or self.virtual_fades):
            raise ValueError("virtual_first, virtual_until and virtual_fades need a virtual_share or virtual_extra")

    def plan(self, steps: int, seed: int = 0) -> BatchPlan:
        """Batches of a run of so many steps."""
        last = round(self.virtual_until * steps)
        return BatchPlan(
            photos=self.photos,
            per_identity=self.per_identity,
            virtual_share=self.virtual_share,
            virtual_extra=self.virtual_extra,
            seed=seed,
            virtual_first=round(self.virtual_first * steps),
            virtual_steps=last if self.virtual_until < 1 or self.virtual_fades else None,
            virtual_fades=self.virtual_fades,
        )


@dataclass(frozen=True)
class LengthSection:
    """How long a run is; exactly one is given.

    Attributes:
        epochs: passes over the photos (over the real ones where batches have a virtual_share).
    """

    steps: int = 0
    epochs: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.epochs) < 0 or (self.steps > 0) == (self.epochs > 0):
            raise ValueError("give exactly one of steps and epochs, and make it positive")


@dataclass(frozen=True)
class LogSection:
    """What a run writes, and when.

    Attributes:
        steps: steps between two lines of losses.
        checkpoint_steps: steps between two states for `--resume`.
    """

    steps: int = 20
    checkpoint_steps: int = 500

    def __post_init__(self) -> None:
        if min(self.steps, self.checkpoint_steps) < 1:
            raise ValueError("steps and checkpoint_steps must be at least 1")


@dataclass(frozen=True)
class PretrainedSection:
    """Weights to start from.

    Attributes:
        backbone: file (.safetensors, or .pth of plain tensors) in the naming of IBN-Net, torchreid or timm; empty:
            random weights.
    """

    backbone: str = ""


@dataclass(frozen=True)
class ReidManifest:
    """A training run."""

    length: LengthSection
    about: str = ""
    precision: Precision = "auto"
    data: DataSection = field(default_factory=DataSection)
    model: ModelConfig = field(default_factory=ModelConfig)
    pretrained: PretrainedSection = field(default_factory=PretrainedSection)
    batch: BatchSection = field(default_factory=BatchSection)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossConfig = field(default_factory=LossConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    averaging: AveragingConfig = field(default_factory=AveragingConfig)
    log: LogSection = field(default_factory=LogSection)

    def __post_init__(self) -> None:
        self.learning()
        if self.loss.triplet and self.batch.per_identity < 2:
            raise ValueError("loss.triplet needs batch.per_identity of at least 2")

    def learning(self) -> LearnConfig:
        """What the learner needs to know."""
        return LearnConfig(self.loss, self.optimiser, self.averaging, self.data.virtual_labels, self.precision)

    def to_tables(self) -> dict[str, Any]:
        """Every setting, defaults included, as `read_reid_manifest` would read it again."""
        tables = asdict(self)
        tables["length"] = {name: value for name, value in vars(self.length).items() if value}
        return tables


def read_reid_manifest(path: Path, changes: Iterable[str] = ()) -> ReidManifest:
    """Read and check a manifest.

    Args:
        path: the TOML file; `extends = "other.toml"` starts from another file in the same folder.
        changes: `section.key=value` each, applied last.

    Raises:
        FatalError: `manifest_missing`, `manifest_syntax`, `manifest_invalid`, `setting_syntax`.
    """
    return read_checked(path, changes, lambda tables: build(ReidManifest, tables, ""), whole=("length",))
