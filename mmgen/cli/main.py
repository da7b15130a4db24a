"""Run the command group and turn every ending into an exit code."""

import atexit
import os
import shutil
import signal
import sys
import traceback
from contextlib import suppress
from types import FrameType

import click

from mmgen.cli import EXIT_READER_LEFT, cli, drop_stdout, exit_code_of_storage
from mmgen.cli.output import say
from mmgen.core.startup import end_without_search, ensure_utf8, fill_standard_streams, temporary_kernel_cache

EXIT_BUG = 1
EXIT_INTERRUPTED = 130


def main(args: list[str] | None = None) -> int:
    """Run one command.

    Args:
        args: The words after `mmgen`; those of this process when None.

    Returns:
        The exit code: 0 all good, 1 a bug, 2 usage, 3 some items failed, 4 nothing could be done, 130 interrupted, 141
        the reader of our output went away.
    """
    if args is None:
        ensure_utf8()
    _prepare_process()
    end_without_search()
    try:
        return _run(args)
    except click.ClickException as error:
        with suppress(OSError):  # stderr on a full disk
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; everything finished so far is kept")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        drop_stdout()
        return EXIT_READER_LEFT
    except SystemExit as request:
        return request.code if isinstance(request.code, int) else EXIT_BUG
    except Exception:
        traceback.print_exc()
        say("error: this is a bug in mmgen\nhint: Report the lines above with the command you ran.")
        return EXIT_BUG


def _run(args: list[str] | None) -> int:
    try:
        code = cli.main(args=args, prog_name="mmgen", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        raise
    except OSError as error:  # of what click prints, and of the last flush
        exit_code = exit_code_of_storage(error)
        drop_stdout()
        return exit_code


def _prepare_process() -> None:
    """Names that are no UTF-8 must be printable, and a polite kill must keep what is finished."""
    fill_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    # torch's threads otherwise spin while they wait for each other: several times slower beside any other program.
    # Takes effect because torch is not imported yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if (folder := temporary_kernel_cache()) is not None:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        say(
            "every run compiles its kernels anew, as they can be kept nowhere; set NUMBA_CACHE_DIR to a folder of yours"
        )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
