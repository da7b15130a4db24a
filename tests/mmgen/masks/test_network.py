"""The bundled person network: what it finds, what it refuses, photos of any shape, files that are no networks."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from mask_files import find, save
from PIL import Image, ImageDraw

from mmgen.core.errors import FatalError, ItemError
from mmgen.masks import network, network_file
from mmgen.masks.framing import PAD_GREY, box_around, framed, unframed, window_on
from mmgen.masks.searching import sharpened
from mmgen.masks.structures import Guess, MaskSource, Signs
from mmgen.synth import CrowdOptions, Picture, people
from recon.segmentation import PersonNetwork, PersonNetworkConfig

NETWORK = MaskSource("network")


@cache
def picture() -> Picture:
    """A person who is in no training set."""
    return next(people("test", 1, CrowdOptions(seed=977, views=1, poses=1, height=256, width=128))).picture


def overlap(found: np.ndarray, truth: np.ndarray) -> float:
    one, other = found >= 128, truth >= 128
    return float((one & other).sum() / (one | other).sum())


def guessed(photo: np.ndarray) -> Guess:
    """The only person in a photo."""
    (guess,) = network.guess_people(photo, "mask")
    return guess


def on_canvas(height: int, width: int, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
    """The person in a larger photo: a wall over a floor."""
    photo = np.full((height, width, 3), (150, 140, 120), np.uint8)
    photo[top + 200 :] = (90, 100, 90)
    mask = np.zeros((height, width), np.uint8)
    mask[top : top + 256, left : left + 128] = picture().mask
    photo[top : top + 256, left : left + 128][picture().mask > 0] = picture().image[picture().mask > 0]
    return photo, mask


def test_a_person_in_the_street() -> None:
    guess = guessed(picture().image)
    assert overlap(guess.mask, picture().mask) > 0.9
    assert abs(guess.quality - overlap(guess.mask, picture().mask)) < 0.1
    again = guessed(picture().image[:, ::-1].copy())
    assert overlap(again.mask[:, ::-1], picture().mask) > 0.9
    np.testing.assert_array_equal(guessed(picture().image).mask, guess.mask)


@pytest.mark.parametrize(("height", "width", "top", "left"), [(300, 460, 24, 160), (700, 300, 220, 90)])
def test_a_second_look_at_small_people_in_photos_of_any_shape(height: int, width: int, top: int, left: int) -> None:
    photo, mask = on_canvas(height, width, top, left)
    guess = guessed(photo)
    assert guess.mask.shape == (height, width)
    assert overlap(guess.mask, mask) > 0.85


@pytest.mark.parametrize("scene", ["flat", "ball"])
def test_no_person_is_no_mask(tmp_path: Path, scene: str) -> None:
    photo = Image.new("RGB", (80, 160), (90, 110, 100))
    if scene == "ball":
        ImageDraw.Draw(photo).ellipse((5, 100, 35, 130), fill=(200, 40, 30))
    with pytest.raises(ItemError, match=r"sees no person") as caught:
        find(save(tmp_path / "a.png", photo), NETWORK)
    assert caught.value.code == "no_person" and "--masks DIR" in caught.value.hint
    assert "a.png" in caught.value.message


def test_a_real_photo() -> None:
    folder = Path(__file__).parents[4] / "shared" / "real"
    if not (folder / "runway.jpg").is_file():
        pytest.skip("no folder ../shared/real beside the project")
    truth = np.asarray(Image.open(folder / "runway_mask.png").convert("L"))
    result = find(folder / "runway.jpg", NETWORK)
    assert overlap(result.mask, truth) > 0.8
    assert result.quality is not None and result.quality > network.MIN_QUALITY


def test_a_wide_photo_is_searched_for_all_its_people() -> None:
    photo, mask = on_canvas(300, 620, 24, 40)
    other, other_mask = on_canvas(300, 620, 30, 430)
    photo[other_mask > 0], photo[:, 560:] = other[other_mask > 0], 120
    people = network.guess_people(photo, "mask")
    assert [overlap(guess.mask, truth) > 0.8 for guess, truth in zip(people, (mask, other_mask), strict=True)] == [
        True
    ] * 2


def test_a_wide_photo_of_a_thing_is_refused() -> None:
    photo = Image.new("RGB", (120, 160), (170, 180, 190))
    draw = ImageDraw.Draw(photo)
    draw.ellipse((50, 60, 100, 110), fill=(200, 40, 30))
    draw.rectangle((10, 120, 110, 150), fill=(60, 60, 70))
    with pytest.raises(ItemError, match="sees no person"):
        network.guess_people(np.asarray(photo), "mask")


@pytest.mark.parametrize("name", ["rocket", "coffee", "chelsea"])
def test_photos_of_things_and_animals_show_nobody(name: str) -> None:
    with pytest.raises(ItemError, match="sees no person") as caught:
        network.guess_people(getattr(skimage.data, name)(), "mask")
    assert caught.value.code == "no_person"


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_made_of_sky(seed: int) -> None:
    generator = np.random.default_rng(seed)
    photo = np.linspace((90, 150, 220), (220, 230, 245), 240).astype(np.uint8)[:, None].repeat(360, axis=1)
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    for level in (110, 150, 190):
        ridge = [(x, level + float(generator.normal(0, 14))) for x in range(0, 361, 40)]
        colour = tuple(int(value) for value in generator.integers(30, 160, 3))
        draw.polygon([*ridge, (360, 240), (0, 240)], fill=colour)
        x = int(generator.integers(20, 340))
        draw.rectangle((x, level - 30, x + 4, level + 10), fill=(70, 50, 30))
        draw.ellipse((x - 14, level - 60, x + 18, level - 20), fill=(30, 90, 40))
    with pytest.raises(ItemError, match="sees no person"):
        network.guess_people(np.asarray(image), "mask")


@pytest.mark.parametrize("count", [2, 4])
def test_people_side_by_side_are_as_many(count: int) -> None:
    photo = np.hstack([picture().image[:, ::-1] if number % 2 else picture().image for number in range(count)])
    people = network.guess_people(np.ascontiguousarray(photo), "mask")
    middles = [np.flatnonzero((guess.mask >= 128).any(axis=0)).mean() / 128 for guess in people]
    assert [int(middle) for middle in middles] == list(range(count))


# Framing


@pytest.mark.parametrize("size", [(128, 64), (256, 128), (90, 200), (400, 100), (331, 217)])
def test_what_is_framed_comes_back_to_its_place(size: tuple[int, int]) -> None:
    height, width = size
    photo = np.zeros((height, width, 3), np.uint8)
    box = np.s_[height // 3 : height // 3 + height // 4, width // 2 : width // 2 + width // 5]
    photo[box] = 255
    window = window_on((0, 0, width, height), (256, 128))
    frame = framed(photo, window)
    assert frame.shape == (256, 128, 3) and set(np.unique(frame[0, 0])) <= {0, PAD_GREY}
    inside = np.where(frame[..., 0] == PAD_GREY, np.uint8(0), frame[..., 0])
    truth = np.where(photo[..., 0] > 0, np.uint8(255), np.uint8(0))
    assert overlap(unframed(inside, window, size), truth) > 0.9


def test_a_window_on_a_part_lands_on_that_part() -> None:
    answer = np.full((256, 128), 255, np.uint8)
    photo = unframed(answer, window_on((10, 20, 60, 120), (256, 128)), (200, 100))
    assert photo[20:120, 10:60].all() and photo.sum() == 255 * 50 * 100


def test_the_box_around_a_person_stays_in_the_photo() -> None:
    person = np.zeros((200, 100), bool)
    person[100:200, 80:100] = True
    assert box_around(person, 0.1) == (60, 90, 100, 200)


# Files


def test_a_written_network_answers_as_before(tmp_path: Path) -> None:
    torch.manual_seed(3)
    plain, config = PersonNetwork(is_folded=True).half().float().eval(), PersonNetworkConfig(64, 32)
    for name in ("a", "b"):
        network_file.write_network(tmp_path / f"{name}.safetensors", plain, config, {"steps": 3})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    read = network_file.read_network(tmp_path / "a.safetensors")
    photos = torch.rand(2, 3, 64, 32)
    torch.testing.assert_close(read.network(photos).mask, plain(photos).mask)
    assert read.config == config


@pytest.mark.parametrize("fault", ["missing", "cut", "of another kind", "of another size"])
def test_a_network_that_cannot_be_read_is_named(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "broken.safetensors"
    data = network.NETWORK_FILE.read_bytes()
    if fault == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif fault == "of another kind":
        path.write_bytes(data.replace(network_file.SCHEMA.encode(), b"mmgen.person-network/9"))
    elif fault == "of another size":
        assert b'\\"height\\": 288' in data
        path.write_bytes(data.replace(b'\\"height\\": 288', b'\\"height\\": 287'))
    with pytest.raises(FatalError, match=r"mask network .*broken\.safetensors cannot be used") as caught:
        network_file.read_network(path)
    assert caught.value.code == "mask_network_unusable"


def test_the_bundled_file_is_small() -> None:
    assert network.NETWORK_FILE.stat().st_size < 2_000_000


# Edges


def test_edges_follow_those_of_the_photo() -> None:
    size = (384, 256)
    truth = np.zeros(size, np.uint8)
    truth[60:330, 80:170] = 255
    photo = np.where(truth[..., None] > 0, np.uint8(200), np.uint8(60)).repeat(3, axis=2)
    window = window_on((0, 0, 256, 384), (96, 64))
    rough = np.asarray(Image.fromarray(np.roll(truth, 3, axis=1)).resize((64, 96), Image.Resampling.BILINEAR))
    before = overlap(unframed(rough, window, size), truth)
    assert overlap(sharpened(photo, rough, window), truth) > before + 0.3 * (1 - before)
    flat = sharpened(np.full_like(photo, 90), rough, window)  # no edge to follow: the answer as it is
    assert overlap(flat, unframed(rough, window, size)) > 0.97


@pytest.mark.parametrize(
    ("back", "person", "rows", "said"),
    [
        (0.01, 1.0, 500, "front"),
        (0.9, 1.0, 500, "back"),
        (0.4, 1.0, 500, None),
        (0.01, 1.0, 120, None),
        (0.9, 0.3, 500, None),
    ],
)
def test_a_facing_is_said_of_people_large_enough_and_where_it_is_sure(
    back: float, person: float, rows: float, said: str | None
) -> None:
    signs = Signs(person, back, azimuth_deg=0.0, count=1, cut="none")
    assert network.facing_said(signs, rows) == said
