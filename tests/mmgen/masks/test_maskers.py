"""Maskers by name, from other packages, and ONNX files: asked, checked, blamed, and part of content keys."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx_files
import pytest
from fakes import FakeReconstructor
from mask_files import BODY, find, photo_file, save
from PIL import Image

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_file
from mmgen.masks import maskers
from mmgen.masks.structures import MaskSource
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.batch import BatchConfig, run_batch
from mmgen.reconstruction.job import Job
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import read_records

Install = Callable[..., MaskSource]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with a masker called `seg` where Python looks for packages."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def do(code: str, version: str = "1.2", value: str = "acme_masks:mask") -> MaskSource:
        (site / "acme_masks.py").write_text(f"import numpy as np\n{code}\n")
        for old in site.glob("*.dist-info/*"):
            old.unlink()
        info = site / "acme_masks.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-masks\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[mmgen.maskers]\nseg = {value}\n")
        _forget()
        return MaskSource.parse("seg")

    yield do
    _forget()


def _forget() -> None:
    sys.modules.pop("acme_masks", None)
    importlib.invalidate_caches()
    for memory in (maskers._entry_points, maskers._loaded, maskers._loaded_file, maskers._file_title):
        memory.cache_clear()


GOOD = "def mask(rgb):\n    soft = np.zeros(rgb.shape[:2])\n    soft[10:70, 12:28] = 0.9\n    return soft, 0.8"


def test_a_plug_in_is_asked_by_name(tmp_path: Path, install: Install) -> None:
    source = install(GOOD + "\nmask.version = 'weights 3'")
    assert source == MaskSource("masker", name="seg") and source.text == "seg"
    assert MaskSource.parse("./seg").kind == "folder"
    found = find(photo_file(tmp_path), source)
    assert (found.source, found.quality, found.masker) == ("seg", 0.8, "seg (acme-masks 1.2) weights 3")
    assert found.mask[40, 20] == 230 and np.count_nonzero(found.mask) == 60 * 16  # soft, in its place
    assert found.notes == ("mask guessed by seg, quality 0.80",)


def test_the_example_in_the_documentation_works(tmp_path: Path, install: Install) -> None:
    text = (Path(__file__).parents[3] / "docs" / "masks.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert '"mmgen.maskers"' in text and maskers.GROUP == "mmgen.maskers"
    rgb = np.where(BODY[..., None], np.uint8([150, 90, 80]), np.uint8([20, 200, 30]))
    found = find(save(tmp_path / "a.png", Image.fromarray(rgb)), install(code))
    assert iou(found.mask) == 1 and found.quality == 1 and str(found.masker).endswith("threshold 64")


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import nothing_of_that_name", "cannot be loaded: ModuleNotFoundError: No module named 'nothing_of"),
        ("mask = 3", "cannot be loaded: TypeError: acme_masks:mask cannot be called"),
        (
            "import sys\ndef mask(rgb): sys.exit(2)",
            r"failed at the seg mask of .*a.png: SystemExit: 2 \(acme_masks.py, l",
        ),
        ("def mask(rgb): raise MemoryError('much')", "MemoryError: much"),
        ("def mask(rgb): return np.ones(rgb.shape[:2])", "returned no pair of mask and quality"),
        ("def mask(rgb): return np.ones(rgb.shape), 1", r"returned a mask of shape \[80, 40, 3\], not \[80, 40\]"),
        ("def mask(rgb): return np.ones(rgb.shape[:2]), 7", "returned the quality 7, not 0..1"),
        ("def mask(rgb): return np.full(rgb.shape[:2], 255.0), 1", "returned mask values outside 0..1"),
        ("def mask(rgb): return np.full(rgb.shape[:2], np.nan), 1", "returned mask values outside 0..1"),
        ("def mask(rgb): return np.ones(rgb.shape[:2], int), 1", "returned a mask of int64, not of floats"),
    ],
)
def test_a_broken_plug_in_is_named_with_its_fault(tmp_path: Path, install: Install, code: str, cause: str) -> None:
    with pytest.raises(ItemError, match=cause) as caught:
        find(photo_file(tmp_path), install(code))
    assert caught.value.code == "masker_broken" and "masker seg (acme-masks 1.2) " in caught.value.message
    assert "--masks" in caught.value.hint


def test_a_masker_that_sees_nobody_or_is_unsure_is_refused(tmp_path: Path, install: Install) -> None:
    for code in ("def mask(rgb): return rgb[..., 0] < 0, 0.9", GOOD.replace("0.8", "0.3")):
        with pytest.raises(ItemError, match=r"sees no person|not to be trusted: quality 0\.30") as caught:
            find(photo_file(tmp_path), install(code))
        assert caught.value.code == "mask_unusable"


def test_a_changed_masker_remakes_the_item_and_a_broken_one_spoils_only_it(tmp_path: Path, install: Install) -> None:
    photo_file(tmp_path / "in")
    items = list_inputs([tmp_path / "in"], tmp_path / "out")

    def run(code: str, version: str) -> tuple[int, str]:
        source = install(code, version)
        job = Job(tmp_path / "out", FakeReconstructor, {}, source, 0.0, tmp_path / "out" / "log")
        return run_batch(BatchConfig(items, job), RunCallbacks()).skipped, job.content_key(items[0], "1" * 64)

    first, again, newer, broken = run(GOOD, "1"), run(GOOD, "1"), run(GOOD, "2"), run("import nothing_there", "2")
    assert [skipped for skipped, _ in (first, again, newer, broken)] == [0, 1, 0, 0]
    assert first[1] == again[1] and len({key for _, key in (first, newer, broken)}) == 3
    assert list(read_records(tmp_path / "out")) == ["a.png"]


def test_nothing_of_a_masker_is_in_the_key_where_none_is_asked(tmp_path: Path, install: Install) -> None:
    install("import nothing_there")
    assert maskers.masker_title(MaskSource("auto")) is None and maskers.masker_title(MaskSource("grabcut")) is None


def test_a_fatal_error_of_a_plug_in_costs_the_photo_only(tmp_path: Path, install: Install) -> None:
    code = "from mmgen.core.errors import FatalError\ndef mask(rgb): raise FatalError('x', 'licence ran out', 'y')"
    with pytest.raises(ItemError, match="licence ran out") as caught:
        find(photo_file(tmp_path), install(code))
    assert not isinstance(caught.value, FatalError)


def test_rembg_that_is_missing_is_an_error_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _forget()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ItemError, match="rembg is not installed") as caught:
        find(photo_file(tmp_path), MaskSource.parse("rembg"))
    assert caught.value.code == "masker_missing" and "mmgen[rembg]" in caught.value.hint
    _forget()


@pytest.mark.slow  # rembg's matting compiles for minutes when it is first imported
def test_rembg_without_its_net_downloads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("rembg", reason="rembg is not installed", exc_type=ImportError)
    _forget()
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "empty"))
    with pytest.raises(ItemError, match="u2net_human_seg is not on this machine") as caught:
        find(photo_file(tmp_path), MaskSource.parse("rembg"))
    assert "rembg.new_session" in caught.value.hint
    _forget()
    net = tmp_path / "empty" / "models" / "u2net_human_seg" / "u2net_human_seg.onnx"
    net.parent.mkdir(parents=True)
    net.write_bytes(onnx_files.bright_is_person([1, 3, 320, 320]))
    found = find(bright_person(tmp_path), MaskSource.parse("rembg"))
    assert found.source == "rembg" and sha256_file(net)[:16] in str(found.masker) and iou(found.mask) > 0.9
    _forget()


# ONNX files


def bright_person(folder: Path) -> Path:
    rgb = np.where(BODY[..., None], np.uint8(230), np.uint8(20)).repeat(3, axis=2)
    return save(folder / "bright.png", Image.fromarray(rgb))


def iou(mask: np.ndarray) -> float:
    person = mask >= 128
    return float(np.count_nonzero(person & BODY) / np.count_nonzero(person | BODY))


def onnx(folder: Path, data: bytes) -> MaskSource:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    _forget()
    (folder / "net.onnx").write_bytes(data)
    return MaskSource.parse(str(folder / "net.onnx"))


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ([1, 3, 80, 40], {}),
        (["batch", 3, "height", "width"], {}),
        ([1, 96, 48, 3], {"axis": 3}),
        ([1, 3, 80, 40], {"last": "Identity"}),  # logits
    ],
)
def test_what_a_net_wants_is_read_from_its_file(tmp_path: Path, shape: list, options: dict) -> None:
    found = find(bright_person(tmp_path), onnx(tmp_path, onnx_files.bright_is_person(shape, **options)))
    assert iou(found.mask) > 0.93 and found.quality is not None and found.quality > 0.9
    assert (found.source, found.masker) == ("onnx", f"onnx {sha256_file(tmp_path / 'net.onnx')[:16]}")


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"no net", "cannot be loaded: .*INVALID_PROTOBUF"),
        (onnx_files.bright_is_person([1, 4, 32, 32]), r"wants \[1, 4, 32, 32\], not one picture of three colours"),
        (onnx_files.bright_is_person([4, 3, 32, 32]), r"wants \[4, 3, 32, 32\]"),
        (onnx_files.bright_is_person([1, 3, 32, 32], inputs=2), "wants 2 inputs, not one picture"),
        (onnx_files.bright_is_person([1, 3, 32, 32], element=onnx_files.INT64), r"wants tensor\(int64\)"),
        (onnx_files.bright_is_person([1, 3, 32, 32], axis=2), r"answers with \[1, 3, 1, 32\], not with one mask"),
    ],
)
def test_a_file_that_does_not_fit_says_why(tmp_path: Path, data: bytes, cause: str) -> None:
    with pytest.raises(ItemError, match=cause) as caught:
        find(photo_file(tmp_path), onnx(tmp_path, data))
    assert caught.value.code == "masker_broken" and "net.onnx" in caught.value.message and caught.value.hint


def test_a_net_that_knows_nothing_is_refused(tmp_path: Path) -> None:
    source = onnx(tmp_path, onnx_files.bright_is_person([1, 3, 32, 32], gain=0.001))
    path = photo_file(tmp_path)
    with pytest.raises(ItemError, match=r"not to be trusted|sees no person|marks 100%") as caught:
        find(path, source)
    assert caught.value.code in ("mask_unusable", "mask_full")


def test_a_net_that_is_not_there(tmp_path: Path) -> None:
    source = MaskSource.parse(str(tmp_path / "gone.onnx"))
    assert maskers.masker_title(source) == "onnx missing"
    with pytest.raises(ItemError, match=r"there is no .*gone\.onnx"):
        find(photo_file(tmp_path), source)


def test_expected_iou_is_high_for_the_sure_and_low_for_the_grey() -> None:
    sure, grey = np.zeros((4, 4)), np.full((4, 4), 0.3)
    sure[1:3] = 1
    grey[0] = 0.6
    assert maskers.expected_iou(sure) == 1 and maskers.expected_iou(np.zeros((4, 4))) == 0
    assert maskers.expected_iou(grey) == pytest.approx(4 * 0.6 / (4 + 12 * 0.3))
