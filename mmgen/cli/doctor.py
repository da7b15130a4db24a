"""`mmgen doctor`: is everything here?"""

from dataclasses import asdict

import click

from mmgen.cli.options import json_option
from mmgen.cli.output import EXIT_NOTHING_DONE, print_json, say


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Check this installation: what works, what is missing, what for, and how to get it.

    Exit code 0 if the core commands work; optional parts may be missing.
    """
    from mmgen.core.version import __version__
    from mmgen.doctor import core_works, examine

    checks = examine()
    works = core_works(checks)
    if as_json:
        rows = [asdict(check) for check in checks]
        print_json({"schema": "mmgen.doctor/1", "version": __version__, "core_works": works, "checks": rows})
    else:
        for check in checks:
            print(f"{check.status:8} {check.name:19} {check.detail}")
            if check.fix:
                print(f"{'':28} {check.purpose}; to get it: {check.fix}")
    say("the core works" if works else "the core does not work; see the lines marked missing and broken")
    click.get_current_context().exit(0 if works else EXIT_NOTHING_DONE)
