"""`mmgen prepare` on small trees: what is written, what is left out, and that a second run changes nothing."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from bad_files import KINDS
from click.testing import CliRunner, Result
from dataset_trees import MARKET, box_mask, make_atr, make_cub, make_market, save_image, save_mask, share
from PIL import Image

from mmgen.cli import cli
from mmgen.core.errors import FatalError, ItemError
from mmgen.datasets import preparation as preparation_module
from mmgen.datasets.atr import outline
from mmgen.datasets.index import read_index
from mmgen.datasets.journal import read_journal
from mmgen.datasets.preparation import PrepareConfig, plan, prepare
from mmgen.datasets.preparing import Outcome
from mmgen.masks.structures import MaskSource
from mmgen.work.callbacks import RunCallbacks


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["prepare", *map(str, arguments), "--workers", "1"])


def tree(folder: Path) -> dict[str, bytes]:
    """Every file but the journal and the lock, by relative path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and ".mmgen" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def skipped(out: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    return {row["path"]: row["code"] for row in rows}


def test_market(tmp_path: Path) -> None:
    source, out = make_market(tmp_path / "m"), tmp_path / "out"
    before = tree(source)
    result = run("market", source, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    assert tree(source) == before, "the source is not touched"
    index = read_index(out)
    assert {row.path: (row.split, row.identity, row.camera, row.clean) for row in index.rows} == {
        "bounding_box_test/0000_c1s1_000351_01.jpg": ("gallery", "0000", 1, False),
        "bounding_box_test/0005_c2s1_000301_02.jpg": ("gallery", "0005", 2, False),
        "bounding_box_train/0002_c1s1_000451_03.jpg": ("train", "0002", 1, True),
        "bounding_box_train/0002_c3s2_000452_01.jpg": ("train", "0002", 3, False),
        "query/0005_c1s1_000151_00.jpg": ("query", "0005", 1, False),
    }
    for row in index.rows:
        assert index.image_path(row).read_bytes() == (source / row.path).read_bytes()
        mask = np.asarray(Image.open(index.mask_path(row)))
        np.testing.assert_array_equal(mask, np.asarray(box_mask(MARKET[row.path])))
        assert row.foreground_fraction == pytest.approx(share(box_mask(MARKET[row.path])), abs=1e-6)
        assert (row.width, row.height, row.mask_source) == (32, 64, "sibling")
        assert row.mask == f"masks/{row.path[:-4]}.png"
    assert skipped(out) == {
        "bounding_box_train/0007_c6s4_010452_02.jpg": "foreground",
        "bounding_box_train/0011_c2s1_000001_00.jpg": "foreground",
        "bounding_box_test/-1_c1s1_000401_03.jpg": "junk",
    }
    data = json.loads(result.stdout)
    assert data["images"] == {"gallery": 2, "query": 1, "train": 2}
    assert data["identities"] == {"gallery": 2, "query": 1, "train": 1}
    assert (data["clean"], data["filtered"], data["failed"]) == (1, {"foreground": 2, "junk": 1}, {})


def test_truth_goes_along_unless_the_image_is_changed(tmp_path: Path) -> None:
    source = make_market(tmp_path / "m")
    name = "query/0005_c1s1_000151_00"
    (source / "truth" / "query").mkdir(parents=True)
    (source / "truth" / f"{name}.npz").write_bytes(b"truth")
    for upscale in (1, 2):
        prepare(PrepareConfig("market", source, tmp_path / f"out{upscale}", upscale=upscale))
    index = read_index(tmp_path / "out1")
    truths = {row.path: index.truth_path(row) for row in index.rows}
    assert truths.pop(f"{name}.jpg") == tmp_path / "out1" / "truth" / f"{name}.npz"
    assert (tmp_path / "out1" / "truth" / f"{name}.npz").read_bytes() == b"truth"
    assert set(truths.values()) == {None}
    assert {row.truth for row in read_index(tmp_path / "out2").rows} == {None}
    prepare(PrepareConfig("market", source, source))
    assert next(row.truth for row in read_index(source).rows if row.split == "query") == f"truth/{name}.npz"


def test_a_second_run_changes_no_byte_and_does_no_work(tmp_path: Path) -> None:
    order = PrepareConfig("market", make_market(tmp_path / "m"), tmp_path / "out")
    first: list[Outcome] = []
    prepare(order, RunCallbacks(finished=first.append))
    before = tree(order.out)
    again: list[Outcome] = []
    prepare(order, RunCallbacks(finished=again.append))
    assert tree(order.out) == before
    assert [outcome.is_old for outcome in first if outcome.done] == [False] * 5
    assert [outcome.is_old for outcome in again if outcome.done] == [True] * 5


def test_in_place_adds_masks_and_index_only(tmp_path: Path) -> None:
    source = make_market(tmp_path / "m")
    moved = tmp_path / "other"
    (source / "masks").rename(moved)
    before = tree(source)
    order = PrepareConfig("market", source, source, MaskSource("folder", moved))
    prepare(order)
    after = tree(source)
    assert {name: after[name] for name in before} == before
    rows = read_index(source).rows
    assert set(after) - set(before) == {
        "dataset.json",
        "index.jsonl",
        "skipped.jsonl",
        *(str(row.mask) for row in rows),
    }
    prepare(order)
    assert tree(source) == after


def test_masks_that_are_in_place_stay_as_they_are(tmp_path: Path) -> None:
    source = make_market(tmp_path / "m")
    before = tree(source)
    prepare(PrepareConfig("market", source, source))
    after = tree(source)
    assert {name: after[name] for name in before} == before
    assert read_index(source).rows[0].mask == "masks/bounding_box_test/0000_c1s1_000351_01.png"


@pytest.mark.parametrize("what", ["image", "given mask", "written mask", "limits"])
def test_what_changed_is_done_again(tmp_path: Path, what: str) -> None:
    source, out = make_market(tmp_path / "m"), tmp_path / "out"
    name = "bounding_box_train/0002_c1s1_000451_03"
    order = PrepareConfig("market", source, out)
    prepare(order)
    if what == "image":
        Image.new("RGB", (32, 64), "red").save(source / f"{name}.jpg")
    elif what == "given mask":
        save_mask(source / "masks" / f"{name}.png", 0.5)
    elif what == "written mask":
        save_mask(out / "masks" / f"{name}.png", 0.2)
    else:
        order = PrepareConfig("market", source, out, max_foreground=0.9)
    outcomes: list[Outcome] = []
    prepare(order, RunCallbacks(finished=outcomes.append))
    redone = [outcome.done.source for outcome in outcomes if outcome.done and not outcome.is_old]
    assert redone == [f"{name}.jpg"] if what != "limits" else len(redone) == 6
    assert (out / f"{name}.jpg").read_bytes() == (source / f"{name}.jpg").read_bytes()
    wanted = np.asarray(Image.open(source / "masks" / f"{name}.png"))
    np.testing.assert_array_equal(np.asarray(Image.open(out / "masks" / f"{name}.png")), wanted)


def test_an_interrupted_run_keeps_its_work_and_writes_no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = PrepareConfig("market", make_market(tmp_path / "m"), tmp_path / "out")
    monkeypatch.setattr(preparation_module, "CHUNK_IMAGES", 1)
    count = 0

    def interrupt(outcome: Outcome) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt

    summary = prepare(order, RunCallbacks(finished=interrupt))
    assert summary.exit_code == 130
    assert not (order.out / "index.jsonl").exists()
    kept = set(read_journal(order.out))
    assert len(kept) >= 2
    outcomes: list[Outcome] = []
    prepare(order, RunCallbacks(finished=outcomes.append))
    assert {outcome.done.source for outcome in outcomes if outcome.done and outcome.is_old} == kept
    fresh = PrepareConfig("market", order.source, tmp_path / "fresh")
    prepare(fresh)
    assert tree(order.out) == tree(fresh.out)


def test_limits_of_the_foreground_can_be_replaced(tmp_path: Path) -> None:
    source, out = make_market(tmp_path / "m"), tmp_path / "out"
    run("market", source, "--out", out, "--min-foreground", 0.3, "--max-foreground", 0.9)
    kept = {row.path for row in read_index(out).rows if row.split == "train"}
    assert kept == {"bounding_box_train/0002_c1s1_000451_03.jpg", "bounding_box_train/0011_c2s1_000001_00.jpg"}
    assert sum(row.split == "gallery" for row in read_index(out).rows) == 2, "only the training set is filtered"


def test_bad_images_and_masks_fail_alone(tmp_path: Path) -> None:
    source, out = make_market(tmp_path / "m"), tmp_path / "out"
    (source / "query/0005_c1s1_000151_00.jpg").write_bytes(KINDS["cut.jpg"][1]())
    save_mask(source / "masks/bounding_box_test/0005_c2s1_000301_02.png", 0.4, size=(30, 64))
    (source / "masks/bounding_box_train/0002_c3s2_000452_01.png").unlink()
    result = run("market", source, "--out", out, "--masks", source / "masks")
    assert result.exit_code == 3
    failures = {
        "query/0005_c1s1_000151_00.jpg": "image_truncated",
        "bounding_box_test/0005_c2s1_000301_02.jpg": "mask_size",
        "bounding_box_train/0002_c3s2_000452_01.jpg": "mask_missing",
    }
    assert failures.items() <= skipped(out).items()
    for path, code in failures.items():
        assert any(Path(path).stem in line and code in line for line in result.stderr.splitlines())
    assert len(read_index(out)) == 2


def test_images_that_would_share_a_mask_are_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.jpg"):
        save_image(tmp_path / "p" / name)
    save_mask(tmp_path / "p" / "masks" / "a.png")
    save_mask(tmp_path / "p" / "masks" / "b.png")
    result = run("folder", tmp_path / "p", "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert skipped(tmp_path / "out") == {"a.png": "duplicate_name"}
    assert [row.path for row in read_index(tmp_path / "out").rows] == ["a.jpg", "b.jpg"]


def test_folder_keeps_the_tree_and_everything(tmp_path: Path) -> None:
    save_image(tmp_path / "p" / "x" / "a.png")
    save_mask(tmp_path / "m" / "x" / "a.png", 0.05)
    result = run("folder", tmp_path / "p", "--out", tmp_path / "out", "--masks", tmp_path / "m")
    assert result.exit_code == 0, result.output
    (row,) = read_index(tmp_path / "out").rows
    assert (row.path, row.mask, row.identity, row.split) == ("x/a.png", "masks/x/a.png", None, "train")
    assert "note: no image can teach the mean body shape: for that the person must cover more than 36%" in result.stderr


def test_market_hq_masks_are_found(tmp_path: Path) -> None:
    save_image(tmp_path / "hq/pytorch/train_all/0002/0002_c1s1_000451_03.jpg.png", (64, 128))
    save_mask(tmp_path / "hq/seg_hmr/train_all/0002/0002_c1s1_000451_03.jpg_0.41.png", 0.4, (64, 128))
    run("market", tmp_path / "hq", "--out", tmp_path / "out")
    (row,) = read_index(tmp_path / "out").rows
    assert row.path == "pytorch/train_all/0002/0002_c1s1_000451_03.jpg.png"
    assert row.mask == "masks/pytorch/train_all/0002/0002_c1s1_000451_03.jpg.png"


def test_upscaling(tmp_path: Path) -> None:
    source, out = make_market(tmp_path / "m"), tmp_path / "out"
    run("market", source, "--out", out, "--upscale", 4)
    row = next(row for row in read_index(out).rows if row.split == "train" and row.clean)
    assert (row.path, row.width, row.height) == ("bounding_box_train/0002_c1s1_000451_03.jpg.png", 128, 256)
    image, mask = Image.open(out / row.path), Image.open(out / str(row.mask))
    assert image.size == mask.size == (128, 256)
    small = Image.open(source / "bounding_box_train/0002_c1s1_000451_03.jpg")
    expected = small.resize((128, 256), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    assert (np.asarray(mask) >= 128).mean() == pytest.approx(row.foreground_fraction, abs=0.01)


def test_atr(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("atr", make_atr(tmp_path / "a"), "--out", out)
    rows = read_index(out).rows
    assert [(row.path, row.split, row.clean) for row in rows] == [
        ("JPEGImages/1_1.jpg", "train", False),
        ("JPEGImages/3_1.jpg", "test", False),
    ]
    assert skipped(out) == {
        "JPEGImages/2_1.jpg": "foreground",
        "JPEGImages/4_1.jpg": "foreground",
        "JPEGImages/5_1.jpg": "unlisted",
    }
    for row in rows:
        labels = np.asarray(Image.open(tmp_path / "a/humanparsing/SegmentationClassAug" / f"{Path(row.path).stem}.png"))
        mask = np.asarray(Image.open(out / str(row.mask)))
        np.testing.assert_array_equal(mask, outline(labels))
        assert row.foreground_fraction == pytest.approx((mask > 0).mean(), abs=1e-6)


def test_cub_crops_images_and_masks_alike(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("cub", make_cub(tmp_path / "c"), "--out", out, "--max-foreground", 0.9)
    assert result.exit_code == 0, result.output
    index = read_index(out)
    first = next(row for row in index.rows if row.path == "train/001.Albatross/A_01.jpg")
    assert (first.width, first.height, first.identity, first.split) == (60, 72, "1", "train")
    original = np.asarray(Image.open(tmp_path / "c/CUB_200_2011/images/001.Albatross/A_01.jpg")).astype(int)
    image = np.asarray(Image.open(index.image_path(first))).astype(int)
    assert np.abs(image - original[4:76, 20:80]).mean() < 6
    mask = np.asarray(Image.open(index.mask_path(first)))
    expected = np.zeros((72, 60), np.uint8)
    expected[16:56, 14:50] = 255
    np.testing.assert_array_equal(mask, expected)
    assert first.foreground_fraction == pytest.approx(40 * 40 / (60 * 72), abs=1e-6)
    whole = next(row for row in index.rows if row.split == "test")
    assert (whole.width, whole.height) == (100, 80), "a box may not leave the photo"


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    source = make_market(tmp_path / "m")
    save_image(source / "query" / "odd.jpg")
    result = run("market", source, "--out", tmp_path / "out", "--dry-run", "--json")
    assert result.exit_code == 3
    assert not (tmp_path / "out").exists()
    data = json.loads(result.stdout)
    assert data["images"] == {"gallery": 2, "query": 1, "train": 4}
    assert [row["code"] for row in data["skipped"]] == ["junk", "market_name"]
    assert "nothing was written" in result.stderr


def test_limit_is_the_first_in_order(tmp_path: Path) -> None:
    order = PrepareConfig("market", make_market(tmp_path / "m"), tmp_path / "out", limit=2)
    assert [image.relative for image in plan(order).images] == [
        "bounding_box_test/0000_c1s1_000351_01.jpg",
        "bounding_box_test/0005_c2s1_000301_02.jpg",
    ]


@pytest.mark.parametrize(("make", "kind", "options"), [(make_cub, "cub", {}), (make_market, "market", {"upscale": 2})])
def test_images_are_never_replaced(
    tmp_path: Path, make: Callable[[Path], Path], kind: str, options: dict[str, int]
) -> None:
    source = make(tmp_path / "s")
    with pytest.raises(FatalError, match="is the source, whose images would change") as caught:
        prepare(PrepareConfig(kind, source, source, **options))
    assert caught.value.code == "out_is_source"


def test_names_that_no_index_can_hold(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    raw = bytes(tmp_path / "p") + b"/caf\xe9.png"
    save_image(tmp_path / "p" / "b.png").rename(raw.decode("utf-8", "surrogateescape"))
    result = run("folder", tmp_path / "p", "--out", tmp_path / "out")
    assert result.exit_code == 4, "nothing usable"
    assert skipped(tmp_path / "out") == {"caf\\xe9.png": "name_not_utf8"}


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmgen.datasets import preparing

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preparing, "write_bytes_atomic", full)
    summary = prepare(PrepareConfig("market", make_market(tmp_path / "m"), tmp_path / "out"))
    assert summary.exit_code == 4
    assert summary.ending.fatal is not None and "No space left" in summary.ending.fatal.message
    assert not (tmp_path / "out" / "index.jsonl").exists()


def test_a_lost_image_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_all(chunks, build, workers, callbacks):  # type: ignore[no-untyped-def]
        for chunk in chunks:
            for image in chunk:
                callbacks.lost(image, ItemError("worker_died", "it died twice", "Use fewer workers."))
        return preparation_module.FINISHED

    monkeypatch.setattr(preparation_module, "run_chunks", lose_all)
    summary = prepare(PrepareConfig("market", make_market(tmp_path / "m"), tmp_path / "out"))
    assert summary.failed == {"worker_died": 7}
    assert summary.exit_code == 4


@pytest.mark.slow
def test_two_processes_give_the_same_bytes(tmp_path: Path) -> None:
    source = make_market(tmp_path / "m")
    for workers in (1, 2):
        prepare(PrepareConfig("market", source, tmp_path / str(workers), workers=workers))
    assert tree(tmp_path / "1") == tree(tmp_path / "2")


def write_brightener(path: Path) -> None:
    """An ESRGAN that repeats every pixel four times each way, twice as bright."""
    import torch
    from safetensors.torch import save_file
    from spandrel.architectures.ESRGAN import ESRGAN

    state = {name: torch.zeros_like(value) for name, value in ESRGAN(num_blocks=1, num_filters=4).state_dict().items()}
    for layer, gain in ((0, 1.0), (3, 1.0), (6, 1.0), (8, 1.0), (10, 2.0)):
        state[f"model.{layer}.weight"][range(3), range(3), 1, 1] = gain
    save_file(state, path)


def test_a_network_that_enlarges_must_be_there_and_be_asked_to(tmp_path: Path) -> None:
    source = make_market(tmp_path / "m")
    with pytest.raises(FatalError, match="there is no"):
        prepare(PrepareConfig("market", source, tmp_path / "out", upscale=2, upscaler=tmp_path / "gone.pth"))
    result = run("market", source, "--out", tmp_path / "out", "--upscaler", tmp_path / "gone.pth")
    assert result.exit_code == 2 and "--upscaler needs --upscale" in result.output


@pytest.mark.slow
def test_a_network_of_the_users_enlarges_images_and_lanczos_does_the_rest(tmp_path: Path) -> None:
    if find_spec("spandrel") is None:
        pytest.skip("extra upscale is not installed")
    source = make_market(tmp_path / "m")
    weights = tmp_path / "brighter.safetensors"
    weights.write_bytes(b"no network")
    order = PrepareConfig("market", source, tmp_path / "out", upscale=2, upscaler=weights)
    with pytest.raises(FatalError, match="cannot be loaded"):
        prepare(order)
    write_brightener(weights)
    prepare(order)
    row = read_index(order.out).rows[0]
    given = np.asarray(Image.open(source / row.path.removesuffix(".png")).convert("RGB"))
    fourfold = Image.fromarray(np.minimum(2 * given.astype(int), 255).astype(np.uint8).repeat(4, 0).repeat(4, 1))
    expected = fourfold.resize((2 * given.shape[1], 2 * given.shape[0]), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(Image.open(order.out / row.path)), np.asarray(expected))
    again: list[Outcome] = []
    prepare(order, RunCallbacks(finished=again.append))
    assert all(outcome.is_old or outcome.skip for outcome in again)
    result = call("market", source, "--out", tmp_path / "x", "--upscaler", weights)
    assert result.exit_code == 2 and "--upscaler needs --upscale" in result.output
