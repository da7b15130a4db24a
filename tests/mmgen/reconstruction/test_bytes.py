"""The real reconstructor inside a batch run: the same bytes however the photos are cut into chunks."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from puppets import OPTIONS, draw_people

from mmgen.assets.glb import read_glb
from mmgen.core.files import sha256_file
from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.batch import BatchConfig, run_batch
from mmgen.reconstruction.fit import FitReconstructor
from mmgen.reconstruction.job import Job
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import read_records


def run(photos: Path, out: Path, chunk_items: int) -> None:
    job = Job(out, partial(FitReconstructor, OPTIONS), OPTIONS.result_options(), MaskSource("alpha"), 0.0, out / "log")
    summary = run_batch(BatchConfig(list_inputs([photos], out), job, chunk_items=chunk_items), RunCallbacks())
    assert summary.exit_code == 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos: `together` in one chunk, `apart` one by one."""
    root = tmp_path_factory.mktemp("runs")
    draw_people(root / "photos", 2)
    run(root / "photos", root / "together", 2)
    run(root / "photos", root / "apart", 1)
    return root


def test_bytes_and_records_do_not_depend_on_the_batch(runs: Path) -> None:
    together, apart = read_records(runs / "together"), read_records(runs / "apart")
    assert len(together) == 2 and len({one.output_sha256 for one in together.values()}) == 2
    for name, record in together.items():
        other = apart[name]
        assert replace(record, seconds=0, finished_at="") == replace(other, seconds=0, finished_at="")
        assert record.output_sha256 == sha256_file(runs / "apart" / str(other.output))


def test_a_record_agrees_with_the_file_and_its_input(runs: Path) -> None:
    for name, record in read_records(runs / "together").items():
        asset = read_glb(runs / "together" / str(record.output))
        said = asset.provenance
        assert said["input_sha256"] == record.input_sha256 == sha256_file(runs / "photos" / name)
        for field in ("mask_iou", "ssim", "mask_source", "mask_sha256", "options_sha256", "weights_sha256"):
            assert said[field] == getattr(record, field), field
        assert said["height_m"] == 1.6 and said["height_source"] == "given"
        assert np.ptp(asset.vertices[:, 1]) == pytest.approx(1.6, abs=1e-4)
        assert record.mask_source == "alpha" and 0.5 < (record.mask_iou or 0) <= 1
