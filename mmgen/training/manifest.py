"""Manifests: what a training run is, as one TOML file, checked key by key when it is read."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from mmgen.core.settings import SettingError, build, checked_value
from mmgen.core.tables import read_checked
from recon.encoders import CAMERA_RANGES, ENCODER_PRESETS, GROUPS, EncoderConfig
from recon.losses import LOSS_PRESETS, LossWeights
from recon.training.config import Averaging, Interval, OptimiserConfig, PrototypeLoop, StepConfig

Augmentation = Literal["none", "flip", "shift", "pad_crop", "zoom_crop"]
Fit = Literal["stretch", "pad"]


@dataclass(frozen=True)
class DataSection:
    """Photos.

    Attributes:
        path: data set folder; `--data` wins over it.
        batch_photos: photos per step and process.
        fit: how photos of another shape become the encoder's: "stretch" (as published for people), or "pad" with
            black.
        augmentation: "shift": flip, and move by up to `shift_px`; "pad_crop": flip, pad by `shift_px` with black and
            crop (published, Market); "zoom_crop": flip and crop 90 to 100 % (published, ATR and CUB).
        shift_px: see `augmentation`.
        pairs: two photos of each identity in a batch.
        validation_share: share of the training identities held out to choose checkpoints.
        validation_photos: at most so many of their photos are scored.
        clean_fraction: foreground fractions that the prototype may follow; empty: as the index says.
    """

    path: str = ""
    batch_photos: int = 16
    fit: Fit = "stretch"
    augmentation: Augmentation = "shift"
    shift_px: int = 2
    pairs: bool = False
    validation_share: float = 0.05
    validation_photos: int = 128
    clean_fraction: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.batch_photos < 2 or (self.pairs and self.batch_photos % 2):
            raise ValueError("batch_photos must be at least 2, and even with pairs")
        if self.shift_px < 0 or self.validation_photos < 1:
            raise ValueError("shift_px must not be negative and validation_photos at least 1")
        if not 0 <= self.validation_share < 1:
            raise ValueError("validation_share must lie in 0..1 (1 excluded)")
        if self.clean_fraction and (len(self.clean_fraction) != 2 or self.clean_fraction[0] >= self.clean_fraction[1]):
            raise ValueError("clean_fraction must be two rising numbers")


@dataclass(frozen=True)
class TruthSection:
    """People whose camera and shape are known.

    Attributes:
        photos: the photos of the data set have truth (as those of `mmgen synth` do) and are learned with it alone: the
            prototype starts as their mean shape, and no loop of the self-supervised method runs.
        replay_path: another data set folder with truth; its photos are learned beside the others, so that what truth
            taught is not forgotten.
        replay_every: steps between two replayed batches.
        beside: with `photos`, further data set folders with truth, mixed in; one that is named twice counts twice.
        degradation: strength of the faults that photos with truth get, see `mmgen.training.degradation`.
    """

    photos: bool = False
    beside: tuple[str, ...] = ()
    replay_path: str = ""
    replay_every: int = 2
    degradation: float = 1.0

    def __post_init__(self) -> None:
        if self.replay_every < 1:
            raise ValueError("replay_every must be at least 1")
        if self.degradation < 0:
            raise ValueError("degradation must not be negative")
        if self.beside and not self.photos:
            raise ValueError("beside needs photos = true")
        if self.photos and self.replay_path:
            raise ValueError("give either photos = true or replay_path: photos with truth need no replay")


@dataclass(frozen=True)
class TemplateSection:
    """Where the prototype starts.

    Attributes:
        name: "ellipsoid", "person", or a mesh file.
        half_extents: semi-axes of the ellipsoid, template units.
        mirror_axis: normal of its mirror plane: 0 left/right, 2 front/back.
    """

    name: str = "ellipsoid"
    half_extents: tuple[float, float, float] = (0.45, 0.90, 0.225)
    mirror_axis: int = 0


@dataclass(frozen=True)
class Length:
    """How long a run is; exactly one is given. Runs measured in steps or epochs give the same bits every time.

    Attributes:
        epochs: passes over the training photos.
        minutes: wall-clock time of training, without validation.
        cpu_minutes: processor time of it, which a busy machine does not disturb.
    """

    steps: int = 0
    epochs: int = 0
    minutes: float = 0.0
    cpu_minutes: float = 0.0

    def __post_init__(self) -> None:
        values = (self.steps, self.epochs, self.minutes, self.cpu_minutes)
        if min(values) < 0 or sum(value > 0 for value in values) != 1:
            raise ValueError("give exactly one of steps, epochs, minutes and cpu_minutes, and make it positive")


@dataclass(frozen=True)
class LogSection:
    """What a run writes, and when.

    Attributes:
        steps: steps between two lines of losses.
        validation: when the held-out photos are scored.
        pictures: when picture grids and the template's turntable are drawn.
        checkpoint: when the state is saved for `--resume`.
    """

    steps: int = 10
    validation: Interval = field(default_factory=lambda: Interval(epochs=1))
    pictures: Interval = field(default_factory=lambda: Interval(epochs=5))
    checkpoint: Interval = field(default_factory=lambda: Interval(epochs=1))

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


@dataclass(frozen=True)
class PretrainedSection:
    """What networks start from; empty: random weights.

    Attributes:
        init: "bundled", or a weights file of an earlier run: its networks, template and prototype. The manifest's
            encoder and template sections do not count then.
        groups: what to take of `init`, of camera, shape, texture, light and background; empty: everything. The others
            start anew, as the encoder section says; without the shape, so does the prototype where truth is learned.
        modes: whose modes of shapes count where everything is taken: those of `init`, or those of this "truth", about
            the mean of its people; what the networks said in the old modes they then say in the new ones.
        shape: ImageNet weights of HRNet-W18-small-v2 in timm's naming (safetensors), for the shape trunk.
        texture: the same of ResNet-34, for the texture trunk.
    """

    init: str = ""
    groups: tuple[str, ...] = ()
    modes: Literal["init", "truth"] = "init"
    shape: str = ""
    texture: str = ""

    def __post_init__(self) -> None:
        unknown = [name for name in self.groups if name not in GROUPS]
        if unknown:
            raise ValueError(f"groups knows {', '.join(GROUPS)}, not {', '.join(unknown)}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A training run."""

    about: str = ""
    data: DataSection = field(default_factory=DataSection)
    truth: TruthSection = field(default_factory=TruthSection)
    template: TemplateSection = field(default_factory=TemplateSection)
    pretrained: PretrainedSection = field(default_factory=PretrainedSection)
    encoder: EncoderConfig
    loss: LossWeights
    step: StepConfig = field(default_factory=StepConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    prototype: PrototypeLoop = field(default_factory=PrototypeLoop)
    averaging: Averaging = field(default_factory=Averaging)
    length: Length
    log: LogSection = field(default_factory=LogSection)

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", replace(self.step, losses=self.loss))
        if self.loss.identity and not (self.data.pairs or self.truth.photos):
            raise ValueError(
                "loss.identity needs data.pairs = true: a batch must hold several photos of a person; or truth.photos"
            )

    def to_tables(self) -> dict[str, Any]:
        """Every setting, defaults included, as `read_manifest` would read it again."""
        tables = asdict(self)
        del tables["step"]["losses"]
        tables["encoder"] = {"preset": "small", **self.encoder.to_dict()}
        tables["loss"] = {"preset": "small", **tables["loss"]}
        return _without_zero_alternatives(tables)


def read_manifest(path: Path, changes: Iterable[str] = ()) -> Manifest:
    """Read and check a manifest.

    Args:
        path: the TOML file; `extends = "other.toml"` starts from another file in the same folder.
        changes: `section.key=value` each, applied last; values as in TOML, bare words are text.

    Raises:
        FatalError: `manifest_missing`, `manifest_syntax`, `manifest_invalid` (naming file, key and what is expected).
    """
    return read_checked(path, changes, _manifest, whole=_ALTERNATIVES)


def _manifest(tables: Mapping[str, Any]) -> Manifest:
    known = sorted(item.name for item in fields(Manifest))
    for name in tables:
        if name not in known:
            raise SettingError(name, f"is no section; there are {', '.join(known)}")
    if "length" not in tables:
        raise SettingError("length", "is missing; give for instance [length] steps = 2000")
    step = build(StepConfig, tables.get("step", {}), "step", without=("losses",))
    expanded = {"encoder": _encoder(tables.get("encoder", {})), "loss": _loss(tables.get("loss", {})), "step": step}
    return build(Manifest, {**tables, **expanded}, "")


def _encoder(table: Any) -> dict[str, Any]:
    table = dict(checked_value(dict, table, "encoder"))
    preset = _choice(table.pop("preset", "small"), ENCODER_PRESETS, "encoder.preset")
    data = _choice(table.pop("data", "people"), CAMERA_RANGES, "encoder.data")
    start = asdict(ENCODER_PRESETS[preset](data))
    ranges = {**start["ranges"], **checked_value(dict, table.pop("ranges", {}), "encoder.ranges")}
    return {**start, **table, "ranges": ranges}


def _loss(table: Any) -> dict[str, Any]:
    table = dict(checked_value(dict, table, "loss"))
    preset = _choice(table.pop("preset", "small"), LOSS_PRESETS, "loss.preset")
    return {**asdict(LOSS_PRESETS[preset]), **table}


def _choice(value: Any, options: Mapping[str, Any], key: str) -> str:
    if value not in options:
        raise SettingError(key, f"is {value!r}; expected one of {', '.join(options)}")
    return str(value)


_ALTERNATIVES = ("length", "every", "validation", "pictures", "checkpoint")
"""Tables of which one key stands for all: an overlay replaces them whole."""


def _without_zero_alternatives(value: Any, name: str = "") -> Any:
    """Leave the zeros of either-or tables out: `{steps = 25, epochs = 0}` reads badly."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if item or name not in _ALTERNATIVES}
        return {key: _without_zero_alternatives(item, key) for key, item in kept.items()}
    return value
