"""Scores of predicted attributes against photos and, where it is known, against truth; pure, one value per image.

A small MaskIoU and SSIM error in the photo's own view says nothing about the other sides of a body. Therefore truth
columns stand beside them: camera errors, views from the side and from behind under the true relative camera,
distances between the surfaces, and the same for two answers that need no learning.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recon import metrics
from recon.evaluation.baselines import billboard_answer, template_answer
from recon.evaluation.hidden import hidden_row
from recon.evaluation.predictions import Prediction
from recon.evaluation.solid import chamfer, volume_iou
from recon.evaluation.surfaces import Drawing, Surface, draw
from recon.evaluation.truth import (
    Truth,
    apparent_distance,
    beside_truth,
    comparison_cameras,
    true_apparent_distance,
    true_drawing,
    with_photo_colours,
)
from recon.render import render
from recon.render.scene import minified
from recon.structures import Attributes, Camera, Sample, TexturedMesh
from recon.template import Template

NOVEL_TURNS_DEG = (-90.0, -60.0, 60.0, 90.0)
BACK_TURNS_DEG = (180.0,)
NEAR_TURNS_DEG = (-90.0, -60.0, -30.0, 30.0, 60.0, 90.0)
FAR_TURNS_DEG = (-150.0, -120.0, 120.0, 150.0, 180.0)
ALL_TURNS_DEG = NEAR_TURNS_DEG + FAR_TURNS_DEG

ANSWER_VIEWS = {"novel": NOVEL_TURNS_DEG, "back": BACK_TURNS_DEG}
"""Views that the answer's own camera has a part in: it says how the body stands before it is turned."""

BODY_VIEWS = {"body_near": NEAR_TURNS_DEG, "body_far": FAR_TURNS_DEG}
"""Views of the body alone, upright as its makers hold it: no camera but the true one."""

GOOD_AZIMUTH_DEG = 20.0


@dataclass(frozen=True)
class Scores:
    """One column of values per measure, one entry per image that has it.

    Attributes:
        columns: measure -> values. Columns that need truth hold only the images that have one.
    """

    columns: Mapping[str, tuple[float, ...]]

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.columns.get("mask_iou", ()))

    @staticmethod
    def joined(parts: Sequence["Scores"]) -> "Scores":
        """All images of several batches."""
        names = dict.fromkeys(name for part in parts for name in part.columns)
        return Scores({name: sum((part.columns.get(name, ()) for part in parts), ()) for name in names})

    def summary(self) -> dict[str, float]:
        """One figure per measure: means, and for azimuths median, share below 20 degrees, right side, spread.

        Values that are not finite (an empty mask has no SSIM inside it) are left out; a measure without any is missing.
        """
        columns = {name: torch.tensor(values, dtype=torch.float64) for name, values in self.columns.items()}
        finite = {name: values[values.isfinite()] for name, values in columns.items()}
        figures = {name: float(values.mean()) for name, values in finite.items() if len(values)}
        predicted = figures.pop("azimuth_deg", None)
        if predicted is not None:
            figures["azimuth_spread_deg"] = float(metrics.azimuth_spread_deg(finite["azimuth_deg"]))
        error = finite.get("azimuth_error_deg")
        if error is not None and len(error):
            figures["azimuth_error_deg_mean"] = figures.pop("azimuth_error_deg")
            figures["azimuth_error_deg_median"] = float(error.median())
            figures["azimuth_within_20_deg"] = float((error < GOOD_AZIMUTH_DEG).double().mean())
        return figures


@torch.no_grad()
def score_batch(attributes: Attributes, sample: Sample, template: Template) -> Scores:
    """Score predictions for a batch of photos without truth; what truth adds is `truth_row`.

    Measures: `mask_iou` (soft mask, as published), `ssim` (photo and drawing over white), `ssim_in_mask`,
    `azimuth_deg` (the prediction itself).
    """
    size = (sample.image.shape[2], sample.image.shape[3])
    texture = minified(attributes.texture, size[0])
    mesh = TexturedMesh(template.vertices + attributes.offsets, template.faces, template.face_uv, texture)
    drawn = render(mesh, attributes.camera, size, light=attributes.light)
    photo = sample.image * sample.mask[:, None] + 1 - sample.mask[:, None]
    columns = {
        "mask_iou": metrics.mask_iou(drawn.mask, sample.mask),
        "ssim": metrics.ssim(drawn.image, photo),
        "ssim_in_mask": metrics.ssim_in_mask(drawn.image, photo, sample.mask),
        "azimuth_deg": attributes.camera.azimuth_deg,
    }
    return Scores({name: tuple(values.tolist()) for name, values in columns.items()})


