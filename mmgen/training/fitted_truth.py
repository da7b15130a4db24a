"""Photos of real people to training photos with truth: fit the networks' answers for long, keep those that fit.

    python -m mmgen.training.fitted_truth PHOTOS --masks MASKS --out FITS
    mmgen train manifests/synthetic-truth-bodies.toml --data crowd --init bundled --set 'truth.beside=["FITS"]'

Analysis by synthesis, after SPIN (Kolotouros et al. 2019): where a refined body lies on its outline and nothing speaks
against it, its camera, shape and colours are taken for the truth, and the networks learn from them. What no photo
shows (depth, the other side) remains the networks' own guess, so these photos teach beside people whose truth is known.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from mmgen.bundled import required_weights
from mmgen.core.errors import ItemError
from mmgen.core.files import write_bytes_atomic
from mmgen.core.outputs import image_bytes
from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import InputItem, list_inputs
from mmgen.reconstruction.confidence import Evidence, confidence_of
from mmgen.reconstruction.network import PhotoPredictor
from mmgen.reconstruction.prepare import Prepared, prepare_people
from mmgen.synth.archive import npz_bytes, pack_array
from mmgen.synth.layout import TRAIN_FOLDER, mask_path, truth_path
from mmgen.synth.view import JPEG_QUALITY
from mmgen.work.records import LOW_CONFIDENCE
from recon.camera import intrinsics_px, world_to_camera
from recon.fitting.stretch import stretched_triangles
from recon.predict import PredictedPerson
from recon.render.scene import sample_texture

TEXTURE_SIZE = (512, 256)
BATCH = 16

GRID = 3
"""Parts of a triangle's side between points that carry a colour: the template's vertices are too few."""


@dataclass(frozen=True)
class Bar:
    """What a fit must reach to be taken for the truth.

    Attributes:
        mask_iou: overlap of the soft silhouette with the mask, at least.
        stretched: triangles far longer than the prototype's, at most.
    """

    mask_iou: float = 0.945
    stretched: int = 10


@dataclass(frozen=True)
class Fit:
    """A photo that was fitted, and why it is not taken; empty where it is."""

    prepared: Prepared
    person: PredictedPerson
    refused: str


def fits(items: Sequence[InputItem], masks: MaskSource, predict: PhotoPredictor, bar: Bar) -> Iterator[Fit]:
    """Fit the only person of each photo; photos that cannot be read or show several are passed over."""
    for start in range(0, len(items), BATCH):
        prepared = [one for item in items[start : start + BATCH] for one in _alone(item, masks, predict)]
        for one, person in zip(prepared, predict(prepared), strict=True):
            yield Fit(one, person, _refused(one, person, predict, bar))


def _alone(item: InputItem, masks: MaskSource, predict: PhotoPredictor) -> tuple[Prepared, ...]:
    try:
        people = prepare_people(item, masks, predict.framing)
    except ItemError:
        return ()
    return people if len(people) == 1 else ()


def _refused(prepared: Prepared, person: PredictedPerson, predict: PhotoPredictor, bar: Bar) -> str:
    if person.fit.mask_iou < bar.mask_iou:
        return f"MaskIoU {person.fit.mask_iou:.3f}"
    stretched = stretched_triangles(person.mesh.vertices[0], predict.weights.encoder.prototype)
    if stretched > bar.stretched:
        return f"{stretched} stretched triangles"
    found = prepared.found
    evidence = Evidence(found.mask, found.quality, person.fit.mask_iou, True, prepared.signs, False)
    confidence = confidence_of(evidence)
    return confidence.doubts[0] if confidence.value < LOW_CONFIDENCE else ""


class TruthWriter:
    """Writes fits as photos of a data set with truth, one identity each.

    Args:
        predict: the networks that were fitted.
    """

    def __init__(self, predict: PhotoPredictor, out: Path) -> None:
        self._predict, self._out, self._written = predict, out, 0

    def __call__(self, fit: Fit) -> str:
        """Write one fit; returns the image's path in the data set."""
        self._written += 1
        image = f"{TRAIN_FOLDER}/{self._written:04d}_c1s1_000001_01.jpg"
        files = {
            mask_path(image): image_bytes(np.where(fit.prepared.small_mask > 127, np.uint8(255), np.uint8(0)), "PNG"),
            truth_path(image): npz_bytes(pack_array(name, value) for name, value in self._truth(fit).items()),
            image: image_bytes(fit.prepared.small_image, "JPEG", quality=JPEG_QUALITY, subsampling=0),
        }
        for path, data in files.items():
            (self._out / path).parent.mkdir(parents=True, exist_ok=True)
            write_bytes_atomic(self._out / path, data)
        return image

    @cached_property
    def _points(self) -> tuple[Float[Tensor, "P 3"], NDArray[np.int64]]:
        """Weights of a triangle's corners at the points of a grid over it, and the grid's triangles."""
        steps = [(i, j) for i in range(GRID + 1) for j in range(GRID + 1 - i)]
        number = {step: index for index, step in enumerate(steps)}
        up = [(number[i, j], number[i + 1, j], number[i, j + 1]) for i, j in steps if i + j < GRID]
        down = [(number[i + 1, j], number[i + 1, j + 1], number[i, j + 1]) for i, j in steps if i + j < GRID - 1]
        weights = torch.tensor([(GRID - i - j, i, j) for i, j in steps]) / GRID
        return weights, np.array(up + down)

    def _truth(self, fit: Fit) -> dict[str, NDArray[np.generic]]:
        """The arrays of a truth file; the length unit is the template's."""
        prototype, camera = self._predict.weights.encoder.prototype, fit.person.camera
        weights, grid = self._points
        vertices, texture = fit.person.mesh.vertices[0], fit.person.mesh.texture
        points = torch.einsum("pc,fcx->fpx", weights, vertices[prototype.faces])
        uv = torch.einsum("pc,fcx->fpx", weights, prototype.face_uv)
        colours = sample_texture(texture, uv[None])[0]
        count = np.arange(len(prototype.faces))[:, None, None] * len(weights)
        height, width = fit.prepared.small_mask.shape
        return {
            "vertices": points.reshape(-1, 3).numpy().astype(np.float32),
            "faces": (count + grid).reshape(-1, 3).astype(np.int32),
            "colors": (colours.permute(1, 2, 0).reshape(-1, 3).clamp(0, 1) * 255).round().byte().numpy(),
            "prototype_posed": vertices.numpy().astype(np.float32),
            "azimuth_deg": camera.azimuth_deg[0].numpy(),
            "elevation_deg": camera.elevation_deg[0].numpy(),
            "distance": camera.distance[0].numpy(),
            "world_to_camera": world_to_camera(camera)[0].numpy(),
            "intrinsics": intrinsics_px(camera, height, width).numpy(),
        }


