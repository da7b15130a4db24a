"""GLBs made smaller by tools that the user has: gltf-transform or gltfpack. Never needed."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmgen.core.errors import FatalError, ItemError

Compression = Literal["meshopt", "draco"]
TIMEOUT_S = 120


@dataclass(frozen=True)
class Tool:
    """A program that compresses.

    Attributes:
        words: its arguments; IN and OUT stand for the files.
    """

    name: str
    package: str
    words: tuple[str, ...]


TOOLS: dict[Compression, tuple[Tool, ...]] = {
    "meshopt": (
        Tool("gltf-transform", "@gltf-transform/cli", ("meshopt", "IN", "OUT")),
        Tool("gltfpack", "gltfpack", ("-i", "IN", "-o", "OUT", "-c", "-kn", "-km", "-ke")),
    ),
    "draco": (Tool("gltf-transform", "@gltf-transform/cli", ("draco", "IN", "OUT")),),
}
"""Programs for each codec, the one that keeps most of a file (names, extras, copyright) first."""


def find_tool(codec: Compression) -> Tool:
    """The first of a codec's programs that is on PATH.

    Raises:
        FatalError: `tool_missing`, naming the programs and how to get one.
    """
    for tool in TOOLS[codec]:
        if shutil.which(tool.name) is not None:
            return tool
    first = TOOLS[codec][0]
    raise FatalError(
        "tool_missing",
        f"{codec} compression is done by {' or '.join(tool.name for tool in TOOLS[codec])}, and PATH has none",
        f"Install it: npm install --global {first.package}; or leave --compress out.",
    )


def compressed(glb: bytes, codec: Compression) -> bytes:
    """A GLB with its geometry compressed; viewers then need the codec's decoder.

    Raises:
        FatalError: `tool_missing`.
        ItemError: `compress_failed`, with what the program said.
    """
    tool = find_tool(codec)
    with tempfile.TemporaryDirectory(prefix="mmgen-compress-") as folder:
        source, target = Path(folder, "in.glb"), Path(folder, "out.glb")
        source.write_bytes(glb)
        files = {"IN": str(source), "OUT": str(target)}
        command = [tool.name, *(files.get(word, word) for word in tool.words)]
        try:
            subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=True)
            data = target.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise _failed(tool, str(getattr(error, "stderr", None) or error)) from error
    if data[:4] != b"glTF":
        raise _failed(tool, "what it wrote is no GLB")
    return data


def _failed(tool: Tool, said: str) -> ItemError:
    words = " ".join(said.split())[-300:]
    return ItemError(
        "compress_failed", f"{tool.name} failed: {words}", f"Try {tool.name} on the file by hand, or another version."
    )
