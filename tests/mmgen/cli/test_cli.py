"""The command group: endings and exit codes, shared options, progress."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mmgen.cli import COMMANDS, cli, exit_code_of, options
from mmgen.cli import main as entry
from mmgen.cli.output import print_json
from mmgen.cli.progress import duration, progress, rate_text
from mmgen.cli.run_report import RunConsole, count_of, failed, items_exit_code, say_list
from mmgen.core.errors import FatalError, ItemError
from mmgen.photos.inputs import UsageError
from mmgen.work.records import Shard


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """Makes `mmgen doctor` raise what the test puts in the list."""
    raised: list[BaseException] = []

    @click.command()
    def fake() -> None:
        if raised:
            raise raised[0]
        click.get_current_context().exit(3)

    monkeypatch.setattr("mmgen.cli.doctor.command", fake)
    before = signal.getsignal(signal.SIGTERM)
    yield raised
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ItemError("mask_empty", "mask a.png is empty", "draw one"), 3),
        (FatalError("no_images", "no photos", "give some"), 4),
        (UsageError("out_is_input", "out is in", "choose another"), 2),
    ],
)
def test_errors_of_ours_are_two_lines_and_an_exit_code(
    command: list[BaseException], error: ItemError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    command.append(error)
    assert entry.main(["doctor"]) == code == exit_code_of(error)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {error.message}\nhint: {error.hint}\n"
    assert CliRunner().invoke(cli, ["doctor"]).exit_code == code


def test_a_commands_own_exit_code_passes(command: list[BaseException]) -> None:
    assert entry.main(["doctor"]) == 3


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130(
    command: list[BaseException], interrupt: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    command.append(interrupt)
    assert entry.main(["doctor"]) == 130
    assert "interrupted; everything finished so far is kept" in capsys.readouterr().err


def test_a_polite_kill_is_an_interrupt(monkeypatch: pytest.MonkeyPatch, command: list[BaseException]) -> None:
    @click.command()
    def kills_itself() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("mmgen.cli.doctor.command", kills_itself)
    assert entry.main(["doctor"]) == 130


def test_a_bug_shows_its_traceback_and_is_1(command: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    command.append(ZeroDivisionError("by nothing"))
    assert entry.main(["doctor"]) == 1
    text = capsys.readouterr().err
    assert "Traceback" in text and "ZeroDivisionError: by nothing" in text and "this is a bug in mmgen" in text


def test_an_error_of_the_system_that_nobody_can_act_on_is_a_bug(
    command: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    command.append(OSError(38, "Function not implemented"))
    assert entry.main(["doctor"]) == 1
    assert "this is a bug in mmgen" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError(28, "No space left on device", "x/manifest.jsonl"), "Free some space"),
        (PermissionError(13, "Permission denied", "/locked/x"), "Check who may read and write there"),
        (OSError(30, "Read-only file system", "x/a"), "This file system is read-only"),
        (OSError(5, "Input/output error", b"x/a"), "The disk or its connection fails"),
        (OSError(40, "Too many levels of symbolic links", "a\x1b[31m"), "Links lead in a circle"),
        (OSError(17, "File exists", "x"), "A file is in the way there"),
        (OSError(24, "Too many open files", "x"), "Allow more open files"),
    ],
)
def test_errors_of_the_file_system_are_no_bugs(
    command: list[BaseException], error: OSError, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command.append(error)
    assert entry.main(["doctor"]) == 4
    named = os.fsdecode(error.filename).replace("\x1b", "\\x1b")
    assert capsys.readouterr().err.startswith(f"error: {error.strerror}: {named}\nhint: {hint}")


def test_wrong_usage_is_2_and_suggests_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["recontruct"]) == 2
    assert "No such command 'recontruct'. Did you mean reconstruct?" in capsys.readouterr().err
    assert entry.main(["frobnicate"]) == 2
    assert "Did you mean" not in capsys.readouterr().err
    assert entry.main(["--frobnicate"]) == 2
    assert entry.main([]) == 2


def test_a_reader_that_leaves_is_no_error() -> None:
    code = (
        "import sys\nfrom mmgen.cli import doctor, main\n"
        "import click\n"
        "@click.command()\n"
        "def endless():\n    while True: print('x' * 1000)\n"
        "doctor.command = endless\n"
        "sys.exit(main.main(['doctor']))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(20) == 141
        assert child.stderr.read() == b""


def test_every_command_of_the_table_exists() -> None:
    for name in COMMANDS:
        assert isinstance(cli.get_command(click.Context(cli), name), click.Command)


@click.command()
@options.shard_option
@options.device_option
@options.limit_option()
@options.workers_option
@options.seed_option
@options.masks_option("Where masks come from.")
@options.out_option("meshes")
@options.weights_option
@click.option("--share", type=options.FiniteRange(0, 1))
@click.option("--texture-size", type=options.PixelSizeType(16, 256), default="64x32")
def echo(**values: object) -> None:
    print(values)


def parsed(*words: str) -> str:
    result = CliRunner().invoke(echo, words)
    return result.stdout if result.exit_code == 0 else result.stderr


def test_option_values() -> None:
    text = parsed("--shard", "2/3", "--texture-size", "128", "--device", "cuda:1", "--seed", "7")
    assert repr(Shard(2, 3)) in text and "(128, 128)" in text and "'device': 'cuda:1'" in text and "'seed': 7" in text
    defaults = parsed()
    assert repr(Shard(0, 1)) in defaults and "(64, 32)" in defaults and "'seed': 0" in defaults
    assert "PosixPath('meshes')" in defaults


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shard", "3/3"), "'3/3' is not i/n with 0 <= i < n"),
        (("--shard", "-1/3"), "'-1/3' is not i/n"),
        (("--shard", "1"), "'1' is not i/n"),
        (("--device", "gpu"), "'gpu' is not auto, cpu or cuda:N"),
        (("--texture-size", "8x64"), "'8x64' is not HEIGHTxWIDTH in pixels, 16 to 256 each"),
        (("--texture-size", "big"), "'big' is not HEIGHTxWIDTH"),
        (("--out", ""), "the path is empty; for this very folder write ."),
        (("--share", "nan"), "nan is no number"),
        (("--share", "2"), "2.0 is not in the range"),
        (("--limit", "0"), "0 is not in the range"),
        (("--workers", "0"), "0 is not in the range"),
    ],
)
def test_bad_option_values(words: tuple[str, str], message: str) -> None:
    assert message in parsed(*words)


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"iou": float("nan")})
    print_json({"b": 1, "a": None})
    assert capsys.readouterr().out == '{\n  "b": 1,\n  "a": null\n}\n'


def test_plain_progress_is_a_line_now_and_then_and_one_at_the_end() -> None:
    stream = io.StringIO()
    with progress("reconstruct", 3, stream, interval_s=1000) as reporter:
        reporter.advance()
        reporter.note("failed: x")
        reporter.advance(failed=True)
        assert stream.getvalue() == "failed: x\n"
        reporter.advance()
    assert re.fullmatch(r"failed: x\nreconstruct: 3/3 \(100%\), 1 failed\n", stream.getvalue())


def test_plain_progress_tells_every_interval_and_nothing_twice() -> None:
    stream = io.StringIO()
    with progress("work", 2, stream, interval_s=0) as reporter:
        reporter.advance()
        reporter.advance()
    assert [line.split(",")[0] for line in stream.getvalue().splitlines()] == ["work: 1/2 (50%)", "work: 2/2 (100%)"]
    silent = io.StringIO()
    with progress("work", 0, silent):
        pass
    assert silent.getvalue() == ""


def test_a_first_forecast_does_not_count_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad file fails at once; twenty seconds to start four processes, whose first results come together; then two
    results a second."""
    clock = [100.0]
    monkeypatch.setattr("mmgen.cli.progress.time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    with progress("reconstruct", 1001, stream) as reporter:
        reporter.advance(failed=True)
        for later_s in (20.0, 0.1, 0.1, 0.1, *[0.5] * 12):
            clock[0] += later_s
            reporter.advance()
        clock[0] += 0.5
        reporter.advance(count=10)
    first, second, *_ = stream.getvalue().splitlines()
    assert first == "reconstruct: 2/1001 (0%), 1 failed"
    assert second == "reconstruct: 15/1001 (1%), 2.0/s, 1 failed, ETA 8m13s"


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (231.4, "231/s"),
        (4.23, "4.2/s"),
        (1.0, "1.0/s"),
        (0.12, "8.3s each"),
        (0.001, "16m40s each"),
        (2e6, "2000000/s"),
    ],
)
def test_speeds_have_no_exponents(per_second: float, text: str) -> None:
    assert rate_text(per_second) == text