@torch.no_grad()
def truth_row(
    answer: Prediction,
    image: Float[Tensor, "3 H W"],
    mask: Float[Tensor, "H W"],
    truth: Truth,
    template: Template,
    seed: int = 0,
) -> dict[str, float]:
    """Score one answer against truth.

    Measures: `truth_mask_iou` (true silhouette against the photo's mask; far below 1 the truth is misread or
    misplaced), `azimuth_error_deg`, `front_back_accuracy`, `elevation_error_deg`, `distance_error` (relative, lens
    removed), `novel_mask_iou`, `novel_ssim` (mean over -90, -60, 60, 90 degrees from the photo's view),
    `back_mask_iou`, `back_ssim` (180 degrees), `body_near_*` and `body_far_*` (30 to 90 and 120 to 180 degrees, the
    body under true cameras alone), those of `hidden_row`, `chamfer` (share of the height), `volume_iou` (voxels of 1/48
    height), and those
    from `novel_*` on once more as `template_*` and `billboard_*` for the trivial answers (the latter not for an empty
    mask, and a cut-out has no upright body). Turned views compare hard silhouettes of both meshes, each brought to the
    same height and centre, so that unit, place and lens of the truth drop out.

    Args:
        template: mean shape behind the `template_*` measures.
        seed: random seed of the surface samples behind `chamfer`.
    """
    size = (mask.shape[0], mask.shape[1])
    _, silhouette = true_drawing(truth, size)
    row = {"truth_mask_iou": float(metrics.mask_iou(silhouette[None], mask[None])), **_camera_row(answer, truth)}
    true_surface = with_photo_colours(truth, image, mask).surface.canonical()
    row |= hidden_row(answer.surface, answer.camera, truth, true_surface)
    true_views = _views(true_surface, truth, ALL_TURNS_DEG, size)

    mean_shape = template_answer(template, answer.camera, image, mask, answer.shift_ndc)
    compared = {"": (answer.surface, answer.camera), "template_": (mean_shape, answer.camera)}
    if float(mask.max()) >= 0.5:
        compared["billboard_"] = (billboard_answer(image, mask), Camera.frontal(1))
    for prefix, (surface, camera) in compared.items():
        row |= _view_row(prefix, ANSWER_VIEWS, beside_truth(surface, camera, truth), truth, true_views)
        upright = surface.canonical()
        if prefix != "billboard_":
            row |= _view_row(prefix, BODY_VIEWS, upright, truth, true_views)
        row |= _solid_row(prefix, upright, true_surface, seed)
    return row


def _camera_row(answer: Prediction, truth: Truth) -> dict[str, float]:
    azimuth = answer.camera.azimuth_deg.double().cpu()
    elevation = answer.camera.elevation_deg.double().cpu()
    true_azimuth, true_elevation = (azimuth.new_tensor([angle]) for angle in (truth.azimuth_deg, truth.elevation_deg))
    distance = azimuth.new_tensor([apparent_distance(answer.surface, answer.camera)])
    true_distance = azimuth.new_tensor([true_apparent_distance(truth)])
    return {
        "azimuth_error_deg": float(metrics.azimuth_error_deg(azimuth, true_azimuth)),
        "front_back_accuracy": float(metrics.front_back_accuracy(azimuth, true_azimuth)),
        "elevation_error_deg": float(metrics.elevation_error_deg(elevation, true_elevation)),
        "distance_error": float(metrics.relative_error(distance, true_distance)),
    }


def _views(surface: Surface, truth: Truth, turns_deg: Sequence[float], size: tuple[int, int]) -> Drawing:
    """Views of a surface in the canonical frame, turned from the photo's true one."""
    turns = torch.tensor(turns_deg, device=surface.vertices.device)
    return draw(surface, comparison_cameras(truth, turns), size)


def _view_row(
    prefix: str, views: Mapping[str, Sequence[float]], surface: Surface, truth: Truth, true_views: Drawing
) -> dict[str, float]:
    """Mean MaskIoU and SSIM of each group of turned views; `true_views` are those of `ALL_TURNS_DEG`."""
    size = (true_views.covered.shape[1], true_views.covered.shape[2])
    turns = sorted({turn for group in views.values() for turn in group})
    drawn = _views(surface, truth, turns, size)
    true = [ALL_TURNS_DEG.index(turn) for turn in turns]
    iou = metrics.mask_iou(drawn.covered.float(), true_views.covered[true].float())
    similarity = metrics.ssim(drawn.image, true_views.image[true])
    row = {}
    for name, group in views.items():
        rows = [turns.index(turn) for turn in group]
        row[f"{prefix}{name}_mask_iou"] = float(iou[rows].mean())
        row[f"{prefix}{name}_ssim"] = float(similarity[rows].mean())
    return row


def _solid_row(prefix: str, own: Surface, true: Surface, seed: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(seed)
    meshes = (own.vertices, own.faces, true.vertices, true.faces)
    return {f"{prefix}chamfer": chamfer(*meshes, generator), f"{prefix}volume_iou": volume_iou(*meshes)}