def main() -> None:
    """Fit, keep, write; prints one JSON object."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--masks", required=True, help="as of `mmgen reconstruct`")
    parser.add_argument("--out", type=Path, required=True, help="data set folder to write, empty or new")
    parser.add_argument("--weights", type=Path, help="networks to start from; default: the bundled ones")
    parser.add_argument("--refine", type=int, default=200, help="steps; default 200")
    options = parser.parse_args()
    if options.out.is_dir() and any(options.out.iterdir()):
        parser.error(f"{options.out} is not empty")
    predict = PhotoPredictor(options.weights or required_weights(), "cpu", TEXTURE_SIZE, options.refine)
    masks = MaskSource.parse(options.masks)
    skipped = [masks.folder] if masks.folder else []
    items = list_inputs([options.photos], options.out, skipped)
    write, taken, refused = TruthWriter(predict, options.out), 0, 0
    for fit in fits(items, masks, predict, Bar()):
        if fit.refused:
            refused += 1
        else:
            write(fit)
            taken += 1
        if sys.stderr.isatty() or (taken + refused) % 50 == 0:
            sys.stderr.write(f"{taken + refused} of {len(items)}, {taken} taken\n")
    sys.stdout.write(json.dumps({"photos": len(items), "taken": taken, "refused": refused}) + "\n")


if __name__ == "__main__":
    main()
