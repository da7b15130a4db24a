"""One photo after the other against its answer: rows of figures, and features for the Frechet distances."""

import io
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import display_name
from mmgen.datasets.reading import DataSetPhoto
from mmgen.evaluation.photos import Loaded, load, mirrored
from mmgen.evaluation.sources import MeshSource, Source, SourceSpec, open_source
from mmgen.masks.finding import read_mask
from mmgen.photos.images import read_image
from recon import metrics
from recon.evaluation.predictions import Prediction, draw_prediction
from recon.evaluation.scores import truth_row

SIDE_TURNS_DEG = (90.0, -90.0)
COVERED = 0.998
"""Soft masks are 1 where the body covers a pixel, and nearly so after a JPEG."""

TRUE_AZIMUTH = "true_azimuth_deg"
"""A column of the record that is no score."""


@dataclass(frozen=True)
class ScoringPlan:
    """What every photo has in common; picklable.

    Attributes:
        size: (height, width) of scoring; None leaves it to the source.
        seed: random seed of the random views and of the surface samples.
        published: draw through 8-bit JPEG files of quality 100, as the paper's code does.
        inception: weights file for FIDs; None takes colour-edge features.
    """

    source: SourceSpec
    size: tuple[int, int] | None = None
    seed: int = 0
    device: str = "cpu"
    published: bool = False
    inception: Path | None = None


@dataclass(frozen=True)
class ItemScore:
    """What became of one photo.

    Attributes:
        name: as in `DataSetPhoto`.
        row: measure -> value; NaN where it is not defined. Empty if it failed.
        features: of `reference` [1, D], `recon` [1, D], `novel` [2, D], `90` [2, D] images; empty without drawings.
    """

    name: str
    row: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    error: ItemError | None = None


class Scorer:
    """Scores chunks of photos, as the engine wants it; a score does not depend on its chunk."""

    def __init__(self, plan: ScoringPlan) -> None:
        self.plan = plan
        self.masks: Path | None = Path(plan.source.value) if plan.source.kind == "predicted-masks" else None
        self._source: Source | None = None if self.masks else open_source(plan.source, plan.device, plan.size)
        self._features: Features = colour_edge_features
        if plan.inception is not None:
            self._features = inception_features(plan.inception, plan.device)

    def __call__(self, chunk: Sequence[DataSetPhoto]) -> Iterator[tuple[int, ItemScore]]:
        """Yield (position, score) per photo."""
        if self.masks is not None:
            for position, item in enumerate(chunk):
                try:
                    yield position, _mask_score(item, self.masks)
                except ItemError as error:
                    yield position, ItemScore(item.name, error=error)
            return
        loaded: dict[int, Loaded] = {}
        for position, item in enumerate(chunk):
            try:
                loaded[position] = self.load(item)
            except ItemError as error:
                yield position, ItemScore(item.name, error=error)
        answers = self.answers(list(loaded.values()))
        for (position, photo), answer in zip(loaded.items(), answers, strict=True):
            if isinstance(answer, ItemError):
                yield position, ItemScore(photo.item.name, error=answer)
            else:
                yield position, self.score(photo, answer)

    def load(self, item: DataSetPhoto) -> Loaded:
        """Read a photo in the frame of scoring; raises ItemError."""
        assert self._source is not None
        return self._source.load(item)

    def answers(self, photos: Sequence[Loaded]) -> list[Prediction | ItemError]:
        """Predictions of the source for photos."""
        assert self._source is not None
        return self._source.answers(photos) if photos else []

    @torch.no_grad()
    def score(self, photo: Loaded, answer: Prediction) -> ItemScore:
        """Score one answer."""
        assert self._source is not None
        name = photo.item.name
        try:
            drawn = draw_prediction(answer, photo.size)
            image, mask = self._stored(drawn.image), self._stored(drawn.mask)
            white = self._stored(photo.image * photo.mask + 1 - photo.mask)
            row = photo_row(image, mask, white, photo.mask)
            row["azimuth_deg"] = float(answer.camera.azimuth_deg[0])
            confidence = self._source.meshes.confidence_of(photo.item) if isinstance(self._source, MeshSource) else None
            if confidence is not None:
                row["confidence"] = confidence
            if photo.truth is not None:
                row |= truth_row(answer, photo.image, photo.mask, photo.truth, self._source.template, self.plan.seed)
                row[TRUE_AZIMUTH] = photo.truth.azimuth_deg
            return ItemScore(name, row, self._feature_sets(photo, answer, image, white))
        except ValueError as error:  # a mesh without height or with coordinates that are no numbers
            message = f"the answer to {display_name(name)} cannot be compared: {error}"
            return ItemScore(name, error=ItemError("answer_invalid", message, "Make it again; the fit diverged."))

    def _feature_sets(
        self, photo: Loaded, answer: Prediction, image: Tensor, white: Tensor
    ) -> dict[str, NDArray[np.float32]]:
        first = random_azimuth_deg(self.plan.seed, photo.item.name)
        own = float(answer.camera.azimuth_deg[0])
        novel = [answer.turned(first - own), answer.turned(first + 90 - own)]
        side = [answer.turned(turn) for turn in SIDE_TURNS_DEG]
        views = [self._stored(draw_prediction(view, photo.size).image) for view in (*novel, *side)]
        features = self._features(torch.stack([white, image, *views])).float().numpy()
        return {"reference": features[:1], "recon": features[1:2], "novel": features[2:4], "90": features[4:]}

    def _stored(self, image: Tensor) -> Tensor:
        return through_jpeg(image) if self.plan.published else image


