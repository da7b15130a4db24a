"""Fits of photos as truth: what is written is the body that was fitted, under the camera that it was fitted with."""

import numpy as np
import pytest
from people_photos import people_rgba, written

from mmgen.bundled import required_weights
from mmgen.datasets.reading import read_data_set
from mmgen.datasets.truth_file import read_truth
from mmgen.masks.structures import MaskSource
from mmgen.reconstruction.network import PhotoPredictor
from mmgen.training.fitted_truth import TEXTURE_SIZE, Bar, TruthWriter, fits
from mmgen.training.truth_pack import pack_truth
from recon.evaluation.truth import true_drawing

ANYTHING = Bar(mask_iou=0.0, stretched=10**6)


@pytest.fixture(scope="module")
def predict() -> PhotoPredictor:
    return PhotoPredictor(required_weights(), "cpu", TEXTURE_SIZE, 5)


@pytest.fixture(scope="module")
def fitted(predict, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    items = written(folder / "in", {f"{n}.png": picture for n, picture in enumerate(people_rgba(2))})
    found = list(fits(items, MaskSource("alpha"), predict, ANYTHING))
    write = TruthWriter(predict, folder / "out")
    names = [write(fit) for fit in found]
    return folder, found, names


def test_training_reads_back_the_camera_and_the_shape(fitted, predict):
    folder, found, names = fitted
    photos = read_data_set(folder / "out").photos
    assert [photo.name for photo in photos] == names
    assert [photo.identity for photo in photos] == ["0001", "0002"]
    pack = pack_truth(photos, folder / "out", "person")
    for row, fit in enumerate(found):
        vertices, camera = fit.person.mesh.vertices[0].numpy(), fit.person.camera
        scale = 1.8 / np.ptp(vertices[:, 1])  # every person becomes as high as the template
        wanted = (vertices - vertices.mean(axis=0)) * scale
        assert np.abs(pack.vertices[row] - wanted).max() < 2e-3  # 16 bits
        assert pack.camera[row, 0] == pytest.approx(float(camera.azimuth_deg[0]), abs=1e-3)
    assert not pack.knows_poses


def test_the_truth_lies_on_the_photo_in_its_colours(fitted):
    folder, found, _ = fitted
    for fit, photo in zip(found, read_data_set(folder / "out").photos, strict=True):
        truth = read_truth(photo.truth, (128, 64), (0.0, 0.0, 64.0, 128.0))
        drawn, covered = true_drawing(truth, (128, 64))
        both = covered.numpy() * (fit.prepared.small_mask > 127)
        assert both.sum() > 0.85 * max(covered.sum(), (fit.prepared.small_mask > 127).sum())
        off = np.abs(drawn.permute(1, 2, 0).numpy() - fit.prepared.small_image / 255)[both > 0]
        assert off.mean() < 0.06


def test_what_fits_badly_is_refused_and_says_why(predict, tmp_path):
    items = written(tmp_path / "in", {"0.png": people_rgba(1)[0]})
    (fit,) = fits(items, MaskSource("alpha"), predict, Bar(mask_iou=0.999))
    assert fit.refused.startswith("MaskIoU 0.")
