"""What a user can choose about a reconstruction, and the run and the reconstructor that this asks for.

Nothing heavy is imported here: a run with nothing to do needs no networks.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from mmgen.assets.textures import TextureCodec
from mmgen.bundled import bundled_weights_path
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file
from mmgen.core.listing import display_name
from mmgen.masks.structures import MaskSource
from mmgen.reconstruction.job import NO_WEIGHTS, Job, ReconstructorLike
from mmgen.work.locks import STATE_FOLDER
from mmgen.work.records import Choices, Facing

Method = Literal["network", "fit"]
FacingChoice = Literal["auto"] | Facing

DEFAULT_REFINE_STEPS: dict[Method, int] = {"network": 60, "fit": 75}


@dataclass(frozen=True)
class ReconstructOptions:
    """What a user can choose.

    Attributes:
        texture_size: (height, width), texels; None goes by each person's height in the photo.
        height_m: height of the body in the asset.
        height_source: `assumed` or `given`.
        refine_steps: steps through the renderer; None takes the method's own number. 0 stops after the networks'
            answer, or after the alignment by distances.
        seed: recorded; no way of reconstructing draws random numbers.
        device: `cpu` or `cuda:N`.
        template: `person`, `ellipsoid`, or the path of a closed mesh; what is fitted where there are no networks.
        masks: `--masks` as typed.
        weights: file of the networks; None fits the template instead.
        texture_codec: file format of the texture in the file.
        by_identity: all photos of a person make one asset.
        facing: where all people face; `auto` leaves it to the person network, and to the networks where that is unsure.
        rig: assets get a skeleton in the photo's pose.
    """

    texture_size: tuple[int, int] | None = None
    height_m: float = 1.70
    height_source: str = "assumed"
    refine_steps: int | None = None
    seed: int = 0
    device: str = "cpu"
    template: str = "person"
    masks: str = "auto"
    weights: Path | None = None
    texture_codec: TextureCodec = "jpeg"
    by_identity: bool = False
    facing: FacingChoice = "auto"
    rig: bool = False

    @property
    def method(self) -> Method:
        """Networks, or a fit of the template."""
        return "fit" if self.weights is None else "network"

    @property
    def steps(self) -> int:
        """Refinement steps to do."""
        return DEFAULT_REFINE_STEPS[self.method] if self.refine_steps is None else self.refine_steps

    def result_options(self) -> dict[str, Any]:
        """The options that change the bytes, as JSON values; the weights have a hash of their own."""
        start = {} if self.method == "network" else {"template": _template_digest(self.template)}
        together = {"by_identity": True} if self.by_identity else {}
        return {
            "method": self.method,
            "texture_size": "auto" if self.texture_size is None else list(self.texture_size),
            "texture_codec": self.texture_codec,
            "height_m": self.height_m,
            "height_source": self.height_source,
            "refine_steps": self.steps,
            "seed": self.seed,
            "device": self.device.split(":")[0],
            **start,
            **together,
            **({} if self.facing == "auto" else {"facing": self.facing}),
            **({"rig": True} if self.rig else {}),
        }

    def weights_sha256(self) -> str:
        """Of the weights file; `NO_WEIGHTS` where the template is fitted.

        Raises:
            FatalError: `weights_missing`, `weights_unreadable`.
        """
        if self.weights is None:
            return NO_WEIGHTS
        name = display_name(self.weights)
        try:
            return sha256_file(self.weights)
        except FileNotFoundError as error:
            raise FatalError("weights_missing", f"there is no weights file {name}", "Check --weights.") from error
        except OSError as error:
            what = f"{name} cannot be read as a weights file: {error.strerror or error}"
            raise FatalError("weights_unreadable", what, "Give a .safetensors file.") from error


def _template_digest(name: str) -> str:
    from mmgen.templates import template_digest

    return template_digest(name)


def with_choices(options: ReconstructOptions, choices: Choices) -> ReconstructOptions:
    """A run's options with what a person chose for one photo."""
    rows = choices.texture_rows
    return replace(
        options,
        facing=choices.facing or options.facing,
        refine_steps=options.refine_steps if choices.refine_steps is None else choices.refine_steps,
        texture_size=options.texture_size if rows is None else (rows, rows // 2),
    )


def default_options(**changes: Any) -> ReconstructOptions:
    """Options of a user who names no method: the bundled networks, or a fit in a build without them."""
    return ReconstructOptions(**{"weights": bundled_weights_path(), **changes})


def build_reconstructor(options: ReconstructOptions) -> ReconstructorLike:
    """The reconstructor that the options ask for; picklable with `functools.partial`.

    Raises:
        FatalError: the weights file cannot be used.
    """
    if options.weights is None:
        from mmgen.reconstruction.fit import FitReconstructor

        return FitReconstructor(options)
    if options.by_identity:
        from mmgen.reconstruction.identity import IdentityReconstructor

        return IdentityReconstructor(options)
    from mmgen.reconstruction.network import NetworkReconstructor

    return NetworkReconstructor(options)


def job_of(
    options: ReconstructOptions, out: Path, min_iou: float = 0.0, log_name: str = "errors.log", *, strict: bool = False
) -> Job:
    """What the items of a run with these options have in common.

    Args:
        min_iou: assets whose MaskIoU is below go to `rejected/`.
        log_name: of the file for unexpected errors, below the folder for states of `out`.
        strict: so do assets of low confidence.

    Raises:
        FatalError: as from `ReconstructOptions.weights_sha256`.
    """
    return Job(
        out=out,
        build=partial(build_reconstructor, options),
        options=options.result_options(),
        masks=MaskSource.parse(options.masks),
        min_iou=min_iou,
        log=out / STATE_FOLDER / log_name,
        weights_sha256=options.weights_sha256(),
        is_strict=strict,
    )
