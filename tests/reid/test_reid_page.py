"""docs/reid.md: its code runs, and its tables are those of the files that they name."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from augment_folders import made
from click.testing import CliRunner
from reid_people import market, shards

from mmgen.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "reid.md"


class Registry:
    """What fast-reid's registry does with a class, as far as the page needs it."""

    def __init__(self):
        self.classes = []

    def register(self):
        return lambda found: self.classes.append(found) or found


def fake_fastreid(registry):
    """fast-reid is no package that can be installed; its data sets take three lists of rows."""

    class ImageDataset:
        def __init__(self, train, query, gallery, **options):
            self.train, self.query, self.gallery = train, query, gallery

    names = ("fastreid", "fastreid.data", "fastreid.data.datasets", "fastreid.data.datasets.bases")
    modules = {name: ModuleType(name) for name in names}
    modules[names[2]].DATASET_REGISTRY = registry
    modules[names[3]].ImageDataset = ImageDataset
    return modules


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
def test_code_blocks_run(tmp_path, monkeypatch):
    market(tmp_path / "market")
    shards(tmp_path / "market-3d")
    for folder in ("bounding_box_train", "query", "bounding_box_test"):
        shutil.copytree(tmp_path / "market" / folder, tmp_path / "market-3d" / folder)
    virtual = tmp_path / "market-3d/bounding_box_train/1502_c3s1_000001_01.jpg"
    shutil.copy(next(virtual.parent.glob("0001_*")), virtual)
    registry = Registry()
    for name, module in fake_fastreid(registry).items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    loop = blocks.pop(0)
    names = {"Path": Path}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    (fast,) = registry.classes
    found = fast()
    assert ("market3d_1502" in {row[1] for row in found.train}) and len(found.query) == 12
    stock = names["Market3D"](combineall=False, verbose=False)
    assert len({row[1] for row in stock.train}) == 7 and max(row[1] for row in stock.train) == 6
    assert {row[2] for row in stock.train} == {0, 1, 2}
    (tmp_path / "real").mkdir()
    monkeypatch.chdir(tmp_path / "real")
    made(tmp_path / "real", tmp_path / "real/market-3d")
    exec(compile(loop, str(PAGE), "exec"), names)
    assert names["facts"]["kind"] == "virtual" and names["image"].size == (16, 32)


def figure(mean):
    return {"mean": mean, "std": 0.01, "values": [mean]}


def result():
    training = {
        "photos": 100, "real_identities": 7, "virtual_identities": 0, "steps": 500, "real_photos_seen": 24_000,
        "batch_photos": 48,
    }  # fmt: skip
    arm = SimpleNamespace(names=("rank1", "map_plain", "map_trapezoid", "minp"))
    arms = {
        name: {
            "runs": 3, "label": name.title(), "training": training | {"real_photos_seen": seen},
            "figures": {"test": {key: figure(share) for key in arm.names}},
        }
        for name, share, seen in (("control", 0.5, 24_000), ("plus", 0.75, 16_800))
    }  # fmt: skip
    ends = {"mean": 0.25, "low": 0.2, "high": 0.3, "clear_of_zero": True}
    gains = {"control": {"test": {"rank1": {"seeds": [0.25], "by_query": ends, "by_person": ends}}}}
    protocols = {"full": {"identity_share": 1.0, "arms": arms, "gains": gains}}
    return {"schema": "mmgen.reid.compare/1", "tested": "plus", "searches": ["test"], "protocols": protocols}


def test_tables_are_made_from_results_and_say_what_was_equal(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps(result()))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results: r.json -->\nold\n<!-- end of results -->\nafter\n")
    assert CliRunner().invoke(cli, ["reid", "tables", str(page)]).exit_code == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("<!-- end of results -->\nafter\n") and "old" not in text
    assert "| Plus | 100 | 7 | 500 | 16,800 | 75.0 ± 1.0 |" in text
    assert (
        "| Control | rank-1 | +25.0 | +20.0 to +30.0 | +20.0 to +30.0 | at equal updates; real photos seen differ |"
        in text
    )
    (tmp_path / "r.json").write_text("{}")
    assert CliRunner().invoke(cli, ["reid", "tables", str(page)]).exit_code == 4 and page.read_text() == text


def test_the_page_holds_the_figures_of_its_results(tmp_path):
    shutil.copytree(PAGE.parent, tmp_path / "docs", ignore=shutil.ignore_patterns("pictures"))
    page = tmp_path / "docs" / "reid.md"
    assert CliRunner().invoke(cli, ["reid", "tables", str(page)]).exit_code == 0
    assert page.read_text() == PAGE.read_text(), "run: mmgen reid tables docs/reid.md"
