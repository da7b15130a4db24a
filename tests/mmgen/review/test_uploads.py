"""Photos and zips from strangers: no name leaves the folder, nothing unpacks without end, nothing is replaced."""

import io
import struct
import zipfile

import pytest
from PIL import Image

from mmgen.review import limits
from mmgen.review.uploads import receive_file


def picture(colour=(10, 20, 30), kind="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 40), colour).save(buffer, kind)
    return buffer.getvalue()


def received(tmp_path, name, data):
    content = tmp_path / "content"
    content.write_bytes(data)
    return list(receive_file(tmp_path / "photos", name, content))


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def files(tmp_path):
    return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("anna.png", "anna.png"),
        ("../../anna.png", "anna.png"),
        ("/etc/anna.png", "etc/anna.png"),
        ("//{}/out/anna.png", "{}/out/anna.png"),  # for pathlib, two slashes are a root of their own
        ("\\\\{}\\out\\anna.png", "{}/out/anna.png"),
        ("a//b///anna.png", "a/b/anna.png"),
        ("a\\..\\anna.png", "a/anna.png"),
        ("shoot/anna.PNG", "shoot/anna.png"),
        (".mmgen/anna.png", "mmgen/anna.png"),
        ("<b>x.png", "<b>x.png"),
        ("a\nb.png", "a%0Ab.png"),
    ],
)
def test_no_name_leaves_the_folder(tmp_path, name, place):
    name, place = (text.replace("{}", str(tmp_path).lstrip("/")) for text in (name, place))
    [one] = received(tmp_path, name, picture())
    assert one.relative == place and one.error is None
    assert files(tmp_path) == sorted(["content", f"photos/{place}"])


def test_the_same_photo_is_kept_once_and_another_of_its_name_gets_a_number(tmp_path):
    first, again = (received(tmp_path, "anna.png", picture())[0] for _ in range(2))
    other = received(tmp_path, "Anna.jpg", picture((1, 2, 3), "JPEG"))[0]
    assert (first.relative, again.relative, other.relative) == ("anna.png", "anna.png", "Anna-2.jpg")


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "upload_unknown_kind"),
        ("x.html", b"<script>", "upload_unknown_kind"),
        ("x.jpg", b"<script>alert(1)</script>", None),
        ("x.png", picture()[:40], None),
        ("noname", picture(), "upload_unknown_kind"),
        ("", picture(), "upload_unknown_kind"),
    ],
)
def test_what_is_no_photo_is_refused_and_leaves_nothing(tmp_path, name, data, code):
    [one] = received(tmp_path, name, data)
    assert one.relative is None and one.error is not None and code in (None, one.error.code)
    assert files(tmp_path) == ["content"]


def test_a_zip_gives_its_photos_and_nothing_else(tmp_path):
    data = zipped(
        {"../a.png": picture(), "in/b.png": picture((9, 9, 9)), "notes.txt": b"hello", ".hidden.png": picture()}
    )
    assert [one.relative for one in received(tmp_path, "photos.zip", data)] == ["a.png", "in/b.png"]
    assert files(tmp_path) == ["content", "photos/a.png", "photos/in/b.png"]


def test_bad_zips_are_said(tmp_path, monkeypatch):
    assert received(tmp_path, "a.zip", b"PK no zip")[0].error.code == "zip_damaged"
    assert received(tmp_path, "a.zip", zipped({"x.txt": b""}))[0].error.code == "zip_empty"
    monkeypatch.setattr(limits, "ZIP_PHOTOS", 1)
    assert received(tmp_path, "a.zip", zipped({"a.png": b"", "b.png": b""}))[0].error.code == "zip_too_large"
    monkeypatch.setattr(limits, "ZIP_PHOTOS", 10)
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 10**6)
    bomb = received(tmp_path, "a.zip", zipped({"a.png": bytes(9 * 10**5), "b.png": bytes(9 * 10**5)}))
    assert [one.error.code for one in bomb] == ["zip_too_large"] and files(tmp_path) == ["content"]


def test_a_damaged_member_costs_itself_alone(tmp_path):
    data = bytearray(zipped({"a.png": picture(), "b.png": picture((7, 7, 7))}))
    data[data.index(b"a.png") + 12] ^= 0xFF
    [bad, good] = received(tmp_path, "a.zip", bytes(data))
    assert bad.error is not None and good.relative == "b.png"


def test_what_cannot_be_kept_or_unpacked_says_so_and_the_rest_is_taken(tmp_path):
    [one] = received(tmp_path, "x" * 300 + ".png", picture())
    assert one.error.code == "upload_not_kept" and "too long" in one.error.message
    data = bytearray(zipped({"bad.png": bytes(5000), "good.png": picture()}))
    data[data.index(b"bad.png") + len("bad.png")] = 0xFF  # no block of deflate begins so
    first, second = received(tmp_path, "both.zip", bytes(data))
    assert (first.name, first.error.code) == ("bad.png", "zip_damaged") and second.relative == "good.png"
    [empty] = received(tmp_path, "empty.zip", zipped({}))
    assert (empty.name, empty.error.code) == ("empty.zip", "zip_empty")


def test_a_table_of_contents_without_end_is_not_read(tmp_path):
    """A zip of 14 MB has room for 300,000 names, and reading them took 19 s."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 7, 5, *[0] * 6) + b"a.png"
    table = entry * (limits.ZIP_TABLE_BYTES // len(entry) + 1)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(table), 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(table), 1)
    ends = [
        struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, len(table), 0, 0),
        wide + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0),
    ]
    for end in ends:
        [one] = received(tmp_path, "a.zip", table + end)
        assert one.error is not None and one.error.code == "zip_too_large" and "table of contents" in one.error.message
