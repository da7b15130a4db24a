"""Chunks as Ray tasks on the machines of a cluster that share the output folder.

Ray Core tasks and no actors: a task whose machine dies runs again elsewhere. The window of submitted tasks is bounded,
so that a run of a million chunks keeps as little in the cluster as one of a hundred.
"""

import os
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_bytes
from mmgen.core.listing import display_name
from mmgen.core.version import __version__
from mmgen.work.locks import STATE_FOLDER
from mmgen.work.pool import THREAD_VARIABLES, Callbacks, Item, Result, Task, Work, one_thread

POLL_S = 0.5
PROBE_PATIENCE_S = 120.0
TASKS_PER_SLOT = 2
RETRIES = 2
"""How often Ray itself runs a task again whose process or machine died."""


@dataclass
class RayEngine:
    """Runs tasks on a Ray cluster; connects at the first use and leaves at `close`.

    Attributes:
        shared: The output folder, which every machine must see under the same path; None where nothing is written.
        address: Of a running cluster; None for `RAY_ADDRESS`, or else a small Ray on this machine alone.
        needs_gpu: Each task gets a GPU of its own.
        stall_s: End the run when no task has finished for so long.
    """

    shared: Path | None = None
    address: str | None = None
    needs_gpu: bool = False
    stall_s: float = 600.0
    _opened_here: bool = field(default=False, init=False)
    _is_checked: bool = field(default=False, init=False)

    @cached_property
    def _ray(self) -> Any:
        try:
            import ray
        except ImportError as error:
            raise FatalError("ray_missing", "Ray is not installed", 'pip install "mmgen[ray]"') from error
        return ray

    def connect(self, workers: int) -> None:
        """Join the cluster, or start a Ray with `workers` processes, and check that work can be done there.

        Raises:
            FatalError: `ray_missing`, `ray_unreachable`, `ray_no_room`, `ray_not_shared`, `ray_other_version`.
        """
        if not self._ray.is_initialized():
            self._opened_here = True
            _join(self._ray, self.address or os.environ.get("RAY_ADDRESS"), workers)
        if not self._is_checked:
            nodes = _usable_nodes(self._ray, self.needs_gpu)
            if self.shared is not None:
                _check_shared(self._ray, self.shared, nodes)
            self._is_checked = True

    def close(self) -> None:
        """Leave the cluster, if this engine joined it."""
        if self._opened_here:
            self._ray.shutdown()
            self._opened_here = False

    def run(
        self,
        queue: deque[Task[Item]],
        build: Callable[[], Work[Item, Result]],
        callbacks: Callbacks[Item, Result],
        is_stopping: Callable[[], bool],
    ) -> None:
        """Until all is done, or, when stopping, until what was begun is done.

        Raises:
            FatalError: as raised by the work, or `ray_stalled`.
            RuntimeError: the work raised anything else; holds the traceback of its process.
        """
        resources = {"num_cpus": 1, "num_gpus": 1 if self.needs_gpu else 0, "max_retries": RETRIES}
        remote = self._ray.remote(**resources)(_do)
        shared_build = self._ray.put(build)
        flying: dict[Any, Task[Item]] = {}
        heard = time.monotonic()
        try:
            while flying or (queue and not is_stopping()):
                room = TASKS_PER_SLOT * _slots(self._ray, self.needs_gpu)
                while queue and len(flying) < room and not is_stopping():
                    task = queue.popleft()
                    flying[remote.remote(shared_build, os.getcwd(), task.items)] = task
                ready, _ = self._ray.wait(list(flying), num_returns=1, timeout=POLL_S) if flying else ([], [])
                heard = time.monotonic() if ready else heard
                for reference in ready:
                    self._on_message(reference, flying.pop(reference), queue, callbacks)
                if time.monotonic() - heard > self.stall_s:
                    raise self._stalled()
        finally:
            for reference in flying:
                self._ray.cancel(reference, force=True)

    def _on_message(
        self, reference: Any, task: Task[Item], queue: deque[Task[Item]], callbacks: Callbacks[Item, Result]
    ) -> None:
        try:
            kind, content = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:  # it did not even begin: the worker cannot load it
            raise RuntimeError(f"a Ray task failed:\n{error}") from error
        except self._ray.exceptions.RayError as error:
            _on_worker_death(task, queue, callbacks, error)
            return
        if kind == "fatal":
            raise content
        if kind == "bug":
            raise RuntimeError(f"a Ray task failed:\n{content}")
        for _, result in content:
            callbacks.deliver(result)

    def _stalled(self) -> FatalError:
        total, free = self._ray.cluster_resources(), self._ray.available_resources()
        have = ", ".join(f"{free.get(name, 0):g} of {total.get(name, 0):g} {name}s free" for name in ("CPU", "GPU"))
        return FatalError(
            "ray_stalled",
            f"no task has finished for {self.stall_s:g} s; the cluster has {have}",
            "See `ray status`; when machines are back, the same command goes on from here.",
        )


