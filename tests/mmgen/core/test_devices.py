"""Which device `--device` means."""

import os
import sys

import pytest
import torch

from mmgen.core.devices import resolve_device
from mmgen.core.errors import FatalError


@pytest.mark.parametrize(
    ("count", "name", "device"),
    [(0, "auto", "cpu"), (2, "auto", "cuda:0"), (2, "cpu", "cpu"), (2, "cuda", "cuda:0"), (2, "cuda:1", "cuda:1")],
)
def test_names(monkeypatch: pytest.MonkeyPatch, count: int, name: str, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(os, "listdir", lambda folder: ["null", "nvidia0", "nvidiactl"])
    assert resolve_device(name) == device


def test_no_driver_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the devices that drivers leave, torch is not asked, and so not loaded."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "listdir", lambda folder: ["null", "zero", "shm"])
    monkeypatch.setitem(sys.modules, "torch", None)
    assert resolve_device("auto") == "cpu"


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(FatalError, match=r"device cuda:2 is not there: torch .* sees 2 CUDA devices"):
        resolve_device("cuda:2")
