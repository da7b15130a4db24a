"""Cloth from photos: the piece that is cloth, in even light, the right way up, and kept apart by split."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.core.listing import path_of_name
from mmgen.synth import NEUTRAL, CrowdOptions, body_mesh, identity, person_pictures
from mmgen.synth.cloth import KINDS, TEXELS, check_cloth, cloth_digest, cloth_photos, in_cloth, swatch
from mmgen.synth.outfit import PHOTO_PRINT
from mmgen.synth.palette import Fabric

RED, BLUE = (200, 30, 30), (30, 30, 200)


def photo(path: Path, seed: int) -> Path:
    """A red garment with blue lines on a grey floor, lit from the left, its upper half lighter."""
    generator = np.random.default_rng(seed)
    picture = np.full((160, 120, 3), 128.0)
    picture[20:140, 20:100] = RED
    picture[20:140, 20:100:7] = BLUE
    picture *= np.linspace(1.15, 0.6, 120)[None, :, None]
    picture += generator.normal(0, 2, picture.shape)
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of dresses and trousers."""
    made = tmp_path_factory.mktemp("cloth")
    for number in range(8):
        photo(made / f"{('dress', 'pants')[number % 2]}_{number}.png", number)
    (made / "split.csv").write_text("name,class,split")
    return made


