"""Which files are listed, in which order, under which names."""

import json
import os
from pathlib import Path, PurePath

import pytest

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.listing import ImageFile, display_name, list_images
from mmgen.core.places import check_relative
from mmgen.photos.images import read_image
from mmgen.synth.dataset import INDEX_NAME
from mmgen.synth.sheet import SHEET_NAME


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def relatives(*inputs: Path) -> list[str]:
    return [item.relative.as_posix() for item in list_images(inputs)]


def test_folders_give_images_in_order_and_nothing_else(tmp_path: Path) -> None:
    names = ["b.JPG", "a.png", "sub/c.webp", "sub/deep/d.Tiff", "notes.md", "Thumbs.db", ".hidden.png", ".mmgen/p.png"]
    touch(*(tmp_path / name for name in names))
    assert relatives(tmp_path) == ["a.png", "b.JPG", "sub/c.webp", "sub/deep/d.Tiff"]
    assert list_images([tmp_path])[2] == ImageFile(PurePath("sub/c.webp"), tmp_path / "sub/c.webp")


def test_masks_and_truth_are_no_photos(tmp_path: Path) -> None:
    names = ["a.jpg", "a_mask.png", "b.jpg", "b.mask.png", "c.JPG", "C_Mask.png", "masks/a.png", "x/truth/a.png"]
    touch(*(tmp_path / name for name in names), tmp_path / "face_mask.jpg")
    assert relatives(tmp_path) == ["C_Mask.png", "a.jpg", "b.jpg", "c.JPG", "face_mask.jpg"]


def test_the_overview_of_a_data_set_is_no_photo_but_a_photo_of_that_name_is(tmp_path: Path) -> None:
    names = ["synth/query/a.jpg", f"synth/{SHEET_NAME}", f"synth/{INDEX_NAME}", f"mine/{SHEET_NAME}"]
    touch(*(tmp_path / name for name in names))
    assert relatives(tmp_path) == [f"mine/{SHEET_NAME}", "synth/query/a.jpg"]


def test_a_folder_named_masks_is_listed_when_it_is_asked_for(tmp_path: Path) -> None:
    touch(tmp_path / "masks" / "a.png")
    assert relatives(tmp_path / "masks") == ["a.png"]


def test_each_file_once_whichever_way_it_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "s" / "a.png")
    assert relatives(tmp_path, tmp_path / "s" / "a.png", tmp_path / "s") == ["s/a.png"]


def test_link_loops_end_and_linked_folders_are_read(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "a.png", tmp_path / "else" / "b.png")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "more").symlink_to(tmp_path / "else", target_is_directory=True)
    assert relatives(tmp_path / "in") == ["a.png", "more/b.png"]


def test_a_missing_file_is_an_item_not_the_end(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    items = list_images([tmp_path, tmp_path / "gone.jpg"])
    assert [item.relative.name for item in items] == ["a.png", "dangling.png", "gone.jpg"]


def test_an_unreadable_folder_is_an_item_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a.png", tmp_path / "locked" / "b.png")
    scandir = os.scandir

    def refuse_locked(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_locked)
    monkeypatch.setattr(Path, "iterdir", lambda path: refuse_locked(path))
    items = list_images([tmp_path])
    assert [item.relative.name for item in items] == ["a.png", "locked"]
    with pytest.raises(ItemError, match="locked cannot be listed"):
        read_image(items[1].path)


def test_list_files(tmp_path: Path) -> None:
    touch(tmp_path / "p" / "a.png", tmp_path / "b.png", tmp_path / "c.data", tmp_path.parent / "outside.png")
    text = "\ufeff# photos\r\np/a.png\r\n\r\n  b.png \n../outside.png\n"
    (tmp_path / "list.txt").write_bytes(text.encode())
    (tmp_path / "files").write_text("c.data\n")
    rows = [{"path": "b.png"}, {"image": "p/a.png", "identity": 3}, "c.data"]
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert relatives(tmp_path / "list.txt") == ["b.png", "outside.png", "p/a.png"]
    assert relatives(tmp_path / "@list.txt") == ["b.png", "outside.png", "p/a.png"]
    assert relatives(tmp_path / "@files") == ["c.data"]
    assert relatives(tmp_path / "list.jsonl") == ["b.png", "c.data", "p/a.png"]


@pytest.mark.parametrize("line", ["{not json", '{"file": "a.png"}', "3", '{"path": 3}'])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.jsonl").write_text(f'"a.png"\n{line}\n')
    with pytest.raises(FatalError, match=r"list\.jsonl, line 2, names no file") as caught:
        list_images([tmp_path / "list.jsonl"])
    assert caught.value.code == "list_invalid"


def test_a_missing_list_is_fatal(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"the list .*none cannot be read: No such file") as caught:
        list_images([tmp_path / "@none"])
    assert caught.value.code == "list_unreadable"


def test_nothing_found_is_fatal_and_says_what_was_looked_for(tmp_path: Path) -> None:
    touch(tmp_path / "notes.md")
    with pytest.raises(FatalError, match=r"no photos in .*\.webp") as caught:
        list_images([tmp_path])
    assert caught.value.code == "no_images"
    with pytest.raises(FatalError, match="no photos in no input"):
        list_images([])


def test_undecodable_names_are_listed_and_displayable(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.png"
    touch(Path(os.fsdecode(raw)))
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.png\n")
    for item in (*list_images([tmp_path]), *list_images([tmp_path / "list.txt"])):
        assert os.fsencode(item.path) == raw
        assert display_name(item.path).endswith("/caf\\xe9.png")


def test_display_name_is_one_line() -> None:
    assert display_name("a\nb\x1b[31m.png") == "a\\nb\\x1b[31m.png"
    assert display_name(Path("Zoë/naïve 写真.png")) == "Zoë/naïve 写真.png"


@pytest.mark.parametrize("height", ["tall", True, 0.05, 182])
def test_heights_in_lists_are_metres(tmp_path: Path, height: object) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "list.jsonl").write_text('{"path": "a.png", "height_m": 1.82}')
    assert list_images([tmp_path / "list.jsonl"])[0].height_m == 1.82
    (tmp_path / "list.jsonl").write_text(json.dumps({"path": "a.png", "height_m": height}))
    with pytest.raises(FatalError, match=r"list\.jsonl, line 1: height_m is") as caught:
        list_images([tmp_path / "list.jsonl"])
    assert "from 0.1 to 10" in caught.value.hint


@pytest.mark.parametrize("line", ["/", "//", "a\0b.png"])
def test_a_line_that_names_no_file_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "list.txt").write_text(f"a.png\n{line}\n")
    with pytest.raises(FatalError, match=r"list\.txt, line 2, names no file"):
        list_images([tmp_path / "list.txt"])


@pytest.mark.parametrize("line", [".", "..", "../..", "sub/..", "sub/."])
def test_a_folder_in_a_list_has_a_name(tmp_path: Path, line: str) -> None:
    """Named `.`, its failure would be a record that no later run can read."""
    (tmp_path / "deep" / "sub").mkdir(parents=True)
    (tmp_path / "deep" / "list.txt").write_text(f"{line}\n")
    [found] = list_images([tmp_path / "deep" / "list.txt"])
    check_relative(found.relative.as_posix())


def test_an_input_folder_that_cannot_be_read_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refused)
    assert [str(one.relative) for one in list_images([tmp_path])] == [tmp_path.name]
