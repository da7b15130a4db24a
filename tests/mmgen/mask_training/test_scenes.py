"""Scenes for the person network: the mask is of the person in the middle, and what is not known is not claimed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed")

from mmgen.core.errors import FatalError
from mmgen.mask_training.bank import Item, load_items, save_items
from mmgen.mask_training.manifest import read_person_manifest
from mmgen.mask_training.measuring import iou
from mmgen.mask_training.scenes import SHARES, Scene, Scenes, Sources
from mmgen.mask_training.scenes.backgrounds import TRAINING_FAMILIES, random_palette
from mmgen.mask_training.scenes.placing import Placement
from mmgen.mask_training.training import Progress, Run, Stage, losses, stacked, train
from recon.segmentation import CUTS, PersonNetwork

SIZE = (64, 48)
RED, GREEN = (200, 30, 30), (30, 200, 30)


def person(azimuth_deg: float = 30.0) -> Item:
    """A red box on a green ground."""
    picture = np.zeros((64, 48, 4), np.uint8)
    picture[..., :3] = GREEN
    picture[8:56, 16:32] = (*RED, 255)
    return Item(picture, azimuth_deg, "red")


def nobody() -> Item:
    """A grey picture."""
    return Item(np.full((64, 48, 4), (90, 90, 90, 0), np.uint8), float("nan"), "grey")


SOURCES = Sources([person()], [person(150.0)], [person(-20.0)], [nobody()], [nobody()])


def drawn(kind: str, count: int) -> list[Scene]:
    scenes = Scenes(SOURCES, SIZE, {kind: 1.0})
    return [scenes.draw(np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("kind", sorted(SHARES))
def test_every_kind_gives_scenes_that_the_seed_decides(kind: str) -> None:
    for scene, again in zip(drawn(kind, 6), drawn(kind, 6), strict=True):
        assert scene.rgb.shape == (*SIZE, 3) and scene.mask.shape == SIZE
        assert scene.rgb.dtype == scene.mask.dtype == np.uint8
        np.testing.assert_array_equal(scene.rgb, again.rgb)
        assert scene.person == (0 if kind == "nobody" else 1)
        assert (scene.mask >= 128).any() == (kind != "nobody")


def test_the_mask_is_where_the_person_is() -> None:
    for scene in drawn("photo", 8):
        red = scene.rgb[..., 0].astype(int) - scene.rgb[..., 1]
        inside, outside = red[scene.mask == 255], red[scene.mask == 0]
        assert np.median(inside) > np.median(outside) + 20


def test_a_cut_person_ends_at_the_lower_edge_and_a_whole_one_above_it() -> None:
    scenes = [scene for scene in drawn("photo", 40) if scene.cut >= 0]
    assert {CUTS[scene.cut] for scene in scenes} >= {"none", "hip", "knee"}
    for scene in scenes:
        rows = np.flatnonzero((scene.mask >= 128).any(axis=1))
        shown = np.flatnonzero((scene.rgb != scene.rgb[-1, 0]).any(axis=(1, 2)))
        if CUTS[scene.cut] != "none":
            assert rows[-1] >= min(shown[-1], 63) - 4


def test_facing_is_mirrored_and_not_claimed_from_beside() -> None:
    azimuths = {scene.azimuth_deg for scene in drawn("avatar", 20)}
    assert azimuths == {150.0, -150.0}
    scene = drawn("avatar", 1)[0]
    assert [replace(scene, azimuth_deg=turn).back for turn in (0.0, -79.0, 90.0, 101.0, 359.0, float("nan"))] == [
        0, 0, -1, 1, 0, -1]  # fmt: skip


def test_with_two_in_a_row_nobody_is_in_the_middle() -> None:
    scenes = drawn("several", 30)
    assert {scene.count for scene in scenes} >= {1, 2, 3}
    assert not all(scene.is_mask_known for scene in scenes)


def test_what_is_unknown_costs_nothing() -> None:
    network = PersonNetwork()
    scene = drawn("avatar", 1)[0]
    blank = replace(scene, person=-1, azimuth_deg=float("nan"), count=-1, cut=-1, is_mask_known=False)
    batch = stacked([blank, blank])
    found = losses(network(batch.photos), batch)
    assert all(float(value.detach()) == 0 for value in found.values())
    told = stacked([scene, scene])
    assert all(float(value.detach()) > 0 for value in losses(network(told.photos), told).values())


def test_backgrounds_have_the_size_asked_for() -> None:
    generator = np.random.default_rng(0)
    for family in TRAINING_FAMILIES:
        picture = family(generator, SIZE, random_palette(generator))
        assert picture.shape == (*SIZE, 3) and picture.dtype == np.uint8


def test_a_placement_puts_the_box_where_it_says() -> None:
    matrix = Placement(0.5, 0.1, -0.1, 1.0, 0.0).matrix(np.array([8, 56, 10, 22]), (128, 64))
    corners = np.array([[10 - 0.5, 8 - 0.5, 1], [21.5, 55.5, 1]]) @ matrix.T
    np.testing.assert_allclose(corners, [[64 * 0.6 - 8.5, 128 * 0.4 - 32.5], [64 * 0.6 + 7.5, 128 * 0.4 + 31.5]])


def test_items_come_back_from_their_file(tmp_path: Path) -> None:
    save_items(tmp_path / "kept.npz", [person(), nobody()])
    one, other = load_items(tmp_path / "kept.npz")
    np.testing.assert_array_equal(one.picture, person().picture)
    assert (one.azimuth_deg, one.name, one.box) == (30.0, "red", (8, 56, 16, 32))
    assert other.box == (0, 64, 0, 48) and np.isnan(other.azimuth_deg)


def test_iou_of_masks() -> None:
    one, none = np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8)
    assert (iou(one, one >= 128), iou(one, none >= 128), iou(none, none >= 128)) == (1.0, 0.0, 1.0)


def test_manifests_are_read_whole_or_refused(tmp_path: Path) -> None:
    manifest = read_person_manifest(Path(__file__).parents[3] / "manifests" / "person-network.toml")
    assert manifest.stages[-1].is_trunk_whole and manifest.is_held_out(f"{manifest.held_out_avatars[0]}_Casual")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('about = "a"\nstepz = 3\n[[stage]]\nsteps = 1\nheight = 64\nwidth = 48\n')
    with pytest.raises(FatalError, match=r"wrong\.toml: unknown key stepz"):
        read_person_manifest(wrong)


@pytest.mark.slow
def test_an_interrupted_training_ends_in_the_same_network(tmp_path: Path) -> None:
    stages = (Stage(2, *SIZE, batch=2), Stage(2, *SIZE, batch=2, is_trunk_whole=True))

    class Cut(Exception):
        pass

    def cut(progress: Progress, network: PersonNetwork) -> None:
        if progress.step == 2:
            raise Cut

    whole = train(SOURCES, stages, Run(tmp_path / "whole.pt", lambda *_: None, 1), None)
    with pytest.raises(Cut):
        train(SOURCES, stages, Run(tmp_path / "cut.pt", cut, 1), None)
    told: list[int] = []
    rest = train(SOURCES, stages, Run(tmp_path / "cut.pt", lambda at, _: told.append(at.step), 1), None)
    assert told == [3, 4]
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), rest.state_dict()[name].numpy(), err_msg=name)
