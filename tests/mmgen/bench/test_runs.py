"""`mmgen bench reconstruct` and `augment`: the figures are there, plausible, and of runs with equal bytes."""

import pytest

from mmgen.bench import augment, reconstruct

pytestmark = pytest.mark.slow


def test_reconstruct() -> None:
    result = reconstruct.measure((32, 40), workers=2)
    assert result["same_bytes"] and result["failed"] == 0
    assert result["mean_mask_iou"] > 0.5
    cost = result["cpu_ms_per_photo"]
    assert 0 < cost["lowest"] <= cost["median"] <= cost["highest"]
    assert set(result["photos_per_second"]) == {"1", "2"} and min(result["photos_per_second"].values()) > 0
    assert [point["photos"] for point in result["curve"]] == [32, 40]
    assert all(point["worker_peak_memory_bytes"] > 50e6 for point in result["curve"])


def test_augment() -> None:
    result = augment.measure(2, workers=2)
    assert result["same_bytes"]
    assert result["photos"] == 2 * augment.VIEWS and result["views"] > result["photos"]
    assert result["cpu_ms_per_photo"] > 0 and 0 < result["bytes_per_view"] < 20_000
