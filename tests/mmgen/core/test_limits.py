"""The documented limits are those of the code."""

from pathlib import Path

from mmgen.core import limits

TABLE = Path(__file__).parents[3] / "docs" / "limits.md"


def test_the_documented_table_is_the_one_in_force() -> None:
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in TABLE.read_text("utf-8").splitlines()]
    documented = {row[0].strip("`"): row[1] for row in rows if len(row) == 3 and row[0].startswith("`")}
    in_force = {
        name: f"{value // limits.MIB:,} MiB" if name.endswith("_BYTES") else f"{value:,}"
        for name, value in vars(limits).items()
        if name.isupper() and name != "MIB"
    }
    assert documented == in_force
