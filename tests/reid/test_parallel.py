"""Two processes on one batch, against one process."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from reid_people import TINY, market

SCRIPT = """
import sys
import torch
torch.set_num_threads(1)
from mmgen.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_train_one_network_and_write_once(tmp_path):
    market(tmp_path / "market")
    (tmp_path / "tiny.toml").write_text(TINY)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = ["reid", "train", tmp_path / "tiny.toml", "--data", tmp_path / "market", "--out", tmp_path / "run"]
    command = [sys.executable, "-c", SCRIPT, *map(str, words), "--device", "cpu"]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    root = str(Path(__file__).parents[2])
    ranks = [
        subprocess.Popen(
            command,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "PYTHONPATH": root},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [rank.communicate()[1] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], told
    assert "finished after 6 of 6 steps" in told[0] and not told[1].strip()
    assert (tmp_path / "run/checkpoints/last.safetensors").is_file()
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 3
