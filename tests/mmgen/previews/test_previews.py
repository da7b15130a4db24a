import stat
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from painted import BLUE, RED, count_colour, painted_asset
from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.previews import (
    SheetRow,
    View,
    check_animation,
    contact_sheet,
    render_asset,
    render_cutout,
    save_animation,
    sweep_frames,
)
from mmgen.previews.animation import evolution_frames
from mmgen.previews.sheet import CELL, GAP, MARGIN, TITLE_HEIGHT

SIZE = (96, 64)
SHADOW_ALPHA = 90
"""Above the darkest alpha that the shadow alone can have."""


def red_column(picture: np.ndarray) -> float:
    """Mean column of the red mark."""
    is_red = np.abs(picture[..., :3].astype(int) - np.array(RED)).max(axis=-1) <= 40
    return float(np.nonzero(is_red)[1].mean())


def test_azimuth_0_sees_the_front_and_180_the_back() -> None:
    front, back = (render_asset(painted_asset(), azimuth, SIZE) for azimuth in (0, 180))
    assert count_colour(front, RED) > 100 and count_colour(front, BLUE) == 0
    assert count_colour(back, BLUE) > 100 and count_colour(back, RED) == 0


def test_positive_azimuth_moves_the_camera_to_plus_x() -> None:
    middle, turned = (red_column(render_asset(painted_asset(), azimuth, SIZE)) for azimuth in (0, 30))
    assert abs(middle - (SIZE[1] - 1) / 2) < 0.6
    assert turned < middle - 2  # seen from the person's left, the front lies further left in the picture


def test_positive_elevation_sees_more_of_the_floor_behind() -> None:
    low, high = (render_cutout(painted_asset(), 0, SIZE, elevation) for elevation in (5, 40))
    rows = [np.nonzero(((cutout[..., 3] > 0) & (cutout[..., 0] == 0)).any(axis=1))[0] for cutout in (low, high)]
    assert np.ptp(rows[1]) > 1.5 * np.ptp(rows[0]) > 0


def test_no_shadow_when_seen_from_below_the_floor() -> None:
    cutout = render_cutout(painted_asset(), 0, SIZE, -30)
    columns = np.nonzero((cutout[..., 3] > 0).any(axis=0))[0]
    body = np.nonzero((cutout[..., 3] == 255).any(axis=0))[0]
    assert columns.min() >= body.min() - 1 and columns.max() <= body.max() + 1


@pytest.mark.parametrize("stretch", [(1, 1, 1), (3, 1, 1), (1, 1, 4), (1, 0.2, 1), (50, 50, 50)])
def test_every_view_holds_the_whole_asset(stretch: tuple[float, float, float]) -> None:
    asset = painted_asset()
    stretched = Asset("s", asset.vertices * np.float32(stretch), asset.faces, asset.face_uv, asset.texture)
    for azimuth in (0, 45, 90):
        solid = render_cutout(stretched, azimuth, SIZE, 0)[..., 3] > SHADOW_ALPHA
        assert solid.any()
        assert not (solid[0].any() or solid[-1].any() or solid[:, 0].any() or solid[:, -1].any())


def test_size_in_metres_does_not_change_the_picture() -> None:
    small, large = (render_asset(painted_asset(height_m=height), 20, SIZE).astype(int) for height in (0.017, 170.0))
    assert np.abs(small - large).mean() < 0.1


def test_edges_are_smooth_and_colours_not_multiplied() -> None:
    cutout = render_cutout(painted_asset(), 0, SIZE, -30)  # from below: no shadow mixes in
    edge = (cutout[..., 3] > SHADOW_ALPHA) & (cutout[..., 3] < 255)
    assert edge.sum() > 20
    assert np.abs(cutout[edge][:, :3].astype(int) - 150).max() <= 3  # the grey of the sides, however thin the cover


def test_texture_coordinates_wrap() -> None:
    plain, shifted = (render_asset(painted_asset(v_shift=shift), 20, SIZE).astype(int) for shift in (0.0, -1.0))
    assert np.abs(plain - shifted).max() <= 1


