import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asset_samples import body_asset
from click.testing import CliRunner
from painted import BLUE, RED, count_colour, painted_asset
from PIL import Image

from mmgen.assets.asset import Asset
from mmgen.assets.glb import glb_bytes, read_glb
from mmgen.assets.swap import Wearer, check_layout, doubt_of_weights, dressed, list_wearers
from mmgen.cli import cli
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_file
from mmgen.previews.sheet import exchange_grid

GREEN = (10, 160, 40)


def plain(asset: Asset, scale: tuple[float, float, float] = (1, 1, 1)) -> Asset:
    """The same body, stretched, in one colour, from another photo."""
    vertices = asset.vertices * np.float32(scale)
    texture = np.full((64, 64, 3), GREEN, dtype=np.uint8)
    return replace(asset, name="plain", vertices=vertices, texture=texture, provenance={"input": "p.jpg", "seed": 1})


@pytest.fixture
def meshes(tmp_path: Path) -> Path:
    folder = tmp_path / "meshes"
    (folder / "sub").mkdir(parents=True)
    (folder / "painted.glb").write_bytes(glb_bytes(painted_asset()))
    (folder / "sub" / "plain.glb").write_bytes(glb_bytes(plain(painted_asset(), (1.2, 0.9, 1.1))))
    return folder


def swap(*arguments: object) -> tuple[int, dict, str]:
    result = CliRunner().invoke(cli, ["swap", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout else {}, result.stderr


def test_a_pair_gives_both_meshes_and_a_picture_with_front_and_back(meshes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pair = (meshes / "painted.glb", meshes / "sub" / "plain.glb")
    assert swap(*pair, "--out", out, "--dry-run")[0] == 0 and not out.exists()
    code, report, _ = swap(*pair, "--out", out)
    assert code == 0
    assert report["outputs"] == [
        str(out / name) for name in ("painted_in_plain.glb", "plain_in_painted.glb", "swap.png")
    ]
    made = read_glb(out / "plain_in_painted.glb")
    assert np.array_equal(made.vertices, read_glb(pair[1]).vertices)
    assert np.array_equal(made.texture, painted_asset().texture)
    assert made.provenance["shape_from"] == {"name": "plain", "glb_sha256": sha256_file(pair[1]), "input": "p.jpg"}
    assert made.provenance["clothing_from"]["glb_sha256"] == sha256_file(pair[0])
    assert made.provenance["clothing_from"]["weights_sha256"] == "ab" * 32
    picture = np.asarray(Image.open(out / "swap.png"))
    top, low = np.split(picture, [picture.shape[0] // 2])
    for half, column in ((top, 0), (low, -1)):  # the painted one is above left, the plain one in its clothes below left
        marks = [count_colour(half, colour) for colour in (RED, BLUE)]
        assert min(marks) > 300, column
        assert _middle(half, RED) < _middle(half, BLUE) < picture.shape[1] / 2  # front before back, in the first column
    assert count_colour(top, GREEN) > 3000 and count_colour(low, GREEN) > 3000


def _middle(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    near = np.abs(picture.astype(int) - np.array(colour)).max(axis=-1) <= 40
    return float(np.nonzero(near)[1].mean())


def test_a_folder_gives_the_table_and_its_meshes_on_request(meshes: Path, tmp_path: Path) -> None:
    (meshes / "third.glb").write_bytes((meshes / "painted.glb").read_bytes())
    (meshes / "zz_coarse.glb").write_bytes(glb_bytes(body_asset(level=1)))
    code, report, talk = swap(meshes, "--out", tmp_path / "a")
    assert code == 3 and [Path(name).name for name in report["outputs"]] == ["swap.png"]
    assert report["failures"][0]["error"] == "uv_mismatch" and "zz_coarse (80 triangles) and painted (320)" in talk
    code, report, _ = swap(meshes, "--out", tmp_path / "b", "--glbs")
    names = [Path(name).stem for name in report["outputs"]]
    assert len(names) == 3 * 2 + 1 and "sub-plain_in_third" in names and "third_in_third" not in names
    assert (tmp_path / "a" / "swap.png").read_bytes() == (tmp_path / "b" / "swap.png").read_bytes()


def test_layouts_match_by_coordinates_and_not_by_counts() -> None:
    asset = painted_asset()
    own = Wearer("own", asset, "")
    dropped = replace(asset, faces=asset.faces[3:], face_uv=asset.face_uv[3:])  # writers drop faces without area
    order = np.random.default_rng(0).permutation(len(asset.faces))
    shuffled = replace(asset, faces=np.roll(asset.faces[order], 1, axis=1), face_uv=np.roll(asset.face_uv[order], 1, 1))
    for same in (dropped, shuffled, replace(asset, face_uv=asset.face_uv + np.float32([0, 1]))):
        check_layout(Wearer("same", same, ""), own)
    mirrored = replace(asset, face_uv=asset.face_uv * np.float32([-1, 1]) + np.float32([1, 0.003]))
    with pytest.raises(ItemError, match=r"other \(320 triangles\) and own \(320\) have different templates"):
        check_layout(Wearer("other", mirrored, ""), own)


def test_what_stays_true_of_the_body_is_kept_and_what_is_not_is_dropped() -> None:
    facts = {"height_m": 1.9, "mask_iou": 0.7, "camera": {"azimuth_deg": 3}, "seed": 5}
    body = Wearer("b", replace(painted_asset(), provenance=facts), "1" * 64)
    made = dressed(body, Wearer("c", plain(painted_asset()), "2" * 64))
    assert made.name == "b_in_c" and made.provenance["height_m"] == 1.9 and made.provenance["made_by"] == "swap"
    assert "mask_iou" not in made.provenance and made.provenance["shape_from"]["mask_iou"] == 0.7


def test_names_must_differ_and_one_mesh_is_not_enough(meshes: Path) -> None:
    with pytest.raises(FatalError, match=r"would both be called painted \(swap_collision\)"):
        list_wearers([meshes, meshes / "painted.glb"])
    with pytest.raises(FatalError, match=r"painted\.glb alone has nobody to exchange clothes with \(too_few_meshes\)"):
        list_wearers([meshes], limit=1)
    with pytest.raises(ValueError, match="a grid takes 1 to 64 assets, not 65"):
        exchange_grid(["x"] * 65, lambda row, column: painted_asset())


def test_nothing_is_written_where_only_one_mesh_can_be_read(meshes: Path, tmp_path: Path) -> None:
    (meshes / "sub" / "plain.glb").write_bytes(b"no mesh")
    code, report, talk = swap(meshes, "--out", tmp_path / "out")
    assert code == 4 and report["outputs"] == [] and "plain.glb" in talk and not (tmp_path / "out").exists()


def test_weights_are_the_same_different_or_unknown() -> None:
    asset = painted_asset()

    def wearer(name: str, weights: str | None) -> Wearer:
        return Wearer(name, replace(asset, provenance={} if weights is None else {"weights_sha256": weights}), "")

    one, two, three, bare = wearer("one", "aa"), wearer("two", "aa"), wearer("three", "bb"), wearer("bare", None)
    swapped = Wearer("swapped", dressed(one, two), "")
    assert doubt_of_weights([one, two]) is None and doubt_of_weights([one, swapped]) is None
    assert "different weights" in str(doubt_of_weights([one, three, bare]))
    assert "different weights" in str(doubt_of_weights([swapped, three]))
    said = str(doubt_of_weights([one, bare]))
    assert "the weights that made bare are unknown" in said and "different weights" not in said
