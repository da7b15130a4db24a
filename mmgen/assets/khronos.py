"""Khronos' glTF validator, where the user has it: node and the npm package `gltf-validator`. Never needed."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgen.assets.findings import Finding
from mmgen.core.documents import decode
from mmgen.core.errors import FatalError

SCRIPT = Path(__file__).with_name("khronos_validate.js")
FOLDER_VARIABLE = "MMGEN_GLTF_VALIDATOR"
PACKAGE = "gltf-validator"
MAX_ISSUES_PER_FILE = 20
SEVERITIES = ("errors", "warnings", "infos", "hints")


@dataclass(frozen=True)
class KhronosSummary:
    """Messages of the validator about some files, counted.

    Attributes:
        errors: And the following: number of its messages of each severity.
    """

    files: int
    errors: int
    warnings: int
    infos: int
    hints: int


def find_validator() -> Path | None:
    """The folder from which node resolves the package, or None.

    Looked for in the folder named by MMGEN_GLTF_VALIDATOR and in `tests/node` of a source tree, and not in the working
    directory: what lies in a stranger's folder must not run.
    """
    if shutil.which("node") is None:
        return None
    named = os.environ.get(FOLDER_VARIABLE)
    source_tree = Path(__file__).resolve().parents[2] / "tests" / "node"
    for folder in [*([Path(named)] if named else []), source_tree]:
        if (folder / "node_modules" / PACKAGE).is_dir() or (
            folder.name == "node_modules" and (folder / PACKAGE).is_dir()
        ):
            return folder
    return None


def run_validator(folder: Path, files: Sequence[Path]) -> tuple[KhronosSummary, list[Finding]]:
    """Validate files.

    Args:
        folder: From `find_validator`.

    Returns:
        The totals, and one finding per message: errors as errors, the rest as warnings.

    Raises:
        FatalError: `validator_failed`: node or the package do not work.
    """
    command = ["node", str(SCRIPT), str(folder.resolve()), str(MAX_ISSUES_PER_FILE)]
    names = [str(file) for file in files]
    try:
        done = subprocess.run(
            command, input=json.dumps(names), capture_output=True, text=True, timeout=60 + 2 * len(files), check=True
        )
        reports = decode(done.stdout.encode(), dict[str, Any])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()
        raise FatalError(
            "validator_failed",
            f"the glTF validator in {folder} does not work: {' '.join(said)[-300:]}",
            f"Install it again (npm install {PACKAGE}), or unset {FOLDER_VARIABLE}.",
        ) from error
    totals = dict.fromkeys(SEVERITIES, 0)
    findings = []
    for name, report in reports.items():
        if "refused" in report:
            totals["errors"] += 1
            findings.append(Finding("error", "khronos", name, report["refused"]))
            continue
        for severity in SEVERITIES:
            totals[severity] += report["issues"][f"num{severity.capitalize()}"]
        findings += [_finding(name, message) for message in report["issues"]["messages"]]
    return KhronosSummary(files=len(reports), **totals), findings


def _finding(name: str, message: dict[str, object]) -> Finding:
    text = f"{message['code']} at {message.get('pointer', message.get('offset', '?'))}: {message['message']}"
    return Finding("error" if message["severity"] == 0 else "warning", "khronos", name, text)
