"""Cloth from photos: the piece that is cloth, in even light, the right way up, and kept apart by split."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mmgen.cli import cli
from mmgen.core.errors import FatalError
from mmgen.synth import NEUTRAL, CrowdOptions, body_mesh, identity, person_pictures
from mmgen.synth.cloth import TEXELS, cloth_photos, in_cloth, swatch
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
