"""Masks are found where they stand; masks that cannot be right are refused by name; the rest is guessed or missing."""

import importlib.util
from pathlib import Path, PurePath

import numpy as np
import pytest
from bad_files import KINDS, noise
from mask_files import BODY, find, photo_file, save, shades
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.masks import grabcut, network
from mmgen.masks.structures import Guess, MaskSource, Signs

NO_CV2 = not importlib.util.find_spec("cv2")

# Masks that cannot be right


def one_pixel() -> np.ndarray:
    mask = np.zeros((80, 40), bool)
    mask[40:44, 20:24] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "code", "message"),
    [
        (np.zeros((80, 40), bool), "mask_empty", "marks no person"),
        (np.ones((80, 40), bool), "mask_full", "marks 100% of the photo"),
        (~BODY, "mask_inverted", "of the photo's border"),
        (one_pixel(), "mask_too_small", "4 pixels high"),
    ],
)
def test_impossible_masks(tmp_path: Path, mask: np.ndarray, code: str, message: str) -> None:
    save(tmp_path / "a_mask.png", shades(mask))
    with pytest.raises(ItemError, match=message) as caught:
        find(photo_file(tmp_path))
    assert caught.value.code == code
    assert "a_mask.png" in caught.value.message


def test_a_person_cut_by_the_photo_is_not_inverted(tmp_path: Path) -> None:
    """Half of a tight crop's border may be person: shoulders, arms and legs reach it."""
    mask = np.zeros((80, 40), bool)
    mask[10:, 2:38] = True
    mask[30:60, :] = True
    save(tmp_path / "a_mask.png", shades(mask))
    assert find(photo_file(tmp_path)).area_fraction == pytest.approx(mask.mean())


@pytest.mark.parametrize("kind", ["empty.jpg", "cut.png", "text.jpg", "bomb.png", "nan.tif", "negative.tif"])
def test_bad_mask_files_are_blamed_on_the_mask(tmp_path: Path, kind: str) -> None:
    path = photo_file(tmp_path)
    (tmp_path / "a_mask.png").write_bytes(KINDS[kind][1]())
    with pytest.raises(ItemError, match=r"^mask .*a_mask\.png") as caught:
        find(path)
    assert caught.value.code == KINDS[kind][0].replace("image_", "mask_", 1)


# Parts


def parts_case(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((200, 200), bool)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


MAIN = (20, 180, 60, 110)


@pytest.mark.parametrize(
    ("others", "kept", "parts"),
    [
        ([(30, 170, 140, 180)], [], 2),
        ([(30, 170, 113, 150)], [], 2),
        ([(90, 100, 113, 120)], [0], 1),
        ([(80, 100, 113, 123)], [0], 2),
        ([(184, 198, 70, 100)], [0], 2),
        ([(2, 15, 75, 95), (40, 150, 160, 190)], [0], 3),
        ([(5, 8, 150, 153)], [], 1),
    ],
    ids=["second person", "second person close by", "speck of a hand", "hand", "feet", "head, not neighbour", "dust"],
)
def test_the_main_person_is_kept(
    tmp_path: Path, others: list[tuple[int, int, int, int]], kept: list[int], parts: int
) -> None:
    save(tmp_path / "a_mask.png", shades(parts_case(MAIN, *others)))
    result = find(photo_file(tmp_path, size=(200, 200)))
    large = [box for index, box in enumerate(others) if index in kept and parts > 1]
    np.testing.assert_array_equal(result.mask >= 128, parts_case(MAIN, *large))
    assert result.parts == parts
    dropped = parts - 1 - len(large)
    assert result.notes == ((f"{dropped} of {parts} parts dropped: other people?",) if dropped else ())


# Where masks are found


def test_alpha_comes_before_a_sibling(tmp_path: Path) -> None:
    save(tmp_path / "a.png", Image.merge("RGBA", (*noise().split(), shades(BODY))))
    save(tmp_path / "a_mask.png", shades(np.ones((80, 40), bool)))
    result = find(tmp_path / "a.png")
    assert (result.source, result.path) == ("alpha", None)
    np.testing.assert_array_equal(result.mask, np.where(BODY, 255, 0))


def test_alpha_alone_is_refused_without_alpha(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.png", shades(BODY))
    with pytest.raises(ItemError, match="has no alpha channel") as caught:
        find(photo_file(tmp_path), MaskSource("alpha"))
    assert caught.value.code == "mask_missing"


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("a.jpg", "a_mask.png"),
        ("a.jpg", "a.mask.png"),
        ("a.jpg", "a-mask.png"),
        ("a.jpg", "a_mask.jpg"),
        ("a.jpg", "masks/a.png"),
        ("a.jpg", "masks/a.jpg.png"),
        ("query/a.jpg", "masks/query/a.png"),
        ("d/bounding_box_train/a.jpg", "d/masks/bounding_box_train/a.png"),
        ("hq/pytorch/train_all/0002/n.jpg.png", "hq/seg_hmr/train_all/0002/n.jpg_0.31.png"),
        ("hq/pytorch/train_all/0002/n.jpg.png", "hq/seg_hmr/train_all/0002/n.jpg_0.3.png"),
        ("humanparsing/JPEGImages/5.jpg", "humanparsing/Seg/5_0.24.png"),
        ("humanparsing/JPEGImages/5.jpg", "humanparsing/SegmentationClassAug/5.png"),
    ],
)
def test_automatic_places(tmp_path: Path, photo: str, mask: str) -> None:
    save(tmp_path / mask, shades(BODY))
    result = find(photo_file(tmp_path, photo))
    assert (result.source, result.path) == ("sibling", tmp_path / mask)