def test_a_piece_is_cloth_in_even_light(folder: Path) -> None:
    piece = swatch(folder / "dress_0.png", "dress")
    assert piece.shape == (TEXELS, TEXELS, 3) and 0 <= piece.min() and piece.max() <= 1
    left, right = piece[:, : TEXELS // 2].mean(), piece[:, TEXELS // 2 :].mean()
    assert abs(left / right - 1) < 0.06, "the photo itself is a fifth lighter on the left"
    assert (piece[..., 1].mean(axis=0) < 0.4).all(), "no floor"
    assert piece[..., 2].std() > 0.05, "the lines are there"


def test_photos_are_kept_apart_by_split(folder: Path, tmp_path: Path) -> None:
    train, test = cloth_photos(folder, "train"), cloth_photos(folder, "test")
    assert train and test and not set(train) & set(test) and len(train) + len(test) == 8
    with pytest.raises(FatalError, match="no photos of cloth for train people"):
        cloth_photos(tmp_path, "train")


def test_people_wear_what_suits_them_and_the_same_again(folder: Path) -> None:
    people = [in_cloth(identity(0, "train", index, "world"), 0, folder) for index in range(40)]
    assert people == [in_cloth(identity(0, "train", index, "world"), 0, folder) for index in range(40)]
    assert 10 < sum(who.outfit.bottom_fabric.photo is not None for who in people) < 35
    for who in people:
        if who.outfit.bottom_fabric.photo is not None:
            assert who.outfit.bottom_fabric.photo.startswith(
                "dress" if who.outfit.bottom in ("skirt", "dress") else "pants"
            )
        if who.outfit.bottom == "dress":
            assert who.outfit.top_fabric == who.outfit.bottom_fabric


def test_cloth_is_seen_on_the_person(folder: Path) -> None:
    who = identity(0, "train", 3)
    fabric = Fabric("photo", (0.5, 0.1, 0.1), (0.5, 0.1, 0.1), 0.3, 0.0, "pants_1.png")
    outfit = replace(who.outfit, bottom="trousers", bottom_fabric=fabric, outer="none", side_stripe=False)
    mesh = body_mesh(replace(who, outfit=outfit), NEUTRAL, 0.03, cloth=folder)
    legs = mesh.colors[(np.abs(mesh.vertices[:, 1] + 0.35) < 0.2) & (np.abs(mesh.vertices[:, 0]) < 0.2)]
    assert legs[:, 1].max() < 0.4 and legs[:, 0].mean() > 0.3 and legs[:, 2].max() > legs[:, 2].min() + 0.2


def test_a_print_is_the_right_way_up_and_not_mirrored(tmp_path: Path) -> None:
    """Red above and blue on the viewer's left, as in the photo."""
    picture = np.full((100, 100, 3), 90, np.uint8)
    picture[:50, 50:], picture[50:, :50] = RED, BLUE
    Image.fromarray(picture).save(tmp_path / "t-shirt_1.png")
    who = identity(0, "train", 3)
    outfit = replace(who.outfit, top="tshirt", outer="none", logo=PHOTO_PRINT, logo_photo="t-shirt_1.png",
                     logo_size_m=0.12, neckline_m=0.0, bag="none", scarf=False)  # fmt: skip
    mesh = body_mesh(replace(who, outfit=outfit), NEUTRAL, 0.02, cloth=tmp_path)
    chest = mesh.vertices - mesh.skeleton.origin[1] - [0, 0.5 * mesh.skeleton.proportions.shoulder_up, 0]
    front = (mesh.vertices[:, 2] > 0.05) & (np.abs(chest[:, :2]) < 0.1).all(axis=1)
    redness, blueness = (mesh.colors[:, a] - mesh.colors[:, b] > 0.4 for a, b in ((0, 2), (2, 0)))
    red, blue = chest[front & redness], chest[front & blueness]
    assert len(red) > 4 and len(blue) > 4
    assert red[:, 1].mean() > blue[:, 1].mean() + 0.04 and red[:, 0].mean() > blue[:, 0].mean() + 0.04


def test_without_photos_nothing_changes(folder: Path) -> None:
    plain = CrowdOptions(views=1, poses=1, height=32, width=16, step_m=0.04)
    first, second = (next(person_pictures(options, "train", 0)) for options in (plain, replace(plain, cloth=folder)))
    assert first.picture.truth.vertices.shape == second.picture.truth.vertices.shape
    assert np.array_equal(first.picture.mask, second.picture.mask)


def test_the_command_names_the_folder_by_its_contents(folder: Path, tmp_path: Path) -> None:
    arguments = ["--identities", "1", "--views", "1", "--height", "32", "--test-fraction", "0", "--workers", "1"]
    result = CliRunner().invoke(cli, ["synth", str(tmp_path / "out"), "--cloth", str(folder), *arguments])
    assert result.exit_code == 0, result.output
    index = json.loads((tmp_path / "out" / "synth.json").read_text())
    assert len(index["settings"]["cloth"]) == 16 and str(folder) not in json.dumps(index)
    (tmp_path / "bad").mkdir()
    for number in range(6):
        (tmp_path / "bad" / f"{number}.jpg").write_bytes(b"holiday")
    broken = CliRunner().invoke(cli, ["synth", str(tmp_path / "no"), "--cloth", str(tmp_path / "bad"), *arguments])
    assert broken.exit_code == 4 and "cannot be used" in broken.stderr


def test_names_that_are_no_utf_8_are_escaped_in_the_index(folder: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff\xfe.png")
    cloth = tmp_path / "cloth"
    cloth.mkdir()
    (cloth / odd).write_bytes((folder / "dress_0.png").read_bytes())
    share = "0" if cloth_of_train(cloth) else "1"
    arguments = ["--identities", "4", "--views", "1", "--height", "32", "--test-fraction", share, "--workers", "1"]
    result = CliRunner().invoke(cli, ["synth", str(tmp_path / "out"), "--cloth", str(cloth), *arguments])
    assert result.exit_code == 0, result.output
    index = json.loads((tmp_path / "out" / "synth.json").read_text("utf-8"))
    outfits = [who["outfit"] for who in index["identities"]]
    worn = {
        value["photo"]
        for outfit in outfits
        for value in outfit.values()
        if isinstance(value, dict) and "photo" in value
    }
    assert {path_of_name(name) for name in worn} == {odd}


def cloth_of_train(folder: Path) -> bool:
    try:
        return bool(cloth_photos(folder, "train"))
    except FatalError:
        return False


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, "a pipe or a device"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to("/dev/zero"), "a pipe or a device"),
    ],
)
def test_only_regular_files_are_cloth(tmp_path: Path, make: Callable[[Path], object], cause: str) -> None:
    make(tmp_path / "odd.jpg")
    split = "train" if cloth_of_train(tmp_path) else "test"
    for read in (lambda: cloth_digest(tmp_path, (split,)), lambda: swatch(tmp_path / "odd.jpg", "legs")):
        with pytest.raises(FatalError, match=f"odd.jpg cannot be used: .*{cause}.*Remove it") as caught:
            read()
        assert caught.value.code == "cloth_unusable"


