"""The command group. A table of modules, so that `mmgen --help` imports none of them."""

import difflib
import errno
import importlib
import os
import sys

import click

from mmgen.cli.output import EXIT_ITEMS_FAILED, EXIT_NOTHING_DONE, say
from mmgen.core.errors import FatalError, ItemError, MmgenError
from mmgen.core.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("mmgen.cli.demo", "The whole tour on bundled photos: GLBs, a contact sheet, a gallery."),
    "synth": ("mmgen.cli.synth", "Make procedural clothed people with masks and exact truth."),
    "prepare": ("mmgen.cli.prepare", "Check a data set, find or make masks, write an index."),
    "masks": ("mmgen.cli.masks", "Find or guess masks of photos, to check and correct by hand."),
    "train": ("mmgen.cli.train", "Train the reconstructor as a manifest says."),
    "reconstruct": ("mmgen.cli.reconstruct", "Photos to GLB meshes: whole folders, resumable."),
    "evaluate": ("mmgen.cli.evaluate", "Score weights, meshes or masks on a data set, against truth where known."),
    "augment-reid": ("mmgen.cli.augment_reid", "Re-id training photos to shards of virtual people."),
    "reid": ("mmgen.cli.reid", "Train, evaluate and compare re-identification baselines."),
    "export": ("mmgen.cli.export", "Convert meshes: formats, texture size, height."),
    "inspect": ("mmgen.cli.inspect", "Show what is in a GLB or a run folder."),
    "verify": ("mmgen.cli.verify", "Check that a GLB or a run folder is sound."),
    "gallery": ("mmgen.cli.gallery", "Put meshes on one HTML page that opens from disk."),
    "review": ("mmgen.cli.review", "A desk in the browser: drop photos, look, correct, accept, take away."),
    "swap": ("mmgen.cli.swap", "Exchange clothes between meshes: a pair, or everyone with everyone."),
    "turntable": ("mmgen.cli.turntable", "Render a mesh from all sides."),
    "camera-stats": ("mmgen.cli.camera_stats", "Show from where the photos of a data set were taken."),
    "bench": ("mmgen.cli.bench", "Measure this machine."),
    "doctor": ("mmgen.cli.doctor", "Check this installation: what works, what is missing, how to get it."),
}
"""Command name to (module, one-line help). Each module holds one click command named `command`."""

EXIT_USAGE = 2
EXIT_READER_LEFT = 141

STORAGE_HINTS = {
    errno.ENOSPC: "Free some space, or choose another --out; then run the same command again.",
    errno.EDQUOT: "Your disk quota is used up; free some space, then run the same command again.",
    errno.EACCES: "Check who may read and write there.",
    errno.EPERM: "Check who may read and write there.",
    errno.EROFS: "This file system is read-only; choose another place.",
    errno.EIO: "The disk or its connection fails; check it, then run the same command again.",
    errno.ENOENT: "Check the path.",
    errno.ENOTDIR: "A part of this path is a file, not a folder.",
    errno.EEXIST: "A file is in the way there; choose another place.",
    errno.EISDIR: "This is a folder; name a file.",
    errno.ENAMETOOLONG: "Use a shorter name.",
    errno.ELOOP: "Links lead in a circle there; name the file itself.",
    errno.EFBIG: "Such a file may not be as large there; choose another place.",
    errno.EMFILE: "Allow more open files (ulimit -n), or use fewer --workers.",
    errno.ENFILE: "The system has too many open files; close other programs.",
    errno.ESTALE: "The network folder went away; mount it again, then run the same command again.",
    errno.ENODEV: "The disk or its connection fails; check it, then run the same command again.",
    errno.ETIMEDOUT: "The disk or its connection fails; check it, then run the same command again.",
}
"""What to do about the errors of file systems that are no fault of the program."""


class LazyGroup(click.Group):
    """A click group that imports a command's module when that command runs, and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All command names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None if the table has no such name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first word; for an unknown one, suggest the nearest names."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=2)
            ctx.fail(f"No such command '{name}'." + (f" Did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the help lines of the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command and exit with the number that it returns.

        An error that the user can fix becomes two plain lines and an exit code.
        """
        try:
            code = super().invoke(ctx)
            ctx.exit(code if isinstance(code, int) else 0)
        except MmgenError as error:
            say(f"error: {error.message}\nhint: {error.hint}")
            ctx.exit(exit_code_of(error))
        except BrokenPipeError:
            drop_stdout()
            ctx.exit(EXIT_READER_LEFT)
        except OSError as error:
            ctx.exit(exit_code_of_storage(error))


def exit_code_of(error: MmgenError) -> int:
    """4 where nothing can be done, 3 where one item is at fault, 2 where the command line is."""
    if isinstance(error, FatalError):
        return EXIT_NOTHING_DONE
    return EXIT_ITEMS_FAILED if isinstance(error, ItemError) else EXIT_USAGE


def exit_code_of_storage(error: OSError) -> int:
    """Say what is wrong with a file or its disk, and return 4; raises what is no fault of theirs."""
    if error.errno not in STORAGE_HINTS:
        raise error
    from mmgen.core.listing import display_name

    named = isinstance(error.filename, str | bytes | os.PathLike)
    where = display_name(os.fsdecode(error.filename)) if named else "no file is named; perhaps where the output goes"
    say(f"error: {error.strerror}: {where}\nhint: {STORAGE_HINTS[error.errno]}")
    return EXIT_NOTHING_DONE


def drop_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush cannot complain about a closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}


@click.command(cls=LazyGroup, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="mmgen", message="%(prog)s %(version)s")
def cli() -> None:
    """Photos of dressed people in, textured 3D meshes out.

    Start with `mmgen demo`, then `mmgen reconstruct photos/ --out meshes/`.

    Data goes to stdout, everything else to stderr. Exit codes: 0 all good, 2 wrong usage, 3 some items failed (the
    others are valid), 4 nothing could be done, 130 interrupted with everything finished so far kept.
    """
