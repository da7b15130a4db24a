"""`mmgen review`: a desk in the browser."""

import webbrowser
from pathlib import Path

import click

from mmgen.cli.options import PATH, device_option, json_option
from mmgen.cli.output import print_json, say


@click.command()
@click.argument("meshes", type=PATH, default="meshes")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port.  [default: any free one]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; 0.0.0.0 lets other machines in, by this machine's address in numbers.",
)
@click.option("--no-open", is_flag=True, help="Print the address and open no browser.")
@device_option
@json_option
def command(meshes: Path, port: int, host: str, no_open: bool, device: str, as_json: bool) -> None:
    """Open a desk for MESHES in the browser: drop photos, look, correct, accept, take away.

    MESHES is a folder of `mmgen reconstruct`, or a new one. Photos that are dropped go to MESHES/photos, corrected
    masks to masks/ beside the photos, and what you decide into the run record, which the command line reads too. The
    page asks nobody but this machine, and only with the token that stands in its address.

    End it with Ctrl-C; what is done is kept, and the next `mmgen review` goes on.
    """
    try:
        from mmgen.review.server import bound_socket, serve
    except ImportError as error:
        from mmgen.core.errors import FatalError

        raise FatalError(
            "review_missing",
            f"the desk needs a package that is not installed: {error.name}",
            'pip install "mmgen[review]"',
        ) from error
    from mmgen.core.devices import resolve_device

    def ready(address: str) -> None:
        if as_json:
            print_json({"schema": "mmgen.review/1", "address": address})
        else:
            print(address, flush=True)
        say("serving; end with Ctrl-C")
        if not no_open:
            webbrowser.open(address)

    meshes.mkdir(parents=True, exist_ok=True)  # where that is impossible it shall be said now
    serve(meshes, resolve_device(device), bound_socket(host, port), host, ready)
