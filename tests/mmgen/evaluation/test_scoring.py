"""Scores of networks and of real reconstructions, features, Frechet distances, the table and the page's parts."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from evaluation_scenes import NAMES, template, write_data
from torch import Tensor

from mmgen.assets.glb import glb_bytes
from mmgen.cli.evaluate import plain
from mmgen.core.errors import FatalError, ItemError
from mmgen.evaluation.figures import table_of
from mmgen.evaluation.mesh_predictions import MeshFolder
from mmgen.evaluation.photos import list_items
from mmgen.evaluation.report import azimuth_plot, chosen_cases
from mmgen.evaluation.running import EvaluateConfig, evaluate, plan, summed_up, write_results
from mmgen.evaluation.scoring import (
    ItemScore,
    Scorer,
    ScoringPlan,
    colour_edge_features,
    inception_features,
    random_azimuth_deg,
    through_jpeg,
)
from mmgen.evaluation.sources import SourceSpec
from mmgen.models.weights import save_weights
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.fit import FitReconstructor
from mmgen.reconstruction.options import ReconstructOptions
from mmgen.work.records import MANIFEST, Record
from recon.encoders import AttributeEncoder, small_config


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos with truth."""
    return write_data(tmp_path_factory.mktemp("scoring"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks for photos of 48 x 32 pixels."""
    torch.manual_seed(0)
    encoder = AttributeEncoder(small_config(height=48, width=32), template()).eval()
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_weights(path, encoder, template(), {})
    return path


def order(data: Path, source: SourceSpec, **changes: object) -> EvaluateConfig:
    return EvaluateConfig(data, None, None, 1, replace(ScoringPlan(source), **changes))  # type: ignore[arg-type]


def test_networks_are_scored_in_the_crop_that_reconstruct_cuts_out(data: Path, weights: Path) -> None:
    scorer = Scorer(ScoringPlan(SourceSpec("weights", str(weights))))
    loaded = scorer.load(list_items(data, None)[0][0])
    assert loaded.size == (48, 32) and loaded.crop is not None
    rows = loaded.mask.amax(dim=1).nonzero()[:, 0]
    assert len(rows) == pytest.approx(48 / 1.16, abs=1.5), "a margin of 8 % above and below the person"
    assert loaded.crop.fine_image.shape[1] > 2 * 48


def test_scores_do_not_depend_on_the_chunk(data: Path, weights: Path) -> None:
    items = list_items(data, None)[0]
    scorer = Scorer(ScoringPlan(SourceSpec("weights", str(weights))))
    together = {score.name: score for _, score in scorer(items)}
    for item in items[::-1]:
        ((_, alone),) = scorer([item])
        assert alone.row == pytest.approx(dict(together[item.name].row), abs=1e-4, nan_ok=True)
        for name, value in alone.features.items():
            np.testing.assert_allclose(value, together[item.name].features[name], atol=1e-4)


def test_networks_get_all_columns(data: Path, weights: Path) -> None:
    evaluation = evaluate(order(data, SourceSpec("weights", str(weights))))
    assert evaluation.exit_code == 0 and len(evaluation.scored) == 3
    assert {"novel_mask_iou", "chamfer", "volume_iou", "azimuth_error_deg_median"} <= set(evaluation.metrics)
    assert evaluation.metrics["truth_mask_iou"] > 0.9, "the truth is cut out like its photo"
    assert evaluation.as_data()["source"]["kind"] == "weights"


def test_refined_answers_fit_their_photos_better(data: Path, weights: Path) -> None:
    plain = evaluate(order(data, SourceSpec("weights", str(weights)))).metrics
    refined = evaluate(order(data, SourceSpec("weights", str(weights), refine_steps=8)))
    assert refined.metrics["mask_iou"] > plain["mask_iou"] + 0.1 and refined.metrics["ssim"] > plain["ssim"]
    assert refined.as_data()["source"]["refine_steps"] == 8


def test_a_damaged_photo_does_not_shift_the_others(data: Path, tmp_path: Path) -> None:
    broken = write_data(tmp_path)
    (broken / NAMES[1]).write_bytes(b"\xff\xd8\xff")
    spec = SourceSpec("trivial", "billboard")
    bad, good = evaluate(order(broken, spec)), evaluate(order(data, spec))
    assert [score.error is None for score in bad.scores] == [False, True, True]
    assert [score.row for score in bad.scores[1:]] == [score.row for score in good.scores[1:]]
    assert bad.exit_code == 3


def test_real_reconstructions_lie_on_their_photo(data: Path, tmp_path: Path) -> None:
    """The crop, the camera and the pivot of a real asset, found by the run record of another working folder."""
    (item, *_) = list_inputs([data / "query"], tmp_path)
    options = ReconstructOptions(texture_size=(32, 16), refine_steps=3, template="ellipsoid", height_m=1.55)
    reconstructor = FitReconstructor(options)
    (made,) = reconstructor.reconstruct(list(reconstructor.prepare(item)))
    assert not isinstance(made, ItemError)
    (tmp_path / "other.glb").write_bytes(glb_bytes(made.asset))
    with MANIFEST.writer(tmp_path / "manifest.jsonl") as writer:
        writer.append(Record(item.name, "ok", output="other.glb", root=str(item.root)))
    scorer = Scorer(ScoringPlan(SourceSpec("meshes", str(tmp_path))))
    photo = scorer.load(list_items(data, "query")[0][0])
    (answer,) = scorer.answers([photo])
    assert not isinstance(answer, ItemError)
    assert scorer.score(photo, answer).row["mask_iou"] == pytest.approx(made.mask_iou, abs=0.03)
    assert made.mask_iou > 0.85


def test_a_photo_that_was_not_reconstructed_says_why(data: Path, tmp_path: Path) -> None:
    record = Record(Path(NAMES[0]).name, "failed", error="mask_empty", message="no person", hint="Draw one.")
    with MANIFEST.writer(tmp_path / "manifest.jsonl") as writer:
        writer.append(record)
    (item,) = list_items(data, "query")[0]
    with pytest.raises(ItemError, match=r"was not reconstructed: no person \(mask_empty\)\. Draw one"):
        MeshFolder(tmp_path).path_of(item)


def test_colour_edge_features_see_colour_place_and_direction() -> None:
    flat = torch.full((1, 3, 128, 64), 0.5)
    top, columns, rows = flat.clone(), flat.clone(), flat.clone()
    top[:, 0, :32] = 1.0
    columns[..., ::4] = 0.0
    rows[..., ::4, :] = 0.0
    features = colour_edge_features(torch.cat((flat, top, columns, rows)))
    assert features.shape == (4, 80)
    mean, spread, edges = features.split((24, 24, 32), dim=1)
    torch.testing.assert_close(mean[0], torch.full((24,), 0.5))
    assert float(spread[0].max()) < 1e-3 and float(edges[0].max()) < 1e-6
    assert (mean[1] != mean[0]).nonzero()[:, 0].tolist() == [0, 1], "red of the upper two cells"
    across, down = edges.view(4, 4, 8)[2:, 0].sum(dim=1), edges.view(4, 4, 8)[2:, 1].sum(dim=1)
    assert across[0] > 10 * down[0] and down[1] > 10 * across[1]


def test_features_do_not_depend_on_the_size() -> None:
    image = torch.rand(1, 3, 16, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    small = torch.nn.functional.avg_pool2d(image, 2)
    torch.testing.assert_close(colour_edge_features(small), colour_edge_features(image), atol=0.05, rtol=0)


def test_frechet_distances_are_named_after_their_features() -> None:
    generator = np.random.default_rng(0)

    def score(shift: float) -> ItemScore:
        one = generator.normal(size=(1, 5)).astype(np.float32)
        pair = np.concatenate((one, one)) + np.float32(shift)
        return ItemScore("a", {"mask_iou": 1.0}, {"reference": one, "recon": one, "novel": pair, "90": pair + 1})

    scores = [score(1.0) for _ in range(40)]
    figures = summed_up(scores, ScoringPlan(SourceSpec("trivial", "template")))
    assert figures["frechet_colour_edge_recon"] == pytest.approx(0, abs=1e-6)
    assert figures["frechet_colour_edge_novel"] == pytest.approx(5, rel=0.01)
    assert figures["frechet_colour_edge_90"] == pytest.approx(20, rel=0.01)
    fids = summed_up(scores, ScoringPlan(SourceSpec("trivial", "template"), inception=Path("w.pth")))
    assert {"fid_recon", "fid_novel", "fid_90"} <= set(fids) and "frechet_colour_edge_90" not in fids
    assert set(summed_up(scores[:1], ScoringPlan(SourceSpec("trivial", "template")))) == {"mask_iou"}


def test_inception_needs_its_file_and_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FatalError, match="there is no file"):
        inception_features(tmp_path / "none.pth", "cpu")
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(2)}, path)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(FatalError, match="--inception needs torch-fidelity, which cannot be imported"):
        inception_features(path, "cpu")


class FakeInception(torch.nn.Module):
    """What torch-fidelity's network promises: uint8 in, a tuple out."""

    def __init__(self, name: str, features: list[str], feature_extractor_weights_path: str) -> None:
        super().__init__()
        assert features == ["2048"]
        self.shift = torch.load(feature_extractor_weights_path, weights_only=True)["a"]

    def forward(self, images: Tensor) -> tuple[Tensor]:
        assert images.dtype == torch.uint8
        return (images.float().mean(dim=(2, 3)) + self.shift,)


@pytest.fixture
def fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the fake where torch-fidelity would be."""
    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = FakeInception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", module)
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))


@pytest.mark.usefixtures("fidelity")
def test_inception_gets_bytes_and_gives_fids(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(3)}, path)
    features = inception_features(path, "cpu")(torch.full((2, 3, 8, 8), 0.5))
    torch.testing.assert_close(features, torch.full((2, 3), 129.0))
    evaluation = evaluate(order(data, SourceSpec("trivial", "billboard"), inception=path))
    assert {"fid_recon", "fid_novel", "fid_90"} <= set(evaluation.metrics)


@pytest.mark.usefixtures("fidelity")
def test_a_pickle_is_no_weights_file(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": Path("/")}, path)
    with pytest.raises(FatalError, match="is no weights file for torch-fidelity's Inception-v3: UnpicklingError"):
        inception_features(path, "cpu")


def test_random_views_are_uniform_and_fixed() -> None:
    angles = torch.tensor([random_azimuth_deg(0, f"{number}.jpg") for number in range(400)])
    assert angles.min() < -170 and angles.max() > 170 and abs(float(angles.mean())) < 20
    assert random_azimuth_deg(0, "a") == random_azimuth_deg(0, "a") != random_azimuth_deg(1, "a")


def test_jpeg_loses_little_but_something() -> None:
    image = torch.linspace(0, 1, 16).expand(3, 32, 16) * torch.tensor([1.0, 0.8, 0.5])[:, None, None]
    back = through_jpeg(image)
    assert back.shape == image.shape and 1 / 1024 < float((back - image).abs().mean()) < 0.02
    mask = through_jpeg(image[0])
    assert mask.shape == (32, 16) and float((mask - image[0]).abs().max()) < 0.02


def scores_of(*values: float, measure: str = "mask_iou") -> list[ItemScore]:
    return [ItemScore(f"{number:02d}", {measure: value}) for number, value in enumerate(values)]


def test_cases_are_the_extremes_and_the_middle() -> None:
    measure, groups = chosen_cases(scores_of(*(number / 20 for number in range(20))))
    assert measure == "mask_iou"
    picked = {title: [score.name for score in group] for title, group in groups.items()}
    assert picked == {"Best": ["19", "18", "17"], "Median": ["10", "09", "08"], "Worst": ["00", "01", "02"]}
    assert list(chosen_cases(scores_of(0.1, 0.9))[1]) == ["All, best first"]
    assert chosen_cases(scores_of(0.1, measure="novel_mask_iou"))[0] == "novel_mask_iou"
    assert chosen_cases([]) == ("mask_iou", {})


def test_the_plot_shows_every_photo_with_truth() -> None:
    rows = [
        {"true_azimuth_deg": -180.0, "azimuth_deg": 540.0},
        {"true_azimuth_deg": 0.0, "azimuth_deg": 0.0},
        {"ssim": 1.0},
    ]
    plot = azimuth_plot(rows)
    assert plot.count("<circle") == 2 and 'cx="164.0" cy="138.0"' in plot
    assert azimuth_plot(rows[2:]) == ""


def test_the_table_leaves_out_what_is_not_there() -> None:
    text = plain(table_of({"mask_iou": 0.5, "chamfer": 0.0123456, "template_chamfer": 0.02, "unknown": 1.0}))
    assert text.splitlines()[1:] == [
        "The photo's own view",
        "MaskIoU                             0.500",
        "Shape, canonical frame",
        "Chamfer / height (less is better)  0.0123         0.0200",
    ]


def test_nan_is_null_in_the_record(data: Path, tmp_path: Path) -> None:
    evaluation = evaluate(order(data, SourceSpec("trivial", "billboard")))
    bad = replace(evaluation.scores[0], row={**evaluation.scores[0].row, "ssim_in_mask": float("nan")})
    write_results(tmp_path, replace(evaluation, scores=(bad,)))
    assert '"ssim_in_mask": null' in (tmp_path / "per_item.jsonl").read_text()


def test_the_limit_takes_the_first(data: Path) -> None:
    items, split = plan(replace(order(data, SourceSpec("trivial", "billboard")), limit=2))
    assert [item.name for item in items] == sorted(NAMES)[:2] and split == "test"
