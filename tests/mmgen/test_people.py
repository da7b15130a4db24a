"""Several people in one photo: told apart, numbered from the left, one record, and known to all that reads records."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeReconstructor, make_photos
from mask_files import person, save
from painted import painted_asset
from PIL import Image

from mmgen.assets.glb import glb_bytes
from mmgen.assets.verification import verify
from mmgen.core.documents import decode
from mmgen.gallery.cards import CHECK, GOOD, make_card
from mmgen.gallery.figures import details
from mmgen.gallery.items import collect_items
from mmgen.masks.cleaning import clean_people
from mmgen.masks.finding import find_people
from mmgen.masks.structures import MaskSource
from mmgen.photos.images import read_image
from mmgen.photos.inputs import UsageError, list_inputs
from mmgen.reconstruction.batch import BatchConfig, Summary, run_batch
from mmgen.reconstruction.job import Job
from mmgen.reconstruction.mask_run import MaskOrder, mask_batch
from mmgen.work.callbacks import RunCallbacks
from mmgen.work.records import Record, read_records


def canvas(*placed: tuple[int, int, int], size: tuple[int, int] = (120, 240)) -> np.ndarray:
    """A mask with people at (left, top) and of a height; they are half as wide as high."""
    mask = np.zeros(size, np.uint8)
    for left, top, height in placed:
        body = np.asarray(Image.fromarray(person()).resize((height // 2, height)))
        rows, columns = slice(max(top, 0), top + height), slice(max(left, 0), left + height // 2)
        part = mask[rows, columns]
        part |= np.where(body, 255, 0).astype(np.uint8)[max(-top, 0) :, max(-left, 0) :][: len(part), : part.shape[1]]
    return mask


def test_people_are_told_apart_from_left_to_right() -> None:
    three = canvas((10, 30, 70), (90, 10, 100), (180, 40, 60))
    people = clean_people(three, "mask")
    assert [np.flatnonzero(one.mask.any(axis=0))[0] // 60 for one in people] == [0, 1, 3]
    assert all(one.notes == () and one.parts == 3 for one in people)
    together = np.max([one.mask for one in people], axis=0)
    assert np.array_equal(together, three) and sum(np.count_nonzero(one.mask) for one in people) == (three > 0).sum()


def ring(side: int, top: int, left: int) -> np.ndarray:
    mask = np.zeros((120, 240), np.uint8)
    mask[top : top + side, left : left + side] = 255
    mask[top + 5 : top + side - 5, left + 5 : left + side - 5] = 0
    return mask


@pytest.mark.parametrize(
    "other",
    [
        canvas((160, 50, 40)),  # too small beside one of 100
        canvas((-18, 10, 100)),  # cut off by the edge
        np.pad(np.full((12, 70), 255, np.uint8), ((80, 28), (160, 10))),  # a car
        np.pad(np.full((90, 5), 255, np.uint8), ((20, 10), (200, 35))),  # a post
        ring(46, top=20, left=180),  # a sign
    ],
)
def test_what_is_no_whole_person_never_becomes_an_asset(other: np.ndarray) -> None:
    main = canvas((90, 10, 100))
    (alone,) = clean_people(np.maximum(main, other), "mask")
    assert "parts dropped: other people?" in alone.notes[0] and np.array_equal(alone.mask, main)


def test_people_who_touch_are_told(tmp_path: Path) -> None:
    mask = canvas((60, 10, 100), (110, 10, 100))
    mask[50:60, 60:170] = 255
    (alone,) = clean_people(mask, "mask")
    assert alone.notes == ("an outline is wider than high: people who touch are taken for one",)


def test_masks_on_their_own_keep_everybody(tmp_path: Path) -> None:
    mask = canvas((10, 30, 80), (150, 10, 100))
    photo = save(tmp_path / "in" / "a.png", Image.fromarray(np.dstack([*[np.full_like(mask, 90)] * 3, mask])))
    out = tmp_path / "masks"
    assert run_batch(mask_batch(MaskOrder((photo,), out, MaskSource("alpha"))), RunCallbacks()).ok == 1
    assert np.array_equal(np.asarray(Image.open(out / "a.png")), mask)
    assert read_records(out)["a.png"].notes == ("2 people",)


def test_find_people_goes_from_left_to_right(tmp_path: Path) -> None:
    mask = canvas((10, 30, 80), (150, 10, 100))
    path = save(tmp_path / "a.png", Image.fromarray(np.dstack([*[np.full_like(mask, 90)] * 3, mask])))
    left, right = find_people(read_image(path), MaskSource("auto"))
    assert np.flatnonzero(left.mask.any(axis=0)).max() < 120 < np.flatnonzero(right.mask.any(axis=0)).min()
    assert left.source == right.source == "alpha" and left.sha256 == right.sha256


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Summary]:
    def do(min_iou: float = 0.0, names: tuple[str, ...] = ("crowd.png", "d/one.png")) -> Summary:
        make_photos(tmp_path / "in", names)
        out = tmp_path / "out"
        job = Job(out, FakeReconstructor, {}, MaskSource("auto"), min_iou, out / "log")
        return run_batch(BatchConfig(list_inputs([tmp_path / "in"], out), job), RunCallbacks())

    return do


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.glb"))


CROWD = ["crowd-person1.glb", "crowd-person2.glb", "crowd-person3.glb"]


def test_one_record_lists_the_assets_of_a_photo(run: Callable[..., Summary], tmp_path: Path) -> None:
    summary, out = run(), tmp_path / "out"
    assert (summary.ok, summary.assets) == (2, 4) and files(out) == [*CROWD, "d/one.glb"]
    crowd, one = read_records(out).values()
    assert [asset.output for asset in crowd.assets] == CROWD and one.people == () and one.assets == (one,)
    assert (crowd.output, crowd.mask_iou) == ("crowd-person3.glb", 0.92)  # of the best
    assert decode(crowd.to_line().encode(), Record) == crowd
    assert [finding for finding in verify(out).findings if finding.rule in ("record", "unrecorded")] == []
    assert [item.name for item in collect_items(out)] == ["crowd-person1", "crowd-person2", "crowd-person3", "d/one"]


def test_resume_looks_at_every_asset(run: Callable[..., Summary], tmp_path: Path) -> None:
    run()
    assert run().skipped == 2
    (tmp_path / "out" / CROWD[1]).write_bytes(b"damaged")
    half_written = tmp_path / "out" / ".crowd-person1.glb.tmp-999999999"
    half_written.touch()
    assert "crowd-person2.glb" in {finding.file for finding in verify(tmp_path / "out").findings}
    again = run()
    assert again.skipped == 1 and not half_written.exists() and files(tmp_path / "out") == [*CROWD, "d/one.glb"]


def test_every_person_is_judged_alone_and_moves_alone(run: Callable[..., Summary], tmp_path: Path) -> None:
    run()
    moved, out = run(0.5), tmp_path / "out"
    assert (moved.ok, moved.rejected, moved.assets) == (2, 0, 3)
    assert files(out) == [CROWD[0], CROWD[2], "d/one.glb", "rejected/crowd-person2.glb"]
    crowd = read_records(out)["crowd.png"]
    assert [asset.status for asset in crowd.assets] == ["ok", "rejected", "ok"] and crowd.status == "ok"
    assert crowd.assets[1].message == "MaskIoU 0.250 of person 2 of crowd.png is below 0.5"
    assert [finding for finding in verify(out).findings if finding.rule in ("record", "unrecorded")] == []
    assert run(0.95).rejected == 2 and run().ok == 2 and files(out) == [*CROWD, "d/one.glb"]


def test_people_who_are_gone_leave_no_meshes(run: Callable[..., Summary], tmp_path: Path, monkeypatch) -> None:
    run()
    monkeypatch.setattr(FakeReconstructor, "prepare", lambda self, item: ((item, read_image(item.path), (1, 1)),))
    Image.new("RGB", (20, 40), (1, 2, 3)).save(tmp_path / "in" / "new.png")
    (tmp_path / "in" / "new.png").replace(tmp_path / "in" / "crowd.png")
    out = tmp_path / "out"
    job = Job(out, FakeReconstructor, {}, MaskSource("auto"), 0.0, out / "log")
    run_batch(BatchConfig(list_inputs([tmp_path / "in"], out), job), RunCallbacks())
    assert files(out) == ["crowd.glb", "d/one.glb"]


def test_a_photo_named_like_a_person_of_another_is_refused_before_work(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png", "a-person2.png"])
    with pytest.raises(UsageError, match=r"a\.png and .*a-person2\.png would both be written to a-person2\.glb, if"):
        list_inputs([tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "a.png").unlink()
    assert len(list_inputs([tmp_path / "in"], tmp_path / "out")) == 1


def test_the_gallery_tells_low_confidence(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(glb_bytes(painted_asset()))
    record = Record("a.png", "ok", output="a.glb", mask_iou=0.9, mask_source="network", mask_quality=0.62)
    (tmp_path / "manifest.jsonl").write_text(record.to_line())
    (item,) = collect_items(tmp_path)
    shown = dict(details(item, None, None))
    assert shown["Mask from"] == "network, guessed, quality 0.62"
    assert shown["Low confidence"] == "its guessed outline has low confidence, quality 0.62"
    assert make_card(item, 0).group == CHECK
    assert make_card(replace(item, low_confidence=None), 0).group == GOOD
