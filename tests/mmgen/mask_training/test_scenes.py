"""Scenes for the mask network: the mask is of the person in the middle, backgrounds know nothing of them."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="OpenCV is not installed")

from mask_files import save
from PIL import Image

from mmgen.core.errors import FatalError
from mmgen.mask_training.measuring import iou, measure
from mmgen.mask_training.scenes import Bank, Scenes, joined, load_bank
from mmgen.mask_training.scenes.backgrounds import TRAINING_FAMILIES, Picture, Size, random_palette
from mmgen.mask_training.scenes.compose import SHARES
from mmgen.mask_training.scenes.cutouts import cut_out
from mmgen.mask_training.scenes.placing import Placement
from mmgen.mask_training.scenes.unseen import unseen_families
from mmgen.mask_training.training import Course, Progress, train
from mmgen.masks.network import read_network, write_network
from recon.segmentation import MaskNetwork, MaskNetworkConfig, folded

SIZE = (64, 32)
NOTHING = dict.fromkeys(SHARES, 0.0)
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


def blue(generator: np.random.Generator, size: Size, palette: Picture) -> Picture:
    """A background of one colour that no person has."""
    return np.full((*size, 3), BLUE, np.uint8)


def person(colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A box of one colour on a green ground."""
    mask = np.zeros(SIZE, np.uint8)
    mask[8:56, 10:22] = 255
    return np.where(mask[..., None] > 0, np.uint8(colour), np.uint8(GREEN)), mask


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """Two red people, as files."""
    folder = tmp_path_factory.mktemp("crowd")
    for index in range(2):
        picture, mask = person(RED)
        save(folder / f"{index}.png", Image.fromarray(picture))
        save(folder / "masks" / f"{index}.png", Image.fromarray(mask))
    return load_bank(folder, SIZE)


def test_a_cut_out_keeps_none_of_its_ground() -> None:
    people = cut_out(*person(RED))
    seen = people[people[..., 3] > 20][:, :3].astype(int)
    assert (np.abs(seen - RED).max(axis=1) <= 2).all()
    assert abs(int(people[..., 3].sum()) / 255 - 48 * 12) < 20


def test_the_mask_is_where_the_person_is(bank: Bank) -> None:
    scenes = Scenes(bank, (blue,), SIZE, NOTHING, strength=0.0)
    reds = []
    for seed in range(8):
        scene = scenes.draw(np.random.default_rng(seed))
        again = scenes.draw(np.random.default_rng(seed))
        np.testing.assert_array_equal(scene.rgb, again.rgb)
        is_blue = (np.abs(scene.rgb.astype(int) - BLUE) <= 1).all(axis=2)
        assert is_blue[scene.mask == 0].all() and not is_blue[scene.mask == 255].any()
        reds.append(int((scene.mask >= 128).sum()))
    assert len(set(reds)) > 4


def test_others_and_emptiness_are_not_in_the_mask(bank: Bank) -> None:
    alone = Scenes(bank, (blue,), SIZE, NOTHING | {"others": 1, "empty": 1}, strength=0.0)
    drawn = [alone.draw(np.random.default_rng(seed)) for seed in range(6)]
    assert all(scene.mask.max() == 0 for scene in drawn)
    assert any((scene.rgb != BLUE).any() for scene in drawn)


@pytest.mark.parametrize("what", sorted(SHARES))
def test_everything_that_may_happen_gives_a_scene(bank: Bank, what: str) -> None:
    scenes = Scenes(joined([bank, bank]), TRAINING_FAMILIES, SIZE, NOTHING | {what: 1.0})
    for seed in range(3):
        scene = scenes.draw(np.random.default_rng(seed))
        assert scene.rgb.shape == (*SIZE, 3) and scene.mask.shape == SIZE
        assert scene.rgb.dtype == scene.mask.dtype == np.uint8


def test_measuring_takes_no_background_of_training() -> None:
    unseen = unseen_families()
    assert not {family.__module__ for family in unseen.values()} & {family.__module__ for family in TRAINING_FAMILIES}
    generator = np.random.default_rng(0)
    for family in (*unseen.values(), *TRAINING_FAMILIES):
        picture = family(generator, SIZE, random_palette(generator))
        assert picture.shape == (*SIZE, 3) and picture.dtype == np.uint8


def test_a_placement_puts_the_box_where_it_says() -> None:
    matrix = Placement(0.5, 0.1, -0.1, 1.0, 0.0).matrix(np.array([8, 56, 10, 22]), (128, 64))
    corners = np.array([[10 - 0.5, 8 - 0.5, 1], [21.5, 55.5, 1]]) @ matrix.T
    np.testing.assert_allclose(corners, [[64 * 0.6 - 8.5, 128 * 0.4 - 32.5], [64 * 0.6 + 7.5, 128 * 0.4 + 31.5]])


def test_pictures_without_masks_are_no_people(tmp_path: Path) -> None:
    save(tmp_path / "a.png", Image.fromarray(person(RED)[0]))
    with pytest.raises(FatalError, match=r"no picture in .* has a mask"):
        load_bank(tmp_path, SIZE)


def test_iou_of_masks() -> None:
    one, none = np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8)
    assert (iou(one, one), iou(one, none), iou(none, none)) == (1.0, 0.0, 1.0)
    assert iou(np.uint8([[255, 127]]), np.uint8([[128, 255]])) == 0.5


def test_a_finished_network_goes_on_from_what_it_has_learned(bank: Bank, tmp_path: Path) -> None:
    config = MaskNetworkConfig(*SIZE, (8, 8, 8, 8))
    torch.manual_seed(5)
    write_network(tmp_path / "first.safetensors", folded(MaskNetwork(config)), {})
    scenes, course = Scenes(bank, TRAINING_FAMILIES, SIZE), Course(1, batch=2, learning_rate=1e-6)
    further = train(scenes, config, course, tmp_path / "course.pt", lambda _: None, tmp_path / "first.safetensors")
    for name, value in read_network(tmp_path / "first.safetensors").state_dict().items():
        np.testing.assert_allclose(further.state_dict()[name].numpy(), value.numpy(), atol=1e-5, err_msg=name)
    write_network(tmp_path / "further.safetensors", folded(further), {})
    assert read_network(tmp_path / "further.safetensors").config == config


@pytest.mark.slow
def test_an_interrupted_course_ends_in_the_same_network(bank: Bank, tmp_path: Path) -> None:
    scenes = Scenes(bank, TRAINING_FAMILIES, SIZE)
    config, course = MaskNetworkConfig(*SIZE, (8, 8, 8, 8)), Course(4, batch=2, checkpoint_steps=2)
    whole = train(scenes, config, course, tmp_path / "whole.pt", lambda _: None)

    class Cut(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.step == 2:
            raise Cut

    with pytest.raises(Cut):
        train(scenes, config, course, tmp_path / "cut.pt", cut)
    told: list[int] = []
    rest = train(scenes, config, course, tmp_path / "cut.pt", lambda progress: told.append(progress.step))
    assert told == [4]
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), rest.state_dict()[name].numpy(), err_msg=name)
    figures = measure(folded(whole), bank, 2, 0, tmp_path / "cases.png")
    assert set(figures["iou"]) >= {"alone", "two or more people", "alone, photo"}
    assert (tmp_path / "cases.png").is_file()