@pytest.mark.parametrize("size", [(1, 3000), (3000, 20)])
def test_slender_photos_are_refused_before_they_grow(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "resize", lambda *_: pytest.fail("it grows"))
    Image.new("RGB", size, RED).save(tmp_path / "f.png")
    with pytest.raises(FatalError, match=f"f.png cannot be used: {size[0]} x {size[1]} pixels"):
        swatch(tmp_path / "f.png", "dress")


def test_folders_that_cannot_serve_say_why(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="nowhere cannot be listed: No such file"):
        cloth_photos(tmp_path / "nowhere", "train")
    with pytest.raises(FatalError, match=r"dress_0\.png cannot be listed: Not a directory"):
        cloth_photos(folder / "dress_0.png", "train")
    photo(tmp_path / "one.png", 0)
    other = "test" if cloth_of_train(tmp_path) else "train"
    with pytest.raises(
        FatalError, match=f"for {other} people .* has 1 for the others; train and test .* at least 1 each"
    ):
        cloth_photos(tmp_path, other)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L"])
@pytest.mark.parametrize("kind", KINDS)
def test_cloth_is_taken_from_what_is_opaque(tmp_path: Path, kind: str, mode: str) -> None:
    """Two legs with nothing between them, black or white where nothing is; the first is wide enough for all kinds."""
    for ground in (0, 255):
        picture = np.full((300, 200, 4), [ground, ground, ground, 0], np.uint8)
        picture[40:260, 5:95] = picture[40:260, 130:190] = (150, 100, 120, 255)
        image = Image.fromarray(picture)
        if mode == "P":
            image = image.quantize(8)
        elif mode == "L":
            image = Image.merge("LA", (image.convert("RGB").convert("L"), image.getchannel("A")))
        image.save(tmp_path / f"{ground}.png")
        piece = swatch(tmp_path / f"{ground}.png", kind)
        assert (
            piece.shape == (TEXELS, TEXELS, 3) and np.ptp(piece, axis=(0, 1)).max() < 0.02 and 0.3 < piece.mean() < 0.6
        )


def test_opaque_alpha_changes_nothing_and_too_little_is_refused(folder: Path, tmp_path: Path) -> None:
    image = Image.open(folder / "dress_0.png").convert("RGBA")
    image.save(tmp_path / "opaque.png")
    assert np.array_equal(swatch(tmp_path / "opaque.png", "dress"), swatch(folder / "dress_0.png", "dress"))
    image.putalpha(120)
    image.save(tmp_path / "faint.png")
    with pytest.raises(FatalError, match=r"faint\.png cannot be used: no piece of it is opaque"):
        swatch(tmp_path / "faint.png", "dress")


@pytest.mark.parametrize("odd", [Image.new("RGBA", (200, 200), (*RED, 60)), Image.new("RGB", (3, 300))])
def test_a_photo_that_cannot_serve_stops_the_run_before_it_begins(
    folder: Path, tmp_path: Path, odd: Image.Image
) -> None:
    """Whatever the draw: once it is removed the folder is another one, and the data set is begun anew."""
    check_cloth(folder, ("train", "test"))
    cloth = tmp_path / "cloth"
    cloth.mkdir()
    for name in ("dress_0.png", "pants_1.png", "pants_3.png"):
        (cloth / name).write_bytes((folder / name).read_bytes())
    for number in range(20):
        odd.save(cloth / f"skirt_odd{number}.png")
    arguments = ["--identities", "1", "--views", "1", "--height", "32", "--test-fraction", "0", "--workers", "1"]
    result = CliRunner().invoke(cli, ["synth", str(tmp_path / "out"), "--cloth", str(cloth), *arguments])
    assert result.exit_code == 4 and "skirt_odd" in result.stderr and "cannot be used" in result.stderr
    assert not (tmp_path / "out" / "synth.json").exists()
