"""Ray tasks instead of processes: the same bytes, with a worker and a whole machine killed on the way."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from batch_runs import make_job, run, tree
from click.testing import CliRunner
from evaluation_scenes import write_data, write_meshes
from fakes import FakeReconstructor, make_photos

from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.core.version import __version__
from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.batch import BatchConfig, Summary, run_batch
from mmgen.reconstruction.job import Job
from mmgen.work import ray_engine
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.engine import use_engine
from mmgen.work.locks import STATE_FOLDER
from mmgen.work.ray_engine import RayEngine, _judge
from mmgen.work.records import Record, Shard, read_records

ATTEMPTS = 3
PHOTOS = [*(f"{number:02}.png" for number in range(30)), "once.png"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work and two machines of one processor."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'mmgen[ray]'")
    cluster = _started(ray)
    if cluster is None:
        pytest.skip("Ray gives its machines 30 s to start; this one is too busy for that")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def _started(ray: Any) -> Any:
    from ray.cluster_utils import Cluster

    for _ in range(ATTEMPTS):
        cluster = Cluster()
        try:
            cluster.add_node(num_cpus=0, include_dashboard=False)
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
            ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
            return cluster
        except Exception:  # Ray has no class of its own for this
            ray.shutdown()
            cluster.shutdown()
    return None


def run_on_ray(source: Path, job: Job, listener: RunCallbacks, stall_s: float = 600.0) -> Summary:
    with use_engine(RayEngine(job.out, stall_s=stall_s)):
        return run_batch(BatchConfig(list_inputs([source], job.out), job, chunk_items=2), listener)


def facts(out: Path) -> dict[str, tuple[str | None, str | None]]:
    return {name: (record.output_sha256, record.key) for name, record in read_records(out).items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_process_two_three_parts_and_a_cluster_that_loses_a_machine_give_equal_bytes(
    cluster: Any, tmp_path: Path
) -> None:
    source, marks = tmp_path / "in", tmp_path / "marks"
    make_photos(source, PHOTOS)
    marks.mkdir()
    run(source, make_job(tmp_path / "one"))
    run(source, make_job(tmp_path / "two"), workers=2)
    for index in range(3):
        run(source, make_job(tmp_path / "parts"), shard=Shard(index, 3))

    finished: list[Record] = []
    machines = list(cluster.worker_nodes)

    def lose_a_machine(record: Record) -> None:
        finished.append(record)
        if len(finished) == 8:
            cluster.remove_node(machines[0], allow_graceful=False)

    fake = FakeReconstructor(seconds=0.1, marks=marks)
    summary = run_on_ray(source, make_job(tmp_path / "ray", fake=fake), RunCallbacks(finished=lose_a_machine))

    assert (marks / "once.png").exists(), "no worker was killed"
    assert (summary.ok, summary.failed, summary.exit_code) == (len(PHOTOS), 0, 0)
    assert len({record.input for record in finished}) == len(finished) == len(PHOTOS)
    expected = tree(tmp_path / "one")
    assert len(expected) == len(PHOTOS)
    for other in ("two", "parts", "ray"):
        assert tree(tmp_path / other) == expected, other
        assert facts(tmp_path / other) == facts(tmp_path / "one"), other


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_photo_that_always_kills_its_process_fails_alone(cluster: Any, tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png", "die.png", "z.png"])
    summary = run_on_ray(tmp_path / "in", make_job(tmp_path / "out"), RunCallbacks())
    assert (summary.ok, summary.failed, summary.exit_code) == (2, 1, 3)
    assert summary.errors[0].error == "worker_died"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_full_disk_there_ends_the_run_here(cluster: Any, tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["full.png"])
    summary = run_on_ray(tmp_path / "in", make_job(tmp_path / "out"), RunCallbacks())
    assert summary.ending.fatal is not None and summary.ending.fatal.code == "out_unwritable"
    assert summary.exit_code == 4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_nothing_is_noticed(cluster: Any, tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png"])
    slow = partial(FakeReconstructor, 30.0)
    job = Job(tmp_path / "out", slow, {}, MaskSource("auto"), 0.0, tmp_path / "out" / "log")
    summary = run_on_ray(tmp_path / "in", job, RunCallbacks(), stall_s=1.0)
    assert summary.ending.fatal is not None and summary.ending.fatal.code == "ray_stalled"
    assert "no task has finished for 1 s" in summary.ending.fatal.message


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_exports_and_evaluations_are_those_of_this_machine(cluster: Any, tmp_path: Path) -> None:
    meshes, data = write_meshes(tmp_path / "meshes"), write_data(tmp_path / "data")
    for engine in ("local", "ray"):
        where = ["--workers", "1", "--engine", engine, "--out"]
        for words in (
            ["export", str(meshes), "--format", "obj", *where, str(tmp_path / engine / "export")],
            ["evaluate", "--data", str(data), "--meshes", str(meshes), *where, str(tmp_path / engine / "evaluation")],
        ):
            result = CliRunner().invoke(cli, words)
            assert result.exit_code == 0, result.output
    local = {path.relative_to(tmp_path / "local"): path for path in (tmp_path / "local").glob("*/**/*.*")}
    results = [name for name, path in local.items() if path.is_file() and STATE_FOLDER not in name.parts]
    assert len(results) == 3 + 3 * 3 + 1
    for name in results:
        assert (tmp_path / "ray" / name).read_bytes() == local[name].read_bytes(), name


def test_machines_that_cannot_take_part_are_named(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="node7 does not see what is written to"):
        _judge([("node1", __version__, "secret"), ("node7", __version__, "")], "secret", tmp_path)
    with pytest.raises(FatalError, match=r"node7 has mmgen 0\.0\.0, this machine"):
        _judge([("node7", "0.0.0", "secret")], "secret", tmp_path)


class _NoCluster:
    """Stands for Ray where nothing can be reached, or nothing fits."""

    def init(self, **options: Any) -> None:
        raise ConnectionError("nobody listens there")

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 0.5}}, {"Alive": False, "Resources": {"CPU": 64}}]


def test_a_cluster_out_of_reach_or_without_room_is_said_before_work_begins() -> None:
    with pytest.raises(FatalError, match=r"cannot join the Ray cluster 10\.0\.0\.1:6379: nobody listens there"):
        ray_engine._join(_NoCluster(), "10.0.0.1:6379", 2)
    with pytest.raises(FatalError, match=r"no machine of the Ray cluster \(1 alive\)"):
        ray_engine._usable_nodes(_NoCluster(), needs_gpu=False)