@pytest.mark.parametrize(
    "mask", ["query/a.png", "query/a.jpg.png", "query/a_mask.png", "query/a.JPG", "query/a_0.24.png"]
)
def test_folder_mirrors_the_tree(tmp_path: Path, mask: str) -> None:
    path = photo_file(tmp_path / "market", "query/a.jpg")
    if mask.endswith("JPG"):
        mask = mask.replace("JPG", "jpg")
    save(tmp_path / "m" / mask, shades(BODY))
    save(tmp_path / "market" / "query" / "a_mask.png", shades(np.ones((80, 40), bool)))
    result = find(path, MaskSource("folder", tmp_path / "m"), PurePath("query/a.jpg"))
    assert (result.source, result.path) == ("folder", tmp_path / "m" / mask)


def test_the_photos_own_folder_is_no_folder_of_masks(tmp_path: Path) -> None:
    path = photo_file(tmp_path)
    with pytest.raises(ItemError, match="--masks names the photos' own folder") as caught:
        find(path, MaskSource("folder", tmp_path), PurePath(path.name))
    assert caught.value.code == "mask_is_photo"


def test_folder_never_falls_back(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.png", shades(BODY))
    with pytest.raises(ItemError, match=r"has no mask .*m/a\.png") as caught:
        find(photo_file(tmp_path), MaskSource("folder", tmp_path / "m"))
    assert caught.value.code == "mask_missing"


@pytest.mark.parametrize("source", ["auto", "network"])
def test_what_has_no_mask_is_asked_of_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    guess = Guess(np.where(BODY, np.uint8(255), np.uint8(0)), 0.66, Signs(0.9, 0.1, 0.0, 1, "none"))
    monkeypatch.setattr(network, "best_guess_of", lambda *_: guess)
    result = find(photo_file(tmp_path), MaskSource.parse(source))
    assert (result.source, result.quality, result.path) == ("network", 0.66, None)
    assert result.notes == ("mask guessed by the mask network, quality 0.66: look at it, or give a better one",)
    np.testing.assert_array_equal(result.mask, guess.mask)
    assert result.signs == guess.signs
    save(tmp_path / "a_mask.png", shades(BODY[:, ::-1]))
    assert find(tmp_path / "a.png", MaskSource.parse(source)).source == {"auto": "sibling"}.get(source, source)


@pytest.mark.parametrize("place", ["masks/a.png", "mask/a.PNG", "Masks/a.png", "a_mask.PNG", "mask/a.JPEG"])
def test_masks_are_found_as_people_store_them(tmp_path: Path, place: str) -> None:
    path = photo_file(tmp_path, "a.jpg")
    save(tmp_path / place, shades(BODY))
    assert find(path).path == tmp_path / place


def test_alpha_alone_names_the_cures(tmp_path: Path) -> None:
    with pytest.raises(ItemError, match="has no alpha channel") as caught:
        find(photo_file(tmp_path), MaskSource("alpha"))
    for cure in ("--masks DIR", "alpha channel", "--masks auto"):
        assert cure in caught.value.hint


def test_none_is_refused_for_want_of_an_outline(tmp_path: Path) -> None:
    save(tmp_path / "a_mask.png", shades(BODY))
    with pytest.raises(ItemError, match="no outline of its person with --masks none") as caught:
        find(photo_file(tmp_path), MaskSource("none"))
    assert caught.value.code == "mask_none"


def test_sources_are_parsed() -> None:
    assert [
        MaskSource.parse(text).kind for text in ("auto", "alpha", "network", "grabcut", "none", "m/", "./auto")
    ] == [
        "auto",
        "alpha",
        "network",
        "grabcut",
        "none",
        "folder",
        "folder",
    ]
    assert MaskSource.parse("some/masks").folder == Path("some/masks")


# GrabCut


def pedestrian(height: int = 160, width: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """A textured figure on a textured ground, and its outline."""
    rng = np.random.default_rng(3)
    figure = grabcut.silhouette(height, width, 0.95)
    figure[: height // 12] = False
    rgb = rng.integers(90, 140, (height, width, 3)).astype(np.uint8)
    rgb[..., 2] += 60
    clothes = rng.integers(150, 200, (height, width, 3)).astype(np.uint8)
    clothes[height // 2 :] -= 120
    rgb[figure] = clothes[figure]
    return rgb, figure


@pytest.mark.skipif(NO_CV2, reason="OpenCV is not installed")
def test_grabcut_finds_a_plain_pedestrian(tmp_path: Path) -> None:
    rgb, figure = pedestrian()
    path = save(tmp_path / "a.png", Image.fromarray(rgb))
    result = find(path, MaskSource("grabcut"))
    found = result.mask >= 128
    assert (found & figure).sum() / (found | figure).sum() > 0.95
    assert result.source == "grabcut"
    assert result.quality is not None and 0.6 < result.quality <= 1
    assert result.notes[0] == f"mask guessed by GrabCut, quality {result.quality:.2f}"
    again = find(path, MaskSource("grabcut"))
    np.testing.assert_array_equal(again.mask, result.mask)
    assert again.sha256 == result.sha256


@pytest.mark.skipif(NO_CV2, reason="OpenCV is not installed")
@pytest.mark.parametrize("scene", ["noise", "flat"])
def test_grabcut_refuses_scenes_without_a_person(tmp_path: Path, scene: str) -> None:
    rgb = np.full((160, 80, 3), 90, np.uint8)
    if scene == "noise":
        rgb = np.asarray(noise(20, 40))
    with pytest.raises(ItemError, match="is not to be trusted: quality 0") as caught:
        find(save(tmp_path / "a.png", Image.fromarray(rgb)), MaskSource("grabcut"))
    assert caught.value.code == "mask_unusable"


def test_grabcut_without_opencv_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grabcut, "is_available", lambda: False)
    with pytest.raises(ItemError, match="needs OpenCV") as caught:
        find(photo_file(tmp_path), MaskSource("grabcut"))
    assert (caught.value.code, caught.value.hint) == ("grabcut_missing", 'pip install "mmgen[masks]"')


@pytest.mark.skipif(NO_CV2, reason="OpenCV is not installed")
def test_grabcut_on_a_real_photo() -> None:
    folder = Path(__file__).parents[4] / "shared" / "real"
    if not (folder / "runway.jpg").is_file():
        pytest.skip("no folder ../shared/real beside the project")
    truth = np.asarray(Image.open(folder / "runway_mask.png").convert("L")) >= 128
    result = find(folder / "runway.jpg", MaskSource("grabcut"))
    found = result.mask >= 128
    assert (found & truth).sum() / (found | truth).sum() > 0.88
    assert result.quality is not None and result.quality > 0.7
