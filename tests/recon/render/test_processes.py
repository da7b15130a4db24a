"""Threads, worker processes, compiled code on disk: same bits everywhere, and nothing hangs."""

import logging
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from render_samples import body, values_and_gradients
from torch.utils.data import DataLoader, Dataset

from recon.render import numba_common, numba_cpu

FAST = ("numba", torch.float32)
ROOT = Path(__file__).parents[3]


class Renderings(Dataset):
    """Draws item k in whichever process asks for it."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        return values_and_gradients(body(1, 2, (24, 16), seed=item), (24, 16), FAST)


def test_two_threads_and_repeats_give_the_same_bits():
    scene = body(2, 7, (40, 24))
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            results.append(values_and_gradients(scene, (40, 24), FAST))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(results[0][name], other[name]) for name in other)


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_data_loader_workers_draw_the_same_bits_after_use_in_the_parent(start):
    expected = [Renderings()[item] for item in range(4)]
    loader = DataLoader(Renderings(), batch_size=None, num_workers=2, multiprocessing_context=start, timeout=100)
    for found, wanted in zip(loader, expected, strict=True):
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_one_thread_inside_a_worker_and_as_many_as_torch_outside(monkeypatch):
    assert numba_common.thread_count() == torch.get_num_threads()
    monkeypatch.setattr(numba_common, "get_worker_info", lambda: object())
    assert numba_common.thread_count() == 1


def test_chunks_cover_everything_in_order(monkeypatch):
    monkeypatch.setattr(numba_common, "thread_count", lambda: 3)
    for count in (0, 1, 2, 5, 100):
        pieces = numba_common.in_chunks(lambda first, last: list(range(first, last)), count)
        assert [item for piece in pieces for item in piece] == list(range(count))


def test_a_pool_belongs_to_its_process(monkeypatch):
    mine = numba_common._pool(2)
    assert numba_common._pool(2) is mine
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert numba_common._pool(2) is not mine


def test_compilation_is_announced_once_and_only_without_compiled_code(caplog, tmp_path):
    class Kernel:
        py_func = values_and_gradients

        class stats:
            cache_path = str(tmp_path)

    numba_cpu.announce_compilation.cache_clear()
    numba_cpu._announce_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        (tmp_path / "render_samples.values_and_gradients-1.py311.nbi").touch()
        numba_cpu.announce_compilation(Kernel)
        assert not caplog.records
        for path in tmp_path.iterdir():
            path.unlink()
        numba_cpu.announce_compilation.cache_clear()
        numba_cpu.announce_compilation(Kernel)
        numba_cpu.announce_compilation(type("Other", (Kernel,), {}))
    assert [record.getMessage() for record in caplog.records] == [
        "compiling the CPU renderer for this machine: some ten seconds, once"
    ]


def test_private_cache_folder_is_ours_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(numba_common.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(numba_common.tempfile, "tempdir", str(tmp_path))
    folder = Path(numba_common.private_cache_folder())
    assert folder.parent == tmp_path and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert Path(numba_common.private_cache_folder()) == folder
    folder.chmod(0o777)
    other = Path(numba_common.private_cache_folder())
    assert other != folder and stat.S_IMODE(other.stat().st_mode) == 0o700


@pytest.mark.slow
def test_renders_where_neither_the_package_nor_the_home_folder_is_writable(tmp_path):
    shutil.copytree(ROOT / "recon", tmp_path / "recon", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (tmp_path / "recon").rglob("*"):
        if folder.is_dir():
            (folder / "__pycache__").touch()  # a file in the way stops even root
    (tmp_path / "home").touch()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    code = (
        "import torch; from recon.render.api import rasterize;"
        "print(rasterize(2, 2, torch.zeros(1, 1, 3), torch.tensor([[[[-9., -9.], [9., -9.], [0., 9.]]]]),"
        " torch.ones(1, 1, 3, 1))[1].sum().item())"
    )
    blocked = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CACHE_HOME", "IPYTHONDIR")}
    environment = os.environ | blocked | {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "0", done.stderr
    assert list(temporary.rglob("*.nbc"))


def test_numba_is_several_times_as_fast_as_torch():
    scene = body(3, 4, (128, 64))
    seconds = {}
    for choice in (FAST, ("torch", torch.float32)):
        times = []
        for _ in range(4):
            start = time.process_time()
            values_and_gradients(scene, (128, 64), choice)
            times.append(time.process_time() - start)
        seconds[choice[0]] = min(times)
    assert seconds["torch"] > 4 * seconds["numba"]