def photo_row(image: Tensor, mask: Tensor, white: Tensor, true_mask: Tensor) -> dict[str, float]:
    """Figures of the photo's own view: MaskIoU (soft), IoU of covered pixels, SSIM over white, SSIM inside the mask.

    The soft silhouette reaches beyond the body: at 128 x 64 pixels the true body scores about 0.89 by MaskIoU, and a
    smaller one with slits scores more (docs/notes/refinement.md). The pixels that the body covers tell such answers
    apart.

    Args:
        image: [3, H, W], drawn over white.
        mask: [H, W], drawn.
        white: [3, H, W], the photo's person over white.
        true_mask: [H, W].
    """
    return {
        "mask_iou": float(metrics.mask_iou(mask[None], true_mask[None])),
        "covered_iou": float(metrics.mask_iou((mask[None] >= COVERED).to(mask.dtype), true_mask[None])),
        "ssim": float(metrics.ssim(image[None], white[None])),
        "ssim_in_mask": float(metrics.ssim_in_mask(image[None], white[None], true_mask[None])),
    }


def predicted_mask(item: DataSetPhoto, folder: Path) -> tuple[Tensor, Loaded]:
    """Another method's mask [H, W], 0..1, soft values as they are, and the photo, both at the photo's own size.

    Raises:
        ItemError: `predicted_mask_missing`, or as from reading photo and masks.
    """
    path = mirrored(folder, item.name)
    if path is None:
        raise ItemError(
            "predicted_mask_missing",
            f"{display_name(folder)} has no mask of {display_name(item.name)}",
            "The folder mirrors the data set; names differ only in their suffix.",
        )
    photo = read_image(item.image)
    loaded = load(item, (photo.size[1], photo.size[0]))
    return torch.from_numpy(read_mask(path, photo).astype(np.float32) / 255), loaded


def _mask_score(item: DataSetPhoto, folder: Path) -> ItemScore:
    predicted, photo = predicted_mask(item, folder)
    return ItemScore(item.name, {"mask_iou": float(metrics.mask_iou(predicted[None], photo.mask[None]))})