def test_turntable_steps_evenly_and_never_shows_the_front_twice() -> None:
    frames = list(sweep_frames(painted_asset(), "azimuth", View(), 8, SIZE))
    assert len(frames) == 8
    assert np.array_equal(frames[0], render_asset(painted_asset(), 0, SIZE))
    assert np.array_equal(frames[2], render_asset(painted_asset(), 90, SIZE))
    assert np.array_equal(frames[7], render_asset(painted_asset(), 315, SIZE))


def red_extent(picture: np.ndarray) -> np.ndarray:
    """Mean row, mean column and number of pixels of the red mark."""
    rows, columns = np.nonzero(np.abs(picture[..., :3].astype(int) - np.array(RED)).max(axis=-1) <= 40)
    return np.array([rows.mean(), columns.mean(), len(rows)])


@pytest.mark.parametrize("sweep", ["elevation", "distance", "x", "y"])
def test_sweeps_move_one_thing_there_and_back(sweep) -> None:
    frames = list(sweep_frames(painted_asset(), sweep, View(), 8, SIZE))
    assert np.array_equal(frames[1], frames[7] if sweep in ("elevation", "distance") else frames[3])  # closes
    a, b = (red_extent(frames[index]) for index in ((0, 4) if sweep in ("elevation", "distance") else (6, 2)))
    nearer = pytest.approx(1.05, abs=0.05)  # the mark is nearer than the middle, so it goes a little further
    if sweep == "x":  # from the left to the right, 0.5 half widths each way
        assert abs(b[0] - a[0]) < 1 and (b[1] - a[1]) / (0.5 * SIZE[1]) == nearer
    elif sweep == "y":
        assert abs(b[1] - a[1]) < 0.6 and (a[0] - b[0]) / (0.45 * SIZE[0]) == nearer
    elif sweep == "distance":
        assert np.abs(b[:2] - a[:2]).max() < 4 and a[2] > 10 * b[2]
    else:
        for frame, elevation_deg in ((frames[0], -20), (frames[4], 60)):
            assert np.array_equal(frame, render_asset(painted_asset(), 0, SIZE, elevation_deg))


def test_whoever_moves_does_not_move_the_camera() -> None:
    asset = painted_asset()
    reaching = asset.vertices.copy()
    reaching[reaching[:, 0].argmax(), 0] += 0.5
    still, moved = sweep_frames(asset, "x", View(), 2, SIZE, np.stack([asset.vertices, reaching]))
    assert red_extent(moved) == pytest.approx(red_extent(still), abs=0.5)
    assert red_extent(still)[2] < red_extent(render_asset(asset, 0, SIZE))[2], "there is room for the hand"
    assert np.array_equal(moved, render_asset(replace(asset, vertices=reaching), 0, SIZE))


def test_a_run_folder_becomes_an_animation_of_its_template(tmp_path) -> None:
    pictures = tmp_path / "run" / "pictures"
    pictures.mkdir(parents=True)
    for step, level in ((900, 50), (20, 120), (10000, 200)):  # names sort as text in another order
        Image.new("RGB", (60, 20), (level,) * 3).save(pictures / f"template-{step}.png")
    Image.new("RGB", (60, 20)).save(pictures / "photos-0000020.png")
    out = tmp_path / "evolution.gif"
    done = CliRunner().invoke(cli, ["turntable", str(tmp_path / "run"), "--out", str(out), "--fps", "4"])
    assert done.exit_code == 0 and done.stdout == f"{out}\n"
    with Image.open(out) as animation:
        levels = [np.asarray(animation.seek(i) or animation.convert("RGB"))[-30, 40, 0] for i in range(3)]
        assert levels == pytest.approx([120, 50, 200], abs=4)
    (pictures / "template-900.png").unlink()
    (pictures / "template-20.png").unlink()
    with pytest.raises(
        FatalError, match=r"run has 1 pictures of its template; .* two or more \(run_without_pictures\)"
    ):
        evolution_frames(tmp_path / "run")
    (pictures / "template-0000007.png").write_bytes(b"no picture")
    with pytest.raises(FatalError, match=r"template-0000007\.png .*\(picture_unreadable\)"):
        evolution_frames(tmp_path / "run")


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animations_keep_frames_pace_and_loop(tmp_path, kind: str) -> None:
    frames = list(sweep_frames(painted_asset(), "azimuth", View(), 6, SIZE))
    path = tmp_path / f"turn.{kind}"
    save_animation(path, frames, fps=20)
    again = tmp_path / f"again.{kind}"
    save_animation(again, frames, fps=20)
    assert path.read_bytes() == again.read_bytes()
    with Image.open(path) as animation:
        assert animation.n_frames == 6 and animation.info["loop"] == 0 and animation.size == SIZE[::-1]
        for index, frame in enumerate(frames):
            animation.seek(index)
            animation.load()
            assert animation.info["duration"] == 50
            shown = np.asarray(animation.convert("RGB")).astype(int)
            assert np.abs(shown - frame).mean() < 6


