"""Two processes against one with the double batch; what is equal and what is not stands in one_of_two.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from one_of_two import trained, woken
from tiny import ellipse_photos, tiny_learner

from recon.prototype import OffsetSum
from recon.training import parallel

SUPPORT = Path(__file__).parents[2] / "support"
LOSS_TOLERANCE = 2e-4
"""Relative. Sums over the batch are rounded in another order; Adam makes much of gradients that are nearly zero."""


@pytest.mark.slow
def test_two_processes_train_like_one_with_the_double_batch(tmp_path):
    outs = [tmp_path / f"{rank}.pt" for rank in (0, 1)]
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT.parents[1]), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, str(SUPPORT / "one_of_two.py")]
    both = [
        subprocess.Popen([*words, str(rank), str(tmp_path / "store"), str(out)], env=environment)
        for rank, out in enumerate(outs)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    first, second = (torch.load(out, weights_only=True) for out in outs)
    for name, value in first["encoder"].items():
        assert torch.equal(value, second["encoder"][name]), name  # both ranks hold the same bits
    assert first["losses"] == second["losses"] and first["moved"] == second["moved"]

    alone = trained(woken(tiny_learner(seed=0)), ellipse_photos())
    assert first["losses"][0] == pytest.approx(alone["losses"][0], rel=1e-6)
    assert first["norms"][0] == pytest.approx(alone["norms"][0], rel=1e-4)
    assert first["losses"] == pytest.approx(alone["losses"], rel=LOSS_TOLERANCE)
    assert first["moved"] == pytest.approx(alone["moved"], rel=0.02)


def test_a_single_process_is_left_alone():
    layer = torch.nn.Linear(2, 2)
    layer(torch.ones(1, 2)).sum().backward()
    gradient = layer.weight.grad
    parallel.average_gradients(layer.parameters())
    parallel.average_statistics(torch.nn.BatchNorm1d(2))
    parallel.copy_from_first(layer)
    parallel.barrier()
    assert layer.weight.grad is gradient
    assert (parallel.world_size(), parallel.rank(), parallel.mean_over_processes(0.3)) == (1, 0, 0.3)
    gathered = OffsetSum(torch.ones(3, 3, dtype=torch.float64), 2)
    assert parallel.summed(gathered) is gathered
