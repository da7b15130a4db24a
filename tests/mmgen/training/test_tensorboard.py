import os
import sys

import pytest

from mmgen.training.tensorboard import Board


def events(folder):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    (path,) = folder.iterdir()
    assert "tfevents" in path.name  # TensorBoard looks for files of such names
    return list(loader.LegacyEventFileLoader(str(path)).Load())


def test_numbers_go_to_tensorboard_as_its_own_reader_sees_them(tmp_path):
    pytest.importorskip("tensorboard")
    board = Board(tmp_path / "board", 7)
    board.write({"text": "no number"}, 7, "run")
    assert not list(tmp_path.iterdir())
    board.write({"loss": 0.5, "note": "text", "flag": True, "nothing": None, "count": 3}, 8, "losses")
    board.write({"score": 1.5}, 9, "validation")
    begin, start, first, second = events(tmp_path / "board")  # all of it on the disk, though nobody closed
    board.close()
    assert begin.file_version.startswith("brain.Event:")
    assert (start.step, start.session_log.status) == (7, start.session_log.START)
    assert (first.step, [(value.tag, value.simple_value) for value in first.summary.value]) == (
        8, [("losses/loss", 0.5), ("losses/count", 3.0)],
    )  # fmt: skip
    assert [value.tag for value in second.summary.value] == ["validation/score"]


def test_a_disk_that_takes_no_events_is_said_once(tmp_path):
    pytest.importorskip("tensorboard")
    said = []
    (tmp_path / "file").write_bytes(b"")
    board = Board(tmp_path / "file" / "board", 0, said.append)
    for step in range(3):
        board.write({"loss": 0.5}, step, "losses")
    board.close()
    assert said == ["TensorBoard events cannot be written: Not a directory; the training goes on without them"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_fills_up_later_is_said_once(tmp_path):
    pytest.importorskip("tensorboard")
    said = []
    board = Board(tmp_path, 0, said.append)
    board.write({"loss": 0.5}, 0, "losses")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, board._file.fileno())
    os.close(full)
    for step in range(1, 4):
        board.write({"loss": 0.5}, step, "losses")
    board.close()
    assert len(said) == 1 and "No space left on device" in said[0]
    assert len(events(tmp_path)) == 3


def test_nothing_happens_without_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    board = Board(tmp_path / "board", 0)
    board.write({"loss": 0.5}, 1, "losses")
    board.close()
    assert not list(tmp_path.iterdir())
