import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from markupsafe import escape
from painted import painted_asset
from PIL import Image

from mmgen import gallery
from mmgen.assets.glb import glb_bytes
from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.core.files import sha256_file
from mmgen.gallery import build_gallery, collect_items
from mmgen.gallery.pages import json_for_html
from mmgen.previews import views
from mmgen.work.records import Record

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{ITEMS}}"


def write_run(folder: Path, records: list[Record], meshes: tuple[str, ...]) -> Path:
    """A run folder with records and GLBs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.jsonl").write_text("".join(record.to_line() for record in records), encoding="utf-8")
    for name in meshes:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(glb_bytes(painted_asset()))
    return folder


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (300, 600), (1, 200, 3)).save(photos / "a.png")
    sha = sha256_file(photos / "a.png")
    records = [
        Record(
            "a.png", "ok", output="a.glb", mask_iou=0.93, ssim=0.71, mask_source="file", root=str(photos),
            input_sha256=sha,
        ),
        Record(f"{HOSTILE}.jpg", "ok", output="b.glb", mask_iou=0.5, root=str(photos)),
        Record("gone.jpg", "failed", "image_truncated", "Copy it again.", "gone.jpg ends early </script><b>"),
        Record(
            "weak.jpg", "rejected", "mask_iou_low", "Check the mask.", "outline 0.9 is low", "rejected/weak.glb",
            mask_iou=0.9,
        ),
    ]  # fmt: skip
    return write_run(tmp_path / "meshes", records, ("a.glb", "b.glb", "rejected/weak.glb", "sub/extra.glb"))


def page_of(folder: Path) -> str:
    """The page for a folder."""
    return build_gallery("A <title>", collect_items(folder)).page.decode()


def script_items(page: str) -> list[dict]:
    """What the page hands to its script."""
    return json.loads(re.search(r'id="items">(.*?)</script>', page, re.DOTALL)[1])


def test_items_join_records_and_files(run_folder: Path) -> None:
    items = {item.name: item for item in collect_items(run_folder)}
    assert list(items) == sorted([HOSTILE, "a", "gone", "sub/extra", "weak"])
    assert items["a"].photo == run_folder.parent / "photos" / "a.png" and items["a"].mask_iou == 0.93
    assert items[HOSTILE].photo is None and items[HOSTILE].glb == run_folder / "b.glb"
    assert items["gone"].glb is None and items["gone"].hint == "Copy it again."
    assert items["weak"].glb == run_folder / "rejected" / "weak.glb"
    assert items["sub/extra"].mask_iou is None and items["sub/extra"].status == "ok"


def test_groups_follow_quality_and_status(run_folder: Path) -> None:
    groups = {item["name"]: item["group"] for item in script_items(page_of(run_folder))}
    assert groups == {"a": "good", HOSTILE: "check", "weak": "check", "gone": "failed", "sub/extra": "good"}


def test_large_view_gets_the_figures(run_folder: Path) -> None:
    details = {item["name"]: dict(item["details"]) for item in script_items(page_of(run_folder))}
    assert details["a"]["Outline (MaskIoU)"] == "0.930" and details["a"]["Likeness (SSIM)"] == "0.710"
    assert details["a"]["Size (w × h × d)"].split(" × ")[1] == "1.70"
    assert details["a"]["Weights"] == "ab" * 6 and details["a"]["Triangles"] == "320"
    assert details["weak"]["Set aside"] == "outline 0.9 is low" and details["weak"]["What to do"] == "Check the mask."
    assert "Outline (MaskIoU)" not in details["sub/extra"]


def test_meshes_are_embedded_unchanged(run_folder: Path) -> None:
    page = page_of(run_folder)
    embedded = re.findall(r'<script type="text/plain" id="glb-(\d)">([^<]*)</script>', page)
    names = [item["name"] for item in script_items(page)]
    assert [names[int(index)] for index, _ in embedded] == [name for name in names if name != "gone"]
    assert all(base64.b64decode(text) == (run_folder / "a.glb").read_bytes() for _, text in embedded)


def test_names_and_messages_are_text_and_nothing_else(run_folder: Path) -> None:
    page = page_of(run_folder)
    assert escape(HOSTILE) in page
    assert "<img src=x" not in page and "<b>" not in page and "A <title>" not in page
    assert page.count("<script") == page.count("</script>") == 5 + 1 + 4
    assert "gone.jpg ends early &lt;/script&gt;&lt;b&gt;" in page and "Copy it again." in page


def test_json_cannot_leave_its_element() -> None:
    data = {"name": "</script><!--<script>&\u2028\udcff"}
    text = json_for_html(data)
    assert not set("<>&\u2028") & set(text) and text.isascii() and json.loads(text) == data
    with pytest.raises(ValueError, match="Out of range float values"):
        json_for_html([float("nan")])


def test_policy_allows_these_scripts_and_no_network(run_folder: Path) -> None:
    page = page_of(run_folder)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "http" not in policy
    assert "img-src data: blob:" in policy and "connect-src" not in policy and "base-uri 'none'" in policy
    for kind, pattern in (("script-src", r"<script>(.*?)</script>"), ("style-src", r"<style>(.*?)</style>")):
        digests = [hashlib.sha256(text.encode()).digest() for text in re.findall(pattern, page, re.DOTALL)]
        allowed = re.search(rf"{kind} ([^;]*)", policy)[1].split()
        assert allowed == [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert not re.search(
        r"(https?:)?//[a-z]", re.sub(r"base64,[^\"]*|<script type.*?</script>|^ *//.*$", "", page, flags=re.M)
    )


def test_same_folder_gives_the_same_bytes(run_folder: Path) -> None:
    assert page_of(run_folder) == page_of(run_folder)


def test_viewer_frames_like_the_previews() -> None:
    viewer = (Path(gallery.__file__).parent / "viewer.js").read_text(encoding="utf-8")
    assert float(re.search(r"const FOCAL = ([\d.]+);", viewer)[1]) == views.FOCAL
    assert float(re.search(r"const FILL = ([\d.]+);", viewer)[1]) == views.FILL
    assert float(re.search(r"elevation: ([\d.]+),", viewer)[1]) == views.ELEVATION_DEG
    assert len(viewer.splitlines()) <= 250


def test_a_run_in_which_everything_failed_is_shown(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "m", [Record("x.jpg", "failed", "oom", "Use less.", "no memory")], ())
    built = build_gallery("m", collect_items(folder))
    assert built.failed == ("x",) and built.shown == () and b"Use less." in built.page


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"no \.glb files in .*\(no_meshes\)"):
        collect_items(tmp_path)
    with pytest.raises(FatalError, match=r"there is no .*absent \(meshes_missing\)"):
        collect_items(tmp_path / "absent")


def test_command_shows_what_it_can_and_exits_3_for_a_bad_mesh(run_folder: Path) -> None:
    (run_folder / "sub" / "extra.glb").write_bytes(b"glTF\x02\0\0\0 cut off")
    out = run_folder.parent / "g.html"
    result = CliRunner().invoke(cli, ["gallery", str(run_folder), "--out", str(out), "--json"])
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert report["shown"] == [HOSTILE, "a", "weak"] and report["failed"] == ["gone"]
    assert [row["error"] for row in report["unreadable"]] == ["glb_malformed"]
    assert "extra.glb" in report["unreadable"][0]["message"] and "extra.glb" in result.stderr
    assert report["bytes"] == out.stat().st_size and "glb_malformed" in out.read_text(encoding="utf-8")


def test_command_takes_one_mesh_and_dry_runs_write_nothing(run_folder: Path) -> None:
    out = run_folder.parent / "g.html"
    arguments = ["gallery", str(run_folder / "a.glb"), "--out", str(out)]
    assert CliRunner().invoke(cli, [*arguments, "--dry-run"]).exit_code == 0
    assert not out.exists()
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert [item["name"] for item in script_items(out.read_text(encoding="utf-8"))] == ["a"]


def test_turntable_command_mirrors_the_tree_and_survives_a_bad_mesh(run_folder: Path) -> None:
    (run_folder / "b.glb").write_bytes(b"no mesh")
    out = run_folder.parent / "turns"
    arguments = ["turntable", str(run_folder), "--out", str(out), "--frames", "3", "--size", "48x32", "--json"]
    planned = CliRunner().invoke(cli, [*arguments, "--dry-run"])
    assert planned.exit_code == 0 and not out.exists()
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 3
    report = json.loads(result.stdout)
    assert report["outputs"] == [str(out / "a.gif"), str(out / "sub" / "extra.gif")]
    assert [row["error"] for row in report["failures"]] == ["glb_malformed"]
    with Image.open(out / "sub" / "extra.gif") as animation:
        assert animation.n_frames == 3 and animation.size == (32, 48)


def test_turntable_of_one_mesh_can_name_its_file(run_folder: Path) -> None:
    out = run_folder.parent / "turn.webp"
    arguments = ["turntable", str(run_folder / "a.glb"), "--out", str(out), "--frames", "2", "--size", "32"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0 and out.is_file()
    contradiction = CliRunner().invoke(cli, [*arguments, "--format", "gif"])
    assert contradiction.exit_code == 2 and "contradict each other" in contradiction.stderr
