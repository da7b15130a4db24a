"""What decides the bytes of a shard folder, besides the photos, the masks and the weights."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mmgen.photos.inputs import UsageError

PartnerLevel = Literal["image", "identity"]
Selection = Literal["all", "hardest-half"]
MixMode = Literal["blend", "regions"]
BackgroundSource = Literal["other", "own"]
PoseSource = Literal["source", "walk", "mixed"]
CameraTrait = Literal["light", "noise", "sharpness", "compression"]

CAMERA_TRAITS: tuple[CameraTrait, ...] = ("light", "noise", "sharpness", "compression")

PUBLISHED_TURNS_DEG = (-60, -30, 0, 30, 60)


@dataclass(frozen=True)
class MixOptions:
    """Who is mixed with whom, and how.

    Attributes:
        seed: random seed of all randomness.
        partners: `image` mixes with the texture of one other photo, as published; `identity` with the mean texture of
            all photos of another person.
        selection: `all` takes one partner per photo; `hardest-half` draws two and keeps, of every 64 photos in sorted
            order, the half of the pairs whose texture changes most, as published.
        mix: `regions` takes the partner's upper or lower clothes; `blend` weighs whole textures, as published.
        own_weight: least and greatest weight of the first parent's own texture in a blend, drawn uniformly per
            virtual person.
    """

    seed: int = 0
    partners: PartnerLevel = "image"
    selection: Selection = "all"
    mix: MixMode = "regions"
    own_weight: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class RenderOptions:
    """How a virtual person is drawn.

    Attributes:
        turns_deg: whole degrees by which the camera turns around the body, against the source pose.
        elevation_jitter_deg: standard deviation per view.
        distance_jitter: the same, template units (a person is about 1.8 high).
        background: whose photo stands behind, its person painted out: `other` draws one per view, `own` is the shape
            source's.
        poses: `source` shows all views in the photo's pose, as published; `walk` each at another phase of a walk;
            `mixed` draws one of the two per view.
        size: height and width, pixels.
        jpeg_quality: 1..100, where no photo's own compression is taken on.
        shadow: share of the light that a person takes from the ground under the feet, 0..1.
        like_camera: what a person takes on from the photos that they stand in and come from, as measured on these;
            nothing, as published, leaves colours, noise and sharpness as they were drawn.
    """

    turns_deg: tuple[int, ...] = PUBLISHED_TURNS_DEG
    elevation_jitter_deg: float = 2.0
    distance_jitter: float = 0.1
    background: BackgroundSource = "other"
    poses: PoseSource = "source"
    size: tuple[int, int] = (128, 64)
    jpeg_quality: int = 95
    shadow: float = 0.5
    like_camera: tuple[CameraTrait, ...] = CAMERA_TRAITS


@dataclass(frozen=True)
class AugmentOptions:
    """All of it.

    Attributes:
        draw: who is mixed with whom.
        look: how they are drawn.
        masks: where outlines come from, as `mmgen reconstruct` reads it.
        with_real: write the real training images into shards too.
        samples_per_shard: samples in a tar, at most; all views of a set stay together.
        limit: only so many photos, the first in sorted order.
        refine_steps: steps that fit each photo further through the renderer; 0 for none.
    """

    draw: MixOptions = MixOptions()
    look: RenderOptions = RenderOptions()
    masks: str = "auto"
    with_real: bool = False
    samples_per_shard: int = 2000
    limit: int | None = None
    refine_steps: int = 0

    def __post_init__(self) -> None:
        low, high = self.draw.own_weight
        if not 0 <= low <= high <= 1:
            raise UsageError(
                "own_weight", f"weights {low:g}:{high:g} are not 0 <= low <= high <= 1", "Such as 0.3:0.7."
            )
        if self.draw.mix == "regions" and self.draw.own_weight != MixOptions.own_weight:
            raise UsageError("own_weight", "a weight is for blended textures", "Add --mix blend, or leave it out.")
        if not self.look.turns_deg or len(set(self.look.turns_deg)) < len(self.look.turns_deg):
            raise UsageError("turns", "every turn is needed once, and at least one", "Such as -60,-30,0,30,60.")

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        data: dict[str, Any] = asdict(self)
        return data