def test_mp4_gets_every_pixel_in_even_sizes(tmp_path, monkeypatch) -> None:
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/arguments"\n/bin/cat\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    frames = [np.full((33, 21, 3), level, dtype=np.uint8) for level in (0, 128, 255)]
    save_animation(tmp_path / "turn.mp4", frames, fps=24)
    written = np.frombuffer((tmp_path / "turn.mp4").read_bytes(), dtype=np.uint8).reshape(3, 32, 20, 3)
    assert [int(frame.mean()) for frame in written] == [0, 128, 255]
    assert "-s 20x32 -r 24" in (program.parent / "arguments").read_text()


def test_failing_ffmpeg_leaves_no_file(tmp_path, monkeypatch) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n/bin/cat > /dev/null\necho 'no such codec' >&2\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FatalError, match=r"could not make the mp4: no such codec \(ffmpeg_failed\)"):
        save_animation(tmp_path / "turn.mp4", [np.zeros((4, 4, 3), dtype=np.uint8)], fps=10)
    assert not (tmp_path / "turn.mp4").exists()


def test_missing_ffmpeg_and_unknown_suffixes_are_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FatalError, match=r"not on PATH \(ffmpeg_missing\)\. Install ffmpeg, or make a gif"):
        check_animation(tmp_path / "turn.mp4")
    with pytest.raises(FatalError, match=r"turn\.avi is no \.gif, \.webp or \.mp4 \(animation_format\)"):
        save_animation(tmp_path / "turn.avi", [np.zeros((4, 4, 3), dtype=np.uint8)], fps=10)


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    """One picture of a contact sheet."""
    top = MARGIN + TITLE_HEIGHT + row * ((sheet.shape[0] - 2 * MARGIN - TITLE_HEIGHT + GAP) // 2)
    left = MARGIN + column * (CELL[1] + GAP)
    return sheet[top : top + CELL[0], left : left + CELL[1]]


def test_contact_sheet_shows_photo_same_view_and_turns() -> None:
    photo = np.zeros((100, 50, 3), dtype=np.uint8)
    photo[...] = (10, 200, 30)
    rows = [
        SheetRow("first " + "x" * 500, painted_asset(), photo, azimuth_deg=180.0),
        SheetRow("√ second", painted_asset()),
    ]
    sheet = contact_sheet(rows, turns_deg=(0.0, 180.0))
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 2 * MARGIN + 4 * (CELL[1] + GAP) - GAP
    assert count_colour(cell(sheet, 0, 0), (10, 200, 30), 2) == 144 * 288  # whole, in its own proportions
    assert count_colour(cell(sheet, 1, 0), (10, 200, 30), 2) == 0
    assert count_colour(cell(sheet, 0, 1), BLUE) > 1000  # the photo was taken from behind
    assert count_colour(cell(sheet, 1, 1), RED) > 1000
    for row in (0, 1):
        assert count_colour(cell(sheet, row, 2), RED) > 1000 and count_colour(cell(sheet, row, 2), BLUE) == 0
        assert count_colour(cell(sheet, row, 3), BLUE) > 1000 and count_colour(cell(sheet, row, 3), RED) == 0
    assert (sheet[:, -MARGIN:] == 255).all()  # the long caption stays inside
    assert np.array_equal(sheet, contact_sheet(rows, turns_deg=(0.0, 180.0)))
