"""The engine that `--engine` asks for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


@contextmanager
def chosen_engine(options: Mapping[str, Any], shared: Path | None, device: str = "cpu") -> Iterator[None]:
    """Inside the block, work goes to the engine of `engine_options`.

    Args:
        options: the command's, with `engine` and `ray_address`.
        shared: the output folder; None where nothing is written.
        device: `cpu` or `cuda:N`; tasks of a cluster ask for a GPU each where it is not `cpu`.

    Raises:
        UsageError: an address without `--engine ray`.
    """
    from mmgen.work.engine import use_engine

    if options["engine"] == "local":
        if options["ray_address"]:
            raise click.UsageError("--ray-address goes with --engine ray")
        yield
        return
    from mmgen.work.ray_engine import RayEngine

    with use_engine(RayEngine(shared, options["ray_address"], device.startswith("cuda"))):
        yield