def _do(build: Callable[[], Work[Item, Result]], folder: str, items: Sequence[Item]) -> tuple[str, Any]:
    """One chunk, in a process of the cluster; errors travel as values, since Ray would wrap them."""
    try:
        os.chdir(folder)
        work = _built(build)
        with one_thread():
            return "done", list(work(items))
    except FatalError as error:
        return "fatal", error
    except Exception:
        return "bug", traceback.format_exc()


_LAST_BUILT: dict[str, Any] = {}


def _built(build: Callable[[], Work[Item, Result]]) -> Work[Item, Result]:
    """The work of this process; kept between tasks, since networks take seconds to load."""
    from ray import cloudpickle

    key = sha256_bytes(cloudpickle.dumps(build))
    if key not in _LAST_BUILT:
        _LAST_BUILT.clear()
        _LAST_BUILT[key] = build()
    work: Work[Item, Result] = _LAST_BUILT[key]
    return work


def _on_worker_death(
    task: Task[Item], queue: deque[Task[Item]], callbacks: Callbacks[Item, Result], error: Exception
) -> None:
    """A task died again and again: its items get one more try, each alone; then it is the item's fault."""
    if not task.is_retry:
        queue.extendleft(Task([item], is_retry=True) for item in reversed(task.items))
        return
    why = type(error).__name__
    for item in task.items:
        hint = "Often too little memory: use a smaller photo, or machines with more memory, then --retry-failed."
        callbacks.lost(item, ItemError("worker_died", f"the Ray process that worked on it died ({why})", hint))


def _join(ray: Any, address: str | None, workers: int) -> None:
    variables = {name: "1" for name in THREAD_VARIABLES}
    options: dict[str, Any] = {"runtime_env": {"env_vars": variables}, "log_to_driver": False, "logging_level": "error"}
    if address is None:
        options |= {"address": "local", "num_cpus": workers, "include_dashboard": False}
    else:
        options |= {"address": address}
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FatalError(
            "ray_unreachable",
            f"cannot join the Ray cluster {address or 'of this machine'}: {first}",
            "Check --ray-address, and that `ray status` shows a cluster with the same Ray and Python versions.",
        ) from error


def _usable_nodes(ray: Any, needs_gpu: bool) -> list[dict[str, Any]]:
    """Machines on which one task finds room.

    Raises:
        FatalError: `ray_no_room`.
    """
    wanted = ("CPU", "GPU") if needs_gpu else ("CPU",)
    alive = [node for node in ray.nodes() if node["Alive"]]
    usable = [node for node in alive if all(node["Resources"].get(name, 0) >= 1 for name in wanted)]
    if not usable:
        raise FatalError(
            "ray_no_room",
            f"no machine of the Ray cluster ({len(alive)} alive) has a whole {' and '.join(wanted)} for a task",
            "Add machines, or use --device cpu.",
        )
    return usable


def _slots(ray: Any, needs_gpu: bool) -> int:
    return max(1, int(ray.cluster_resources().get("GPU" if needs_gpu else "CPU", 0)))


def _check_shared(ray: Any, folder: Path, nodes: Sequence[dict[str, Any]]) -> None:
    """Every machine must read in the output folder what was written here.

    Raises:
        FatalError: `ray_not_shared`, `ray_other_version`, `ray_stalled`.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    state = folder.absolute() / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    probe, secret = state / f"probe-{uuid.uuid4().hex}", uuid.uuid4().hex
    probe.write_text(secret, encoding="ascii")
    try:
        remote = ray.remote(num_cpus=0, max_retries=RETRIES)(_look)
        on = {node["NodeID"]: NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes}
        asked = [remote.options(scheduling_strategy=place).remote(str(probe)) for place in on.values()]
        ready, silent = ray.wait(asked, num_returns=len(asked), timeout=PROBE_PATIENCE_S)
        if silent:
            message = f"{len(silent)} of {len(asked)} machines of the Ray cluster do not answer"
            raise FatalError("ray_stalled", message, "See `ray status`.")
        answers = ray.get(ready)
    finally:
        probe.unlink(missing_ok=True)
    _judge(answers, secret, folder)


def _look(probe: str) -> tuple[str, str, str]:
    """Machine, version of mmgen, and what it reads in the probe file; empty where it reads nothing."""
    import socket

    try:
        content = Path(probe).read_text(encoding="ascii")
    except (OSError, ValueError):
        content = ""
    return socket.gethostname(), __version__, content


def _judge(answers: Sequence[tuple[str, str, str]], secret: str, folder: Path) -> None:
    for host, version, content in answers:
        if version != __version__:
            message = f"{host} has mmgen {version}, this machine {__version__}"
            raise FatalError("ray_other_version", message, "Install the same version on every machine.")
        if content != secret:
            raise FatalError(
                "ray_not_shared",
                f"{host} does not see what is written to {display_name(folder)} on this machine",
                "Put --out, the photos, masks and weights on storage that all machines mount under the same path.",
            )
