"""The run folder: settings, environment, metrics and checkpoints; one run, one folder."""

import io
import json
import math
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from mmgen.core.errors import FatalError
from mmgen.core.files import write_bytes_atomic, write_text_atomic
from mmgen.core.listing import display_name
from mmgen.core.settings import to_toml
from mmgen.core.version import __version__, installed_version
from mmgen.work.record_file import RecordFile

CONFIG, ENVIRONMENT, METRICS, CHECKPOINTS, PICTURES = (
    "config.toml",
    "environment.json",
    "metrics.jsonl",
    "checkpoints",
    "pictures",
)
STATE = "state.pt"
STATE_SCHEMA = "mmgen.training_state/1"
PACKAGES = ("torch", "numpy", "numba", "pillow", "safetensors", "timm")


class Settings(Protocol):
    """A manifest of any kind."""

    def to_tables(self) -> dict[str, Any]:
        """Every setting, defaults included."""


class RunFolder:
    """Paths and files of one training run.

    Args:
        path: the folder; made by `claim`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def weights_path(self, name: str) -> Path:
        """Where weights of that name are: `last`, `best`, `averaged`."""
        return self.path / CHECKPOINTS / f"{name}.safetensors"

    @property
    def state_path(self) -> Path:
        """Where the state for `--resume` is."""
        return self.path / CHECKPOINTS / STATE

    def claim(self, manifest: Settings, seed: int, resume: bool) -> None:
        """Write the settings into a new folder, or check that a resumed run has the same ones.

        Raises:
            FatalError: `run_exists` without resume; `run_missing` or `other_settings` with it.
        """
        config = to_toml({"seed": seed, **manifest.to_tables()})
        path = self.path / CONFIG
        if resume:
            self._check_same(path, config)
            return
        if path.exists():
            raise FatalError(
                "run_exists",
                f"{display_name(self.path)} holds a training run already",
                "Add --resume to go on with it, or choose another --out.",
            )
        write_text_atomic(path, config)

    def _check_same(self, path: Path, config: str) -> None:
        try:
            before = path.read_text(encoding="utf-8")
        except OSError as error:
            raise FatalError(
                "run_missing", f"{display_name(self.path)} holds no training run", "Start it without --resume."
            ) from error
        if before != config:
            old, new = (dict(_assignments(text)) for text in (before, config))
            changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
            listed = ", ".join(f"{key} {old.get(key)} (now {new.get(key)})" for key in sorted(changed)[:4])
            raise FatalError(
                "other_settings",
                f"{display_name(self.path)} was started with other settings: {listed}",
                "Resume with the same manifest, --set and --seed, or choose another --out.",
            )

    def write_environment(self, about: Mapping[str, Any]) -> None:
        """Note where and with what the run is made; not needed to go on with it."""
        found = {
            "mmgen": __version__,
            "python": sys.version.split()[0],
            "packages": {name: installed_version(name) for name in PACKAGES},
            "platform": platform.platform(),
            "cpu_count": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            **about,
        }
        write_text_atomic(self.path / ENVIRONMENT, json.dumps(found, indent=1) + "\n")

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Write the state for `--resume`, whole or not at all."""
        buffer = io.BytesIO()
        torch.save({"schema": STATE_SCHEMA, **state}, buffer)
        write_bytes_atomic(self.state_path, buffer.getvalue())

    def load_state(self) -> dict[str, Any] | None:
        """The saved state, or None where the run was stopped before its first checkpoint.

        Raises:
            FatalError: `state_unreadable`.
        """
        try:
            data = self.state_path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception as error:  # the unpickler raises whatever it trips over
            raise _bad_state(self.state_path, (str(error).splitlines() or [type(error).__name__])[0]) from error
        if not isinstance(state, dict) or state.get("schema") != STATE_SCHEMA:
            raise _bad_state(self.state_path, f"it is no {STATE_SCHEMA}")
        return state


def _bad_state(path: Path, reason: str) -> FatalError:
    return FatalError(
        "state_unreadable",
        f"{display_name(path)} cannot be resumed from: {reason}"[:300],
        "Start the run again in another folder; its weights files are unaffected.",
    )


def _assignments(text: str) -> list[tuple[str, str]]:
    """(dotted key, value) of every line of a file that we wrote."""
    section, found = "", []
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif " = " in line:
            key, _, value = line.partition(" = ")
            found.append((section + key, value))
    return found


class MetricsLog:
    """`metrics.jsonl`: one event per line, in the order of the steps.

    Args:
        from_step: lines of later steps are cut off: a resumed run writes them again. Its events of this very step, such
            as a last validation before a kill, stand there already and are not written a second time.
    """

    def __init__(self, path: Path, from_step: int = 0) -> None:
        kept = [row for row in METRIC_EVENTS.read(path) if row.get("step", 0) <= from_step] if from_step else []
        write_text_atomic(path, "".join(map(METRIC_EVENTS.to_line, kept)))
        self._path, self._kept = path, {(row.get("event"), row.get("step")) for row in kept}

    def write(self, event: str, step: int, **values: Any) -> dict[str, Any]:
        """Append one event; gives it back."""
        row = {"event": event, "step": step, **values}
        if (event, step) not in self._kept:
            with METRIC_EVENTS.writer(self._path) as writer:
                writer.append(row)
        return row


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value


def _check_event(folder: Path, row: dict[str, Any]) -> None:
    if not isinstance(row.get("step", 0), int):
        raise ValueError("the step is no number")


METRIC_EVENTS: RecordFile[dict[str, Any]] = RecordFile(
    dict[str, Any],
    key=repr,
    to_line=lambda row: json.dumps(_finite(row)) + "\n",
    check=_check_event,
    is_cache=True,
)
"""How events are kept; a line that is damaged is passed over."""
