"""What a batch run works on."""

from pathlib import Path, PurePath

import pytest
from fakes import make_photos
from PIL import Image

from mmgen.core.errors import FatalError, ItemError
from mmgen.photos.images import read_image
from mmgen.photos.inputs import InputItem, UsageError, list_inputs, refuse_collisions, select
from mmgen.work.records import Shard


def item(name: str, output: str) -> InputItem:
    return InputItem(Path("/in") / name, Path("/in"), PurePath(name), output)


def test_outputs_mirror_the_tree_in_sorted_order(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["b.png", "sub.d/a.b.jpg", "a.png"])
    items = list_inputs([tmp_path / "in"], tmp_path / "out")
    assert [one.name for one in items] == ["a.png", "b.png", "sub.d/a.b.jpg"]
    assert [one.output for one in items] == ["a.glb", "b.glb", "sub.d/a.b.glb"]
    assert items[2].rejected_output == "rejected/sub.d/a.b.glb"
    assert {one.root for one in items} == {tmp_path / "in"}
    assert all(one.root / one.relative == one.path for one in items)


def test_names_that_are_no_text_get_printable_outputs(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["x\udcff.png", "line\nbreak.png"])
    items = list_inputs([tmp_path / "in"], tmp_path / "out")
    assert [one.output for one in items] == ["line%0Abreak.glb", "x%FF.glb"]
    assert [one.name for one in items] == ["line\\nbreak.png", "x\\xff.png"]


def test_an_output_folder_and_masks_inside_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    make_photos(tmp_path, ["a.png", "out/preview.png", "sil/a.png", "out2/c.png"])
    items = list_inputs([tmp_path], tmp_path / "out", [tmp_path / "sil"])
    assert [one.name for one in items] == ["a.png", "out2/c.png"]


def test_an_output_folder_around_the_inputs_hides_nothing(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", ["a.png"])
    assert [one.output for one in list_inputs([tmp_path / "photos"], tmp_path)] == ["a.glb"]


@pytest.mark.parametrize("names", [("Ab.png", "aB.png"), ("caf\u00e9.png", "cafe\u0301.png")])
def test_two_photos_for_one_output_are_refused_with_both_names(tmp_path: Path, names: tuple[str, str]) -> None:
    make_photos(tmp_path / "in", names)
    with pytest.raises(UsageError, match="would both be written to") as caught:
        list_inputs([tmp_path / "in"], tmp_path / "out")
    assert all(name in caught.value.message for name in names)


def test_names_that_differ_in_the_suffix_alone_keep_it(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.jpg", "a.png", "b.png", "c/a.png"])
    items = list_inputs([tmp_path / "in"], tmp_path / "out")
    assert [one.output for one in items] == ["a.jpg.glb", "a.png.glb", "b.glb", "c/a.glb"]


def test_photos_of_kinds_that_are_not_read_are_listed_and_named(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png"])
    for name, data in {"b.HEIC": b"\0\0\0\x18ftypheic" + bytes(64), "c.psd": b"8BPS" + bytes(64)}.items():
        (tmp_path / "in" / name).write_bytes(data)
    Image.new("RGB", (40, 80)).save(tmp_path / "in" / "d.tif")
    (tmp_path / "in" / "d.tif").rename(tmp_path / "in" / "d.dng")
    items = list_inputs([tmp_path / "in"], tmp_path / "out")
    assert [one.name for one in items] == ["a.png", "b.HEIC", "c.psd", "d.dng"]
    for one in items[1:]:
        with pytest.raises(ItemError, match=f"{one.name} is a .*HEIC|{one.name} is a photo of a kind") as caught:
            read_image(one.path)
        assert (caught.value.code, caught.value.hint) == ("image_not_supported", "Save it as JPEG or PNG.")


def test_a_folder_called_rejected_cannot_meet_rejected_assets() -> None:
    with pytest.raises(UsageError, match=r"would both be written to rejected/a\.glb"):
        refuse_collisions([item("a.png", "a.glb"), item("rejected/a.png", "rejected/a.glb")], Path("/out"))


def test_an_output_never_replaces_an_input() -> None:
    with pytest.raises(UsageError, match="would replace an input file"):
        refuse_collisions([item("a.glb", "a.glb")], Path("/in"))


def test_bad_command_lines(tmp_path: Path) -> None:
    make_photos(tmp_path / "in", ["a.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="nowhere does not exist"):
        list_inputs([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(UsageError, match="list does not exist"):
        list_inputs([tmp_path / "@list"], tmp_path / "out")
    with pytest.raises(UsageError, match="is the input folder"):
        list_inputs([tmp_path / "in"], tmp_path / "empty" / ".." / "in")
    with pytest.raises(UsageError, match="is a file"):
        list_inputs([tmp_path / "in"], tmp_path / "in" / "a.png")
    with pytest.raises(FatalError, match="no photos in"):
        list_inputs([tmp_path / "empty"], tmp_path / "out")
    make_photos(tmp_path / "all" / "out", ["a.png"])
    with pytest.raises(FatalError, match=r"no photos in .* outside"):
        list_inputs([tmp_path / "all"], tmp_path / "all" / "out")


def test_lists_name_photos_below_themselves(tmp_path: Path) -> None:
    make_photos(tmp_path, ["s/a.png", "t/a.png"])
    (tmp_path / "list").write_text("s/a.png\nt/a.png\nt/missing.png\n")
    items = list_inputs([tmp_path / "@list"], tmp_path / "out")
    assert [one.output for one in items] == ["s/a.glb", "t/a.glb", "t/missing.glb"]


@pytest.mark.parametrize("limit", [None, 5, 100])
def test_parts_split_the_inputs(limit: int | None) -> None:
    items = [item(f"{index:02}.png", f"{index:02}.glb") for index in range(11)]
    parts = [select(items, Shard(index, 3), limit) for index in range(3)]
    assert sorted((one for part in parts for one in part), key=lambda one: one.name) == items[:limit]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert select(items, Shard(), limit) == items[:limit]