def test_lists_that_are_cut_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    say_list(map(str, range(5)), "see the record", most=3)
    assert capsys.readouterr().err == "0\n1\n2\n... and 2 more, see the record\n"
    say_list(["a", "b"], "see the record", most=2)
    assert capsys.readouterr().err == "a\nb\n"


def test_a_console_shows_so_many_remarks_and_counts_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    error = ItemError("broken", "it is broken", "Mend it.")
    with RunConsole(lambda name: [failed(name, error)], "in the record only") as console:
        console.stage("work", 30)
        for number in range(30):
            console.callbacks.finished(str(number))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "failed: 0: it is broken (broken). Mend it."
    assert lines[19:] == [
        "failed: 19: it is broken (broken). Mend it.",
        "further lines like these are in the record only",
        "work: 30/30 (100%), 30 failed",
    ]
    assert console.counts["failed"] == 30


def test_one_is_not_many() -> None:
    assert count_of(1, "new mesh has", "new meshes have") == "1 new mesh has"
    assert count_of(2, "photo") == "2 photos"


@pytest.mark.parametrize(("done", "failures", "code"), [(3, 0, 0), (0, 0, 0), (2, 1, 3), (0, 2, 4)])
def test_where_everything_failed_nothing_could_be_done(done: int, failures: int, code: int) -> None:
    assert items_exit_code(done, failures) == code


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with progress("reconstruct", 2, stream) as reporter:
        reporter.advance(failed=True)
        reporter.note("failed: [bold]x")
        reporter.advance()
    text = stream.getvalue()
    assert "failed: [bold]x" in text and "2/2" in text and "1 failed" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (185, "3m05s"), (7800, "2h10m")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_no_command_touches_the_working_folder_for_its_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["doctor", "--help"]).exit_code == 0
    assert os.listdir(tmp_path) == []
