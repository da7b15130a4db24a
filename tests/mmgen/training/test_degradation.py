"""Faults of photos and masks: what changes, what must not, and what is told about it."""

import numpy as np
import pytest

from mmgen.training import degradation
from mmgen.training.degradation import Degraded, degraded

ROWS, COLUMNS = 128, 64


@pytest.fixture(scope="module")
def batch() -> np.ndarray:
    """256 pictures of a smooth person before a smooth background."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    person = ((y - 64) / 52) ** 2 + ((x - 32) / 14) ** 2 < 1
    colours = generator.integers(60, 160, size=(256, 1, 1, 3)) + (y + x)[:, :, None] // 6
    behind = generator.integers(30, 220, size=(256, 1, 1, 3))
    pictures = np.where(person[:, :, None], colours, behind)
    masks = np.broadcast_to(person[None, :, :, None] * 255, (256, ROWS, COLUMNS, 1))
    return np.concatenate([pictures, masks], axis=3).astype(np.uint8)


@pytest.fixture(scope="module")
def result(batch: np.ndarray) -> Degraded:
    """All faults at full strength."""
    return degraded(batch, 1.0, np.random.default_rng(1))


def test_about_a_third_stays_clean_and_the_input_is_not_touched(batch: np.ndarray, result: Degraded) -> None:
    before = batch.copy()
    same = (result.pictures == batch).all((1, 2, 3))
    assert 0.25 < same.mean() < 0.45 and np.array_equal(result.gain[same], np.ones((same.sum(), 3)))
    assert np.array_equal(batch, before) and not np.shares_memory(batch, result.pictures)
    assert result.pictures.dtype == np.uint8 and set(np.unique(result.pictures[..., 3])) == {0, 255}


def test_strength_0_changes_nothing_and_more_strength_changes_more(batch: np.ndarray) -> None:
    still = degraded(batch, 0.0, np.random.default_rng(1))
    assert np.array_equal(still.pictures, batch) and (still.gain == 1).all()
    changes = [
        np.abs(degraded(batch, strength, np.random.default_rng(1)).pictures.astype(int) - batch).mean()
        for strength in (0.25, 1.0)
    ]
    assert 0 < 1.5 * changes[0] < changes[1]


def test_the_same_generator_gives_the_same_faults(batch: np.ndarray, result: Degraded) -> None:
    again = degraded(batch, 1.0, np.random.default_rng(1))
    assert np.array_equal(again.pictures, result.pictures) and np.array_equal(again.gain, result.gain)


def test_the_gain_explains_the_persons_colours_and_spreads_by_a_third(batch: np.ndarray, result: Degraded) -> None:
    sure = (batch[..., 3] > 0) & (np.abs(np.arange(COLUMNS) - 32) < 4)
    for before, after, gain, inside in zip(batch, result.pictures, result.gain, sure, strict=True):
        expected = before[inside][:, :3] * gain
        # the median ignores occluders
        assert np.abs(np.median(after[inside][:, :3] - expected, axis=0)).max() < 32
    grey = result.gain.mean(1)
    assert 0.5 < grey.min() < 0.78 and 1.22 < grey.max() < 1.7
    assert np.ptp(result.gain, axis=1).max() > 0.1


def test_the_gain_of_a_linear_curve_is_exact(batch: np.ndarray) -> None:
    curve = np.clip(np.arange(256)[:, None] * [0.5, 1.0, 1.2] + 0.5, 0, 255).astype(np.uint8)
    toned, gain = degradation._toned(batch[0, ..., :3], batch[0, ..., 3] > 0, curve)
    assert gain == pytest.approx([0.5, 1.0, 1.2], abs=0.01)
    assert (toned[..., 0] == (batch[0, ..., 0] * 0.5 + 0.5).astype(np.uint8)).all()
    assert (degradation._toned(batch[0, ..., :3], np.zeros((ROWS, COLUMNS), bool), curve)[1] == 1).all()


def test_masks_err_by_little_and_photos_keep_the_person_in_place(batch: np.ndarray, result: Degraded) -> None:
    true, found = batch[..., 3] > 0, result.pictures[..., 3] > 0
    iou = (true & found).sum((1, 2)) / (true | found).sum((1, 2))
    assert iou.min() > 0.5 and 0.85 < iou.mean() < 0.98 and (iou < 0.9).mean() > 0.1
    far = ~degradation._grown(true[0], 12)
    assert not found[:, far].any()


@pytest.mark.parametrize("seed", range(8))
def test_an_occluder_hides_at_most_a_tenth_and_leaves_the_mask(batch: np.ndarray, seed: int) -> None:
    generator, mask = np.random.default_rng(seed), batch[0, ..., 3] > 0
    image, left = degradation._occluded(batch[0, ..., :3], mask, batch[1, ..., :3], 1.0, generator)
    lost = mask & ~left
    assert 0.005 < lost.sum() / mask.sum() <= 0.105 and not (left & ~mask).any()
    assert np.array_equal(image[left], batch[0, ..., :3][left])
    assert (image[lost] != batch[0, ..., :3][lost]).any(1).mean() > 0.9


def test_single_mask_faults_do_what_they_say(batch: np.ndarray) -> None:
    mask = batch[0, ..., 3] > 0
    assert degradation._grown(mask, 2).sum() - mask.sum() == pytest.approx(2 * 220, rel=0.25)
    ragged = degradation._ragged(mask, np.random.default_rng(0))
    assert (ragged != mask).sum() > 80
    assert not (ragged & ~degradation._grown(mask, 1)).any() and ragged[~degradation._grown(~mask, 1)].all()
    rows = np.flatnonzero(mask.any(1))
    short = degradation._without_feet(mask, 0.1)
    assert rows[-1] - np.flatnonzero(short.any(1))[-1] == round(0.1 * len(rows))
    assert np.array_equal(short[: rows[-1] - 12], mask[: rows[-1] - 12])


def test_empty_and_full_masks_survive(batch: np.ndarray) -> None:
    for value in (0, 255):
        pictures = batch.copy()
        pictures[..., 3] = value
        result = degraded(pictures, 1.0, np.random.default_rng(0))
        assert np.isfinite(result.gain).all()
        assert (result.pictures[..., 3] == value).mean() > 0.8


def test_other_arrays_are_refused(batch: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"pictures must be uint8 \[B, H, W, 4\], not float64 \[256, 128, 64, 4\]"):
        degraded(batch.astype(float), 1.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"not uint8 \[256, 128, 64, 3\]"):
        degraded(batch[..., :3], 1.0, np.random.default_rng(0))
