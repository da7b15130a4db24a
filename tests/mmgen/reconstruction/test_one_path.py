"""The same photos and masks give the same cameras and figures, whatever command asks the networks."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from augment_folders import made, request_for

import mmgen
from mmgen.augment.options import AugmentOptions, RenderOptions
from mmgen.augment.store import StoreReader, store_of
from mmgen.core.errors import ItemError
from mmgen.evaluation.running import EvaluateConfig, evaluate
from mmgen.evaluation.scoring import Scorer, ScoringPlan
from mmgen.evaluation.sources import SourceSpec
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.network import NetworkReconstructor
from mmgen.reconstruction.options import ReconstructOptions

STEPS = 2
PHOTOS = 6
AS_EVALUATE = AugmentOptions(look=RenderOptions(size=(256, 128)), refine_steps=STEPS, limit=PHOTOS)
"""Views so large that their textures have the size of `mmgen reconstruct`."""


@dataclass(frozen=True)
class Figures:
    azimuth_deg: float
    elevation_deg: float
    distance: float
    mask_iou: float
    ssim: float


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("one")
    made(base, base / "shards", AS_EVALUATE)
    return base


@pytest.fixture(scope="module")
def reconstructed(folder: Path) -> dict[str, Figures]:
    options = ReconstructOptions(weights=folder / "tiny.safetensors", refine_steps=STEPS)
    reconstructor = NetworkReconstructor(options)
    items = list_inputs([folder / "market" / "bounding_box_train"], folder / "out")[:PHOTOS]
    results = reconstructor.reconstruct([one for item in items for one in reconstructor.prepare(item)])
    figures = {}
    for result in results:
        assert not isinstance(result, ItemError)
        said = result.asset.provenance
        pose = said["camera"]
        figures[said["input"]] = Figures(
            pose["azimuth_deg"], pose["elevation_deg"], pose["distance"], result.mask_iou, result.ssim
        )
    assert len(figures) == PHOTOS
    return figures


def test_evaluate_measures_what_reconstruct_writes(folder: Path, reconstructed: dict[str, Figures]) -> None:
    spec = SourceSpec("weights", str(folder / "tiny.safetensors"), STEPS)
    order = EvaluateConfig(folder / "market", "train", PHOTOS, 1, ScoringPlan(spec))
    evaluation = evaluate(order)
    assert len(evaluation.scored) == PHOTOS
    scorer = Scorer(order.scoring)
    for item, score in zip(evaluation.items, evaluation.scores, strict=True):
        (answer,) = scorer.answers([scorer.load(item)])
        assert not isinstance(answer, ItemError)
        camera = answer.camera
        assert_same(
            Figures(
                score.row["azimuth_deg"],
                float(camera.elevation_deg),
                float(camera.distance),
                score.row["mask_iou"],
                score.row["ssim"],
            ),
            reconstructed[Path(item.name).name],
        )


def test_virtual_people_descend_from_what_reconstruct_writes(folder: Path, reconstructed: dict[str, Figures]) -> None:
    request = request_for(folder, folder / "shards", AS_EVALUATE)
    reader = StoreReader(store_of(request.plan, request.root, request.out, request.weights_sha256))
    for index, photo in enumerate(request.plan.photos):
        record = reader[index]
        stored = Figures(*(float(record[name]) for name in Figures.__dataclass_fields__))
        assert_same(stored, reconstructed[Path(photo.path).name])


def test_python_gives_what_reconstruct_writes(folder: Path, reconstructed: dict[str, Figures]) -> None:
    model = mmgen.Reconstructor(folder / "tiny.safetensors", refine=STEPS, device="cpu")
    images = [folder / "market" / "bounding_box_train" / name for name in reconstructed]
    masks = [
        folder / "market" / "masks" / "bounding_box_train" / Path(name).with_suffix(".png") for name in reconstructed
    ]
    for image, person in zip(images, model(images, masks), strict=True):
        pose = person.camera
        found = Figures(pose["azimuth_deg"], pose["elevation_deg"], pose["distance"], person.mask_iou, person.ssim)
        assert_same(found, reconstructed[image.name])


def assert_same(found: Figures, expected: Figures) -> None:
    turned = replace(found, azimuth_deg=(found.azimuth_deg - expected.azimuth_deg + 180) % 360 - 180)
    wanted = replace(expected, azimuth_deg=0.0)
    assert vars(turned) == pytest.approx(vars(wanted), abs=1e-4)