def through_jpeg(image: Tensor) -> Tensor:
    """[3, H, W] or [H, W], 0..1, as it comes back from an 8-bit JPEG file of quality 100."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    if pixels.ndim == 3:
        pixels = pixels.permute(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(stream, "JPEG", quality=100)
    back = torch.from_numpy(np.array(Image.open(stream))).float() / 255
    return back.permute(2, 0, 1) if back.ndim == 3 else back


def random_azimuth_deg(seed: int, name: str) -> float:
    """Uniform in -180..180; the same for the same photo, whatever else is scored."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode("utf-8", "surrogateescape")))
    return float(torch.rand(1, generator=generator, dtype=torch.float64)) * 360 - 180


def finite_or_none(value: float) -> float | None:
    """For JSON, which knows no NaN."""
    return value if math.isfinite(value) else None


Features = Callable[[Tensor], Tensor]
"""[N, 3, H, W] images, 0..1, to [N, D]."""

COLOUR_EDGE_SIZE = (128, 64)
COLOUR_EDGE_CELLS = (4, 2)


def colour_edge_features(images: Tensor) -> Tensor:
    """Mean and spread of the colours and strength of the edges in four directions, in 4 x 2 cells: [N, 80].

    A stated stand-in where there is no Inception network; distances between such features are not FIDs.

    Args:
        images: [N, 3, H, W], 0..1.
    """
    small = functional.interpolate(images, COLOUR_EDGE_SIZE, mode="bilinear", antialias=True, align_corners=False)
    grey = functional.pad(small.mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    middle = grey[:, :, 1:-1, 1:-1]
    steps = (grey[:, :, 1:-1, 2:], grey[:, :, 2:, 1:-1], grey[:, :, 2:, 2:], grey[:, :, 2:, :-2])
    edges = torch.cat([(step - middle).abs() for step in steps], dim=1)
    mean = functional.adaptive_avg_pool2d(small, COLOUR_EDGE_CELLS)
    square = functional.adaptive_avg_pool2d(small.square(), COLOUR_EDGE_CELLS)
    spread = (square - mean.square()).clamp(min=0).sqrt()
    strength = functional.adaptive_avg_pool2d(edges, COLOUR_EDGE_CELLS)
    return torch.cat((mean, spread, strength), dim=1).flatten(1)


def inception_features(weights: Path, device: str) -> Features:
    """Pool-3 features [N, 2048] of the Inception-v3 of the FID, from a weights file of the user's.

    Args:
        weights: `weights-inception-2015-12-05-6726825d.pth` of torch-fidelity; read as plain tensors, never unpickled.
        device: `cpu` or `cuda:N`.

    Raises:
        FatalError: `inception_missing`, `fidelity_missing`, `inception_unreadable`.
    """
    if not weights.is_file():
        raise FatalError("inception_missing", f"there is no file {display_name(weights)}", "Check --inception.")
    try:
        from recon.torchvision_shim import ensure_torchvision_imports

        ensure_torchvision_imports()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise FatalError(
            "fidelity_missing",
            f"--inception needs torch-fidelity, which cannot be imported: {error}",
            'Install it (pip install torch-fidelity "mmgen[reid]"), or leave --inception out.',
        ) from error
    try:
        # Older torch would unpickle what the constructor loads; this pass refuses everything but tensors first.
        torch.load(weights, map_location="cpu", weights_only=True)
        network = FeatureExtractorInceptionV3("fid", ["2048"], feature_extractor_weights_path=str(weights))
    except Exception as error:  # a damaged file raises whatever its parser trips over
        raise FatalError(
            "inception_unreadable",
            f"{display_name(weights)} is no weights file for torch-fidelity's Inception-v3: {type(error).__name__}",
            "Take weights-inception-2015-12-05-6726825d.pth from torch-fidelity's releases.",
        ) from error
    network = network.to(device)

    def features(images: Tensor) -> Tensor:
        pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
        return network(pixels.to(device))[0].cpu()

    return features
