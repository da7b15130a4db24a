from pathlib import Path

import pytest
from manifest_keys import dotted_keys

from mmgen.core.errors import FatalError
from mmgen.core.settings import to_toml
from mmgen.training.manifest import Manifest, read_manifest
from recon.training.config import Interval

ROOT = Path(__file__).parents[3] / "manifests"
ALL = sorted(path for path in ROOT.rglob("*.toml") if path.parent.name != "reid")
TRAINING = [path for path in ALL if "[encoder]" in path.read_text("utf-8") or "extends" in path.read_text("utf-8")]
BASE = ROOT / "synthetic-self-supervised.toml"


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_manifest_is_valid_short_and_explained(path):
    manifest = read_manifest(path)
    assert manifest.about
    lines = path.read_text("utf-8").splitlines()
    assert lines[0].startswith("# ") and len(lines) <= 90


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_the_settings_of_a_run_read_back_as_they_were(path, tmp_path):
    manifest = read_manifest(path)
    (tmp_path / "copy.toml").write_text(to_toml(manifest.to_tables()), "utf-8")
    assert read_manifest(tmp_path / "copy.toml") == manifest


def test_the_published_runs_have_the_published_settings():
    market, atr, cub = (read_manifest(ROOT / f"{name}.toml") for name in ("market", "atr", "cub"))
    for manifest in (market, atr, cub):
        assert manifest.encoder.is_published and manifest.encoder.trunks == "paper"
        assert manifest.data.batch_photos == 48
        assert manifest.step.encoder_loop and manifest.step.consistency_every == 1
        assert manifest.optimiser.betas == (0.95, 0.999) and manifest.optimiser.amsgrad
        assert manifest.optimiser.trunk_factor == 0.05 and manifest.optimiser.gradient_clip == 0
        assert manifest.loss.adversarial == 1e-4 and manifest.loss.gradient_penalty == 10
        assert manifest.prototype.kind == "published" and manifest.template.mirror_axis == 2
        assert manifest.step.soft_mask.reach == manifest.step.soft_mask.final_reach == 0.02
        assert manifest.step.offset_smoothing == 0
    sizes = [(m.encoder.height, m.encoder.width) for m in (market, atr, cub)]
    assert sizes == [(128, 64), (160, 96), (128, 128)]
    assert [m.optimiser.learning_rate for m in (market, atr, cub)] == [5e-5, 5.5e-5, 7e-5]
    assert [m.length.epochs for m in (market, atr, cub)] == [600, 500, 1200]
    assert [m.data.augmentation for m in (market, atr, cub)] == ["pad_crop", "zoom_crop", "zoom_crop"]
    assert (market.loss.flatten, atr.loss.flatten, cub.loss.contour) == (0.002, 0.001, 0.2)
    assert cub.template.half_extents == (0.9, 0.9, 0.45) and cub.optimiser.cycles == 2


def test_each_ablation_changes_what_its_name_says():
    full = read_manifest(ROOT / "ablations/full-method.toml").to_tables()
    expected = {
        "no-integration-module": {"encoder.integration"},
        "no-prototype-loop": {"prototype.kind"},
        "no-encoder-loop": {"step.encoder_loop"},
        "smr": {"encoder.integration", "prototype.kind", "step.encoder_loop"},
        "critic": {"loss.adversarial"},
    }
    for name, keys in expected.items():
        other = read_manifest(ROOT / f"ablations/{name}.toml").to_tables()
        assert set(_different(full, other)) - {"about"} == keys, name
    assert full["step"]["encoder_loop"] and full["encoder"]["integration"] and full["prototype"]["kind"] != "off"


def _different(one, two, prefix=""):
    for key in {**one, **two}:
        if isinstance(one.get(key), dict) and isinstance(two.get(key), dict):
            yield from _different(one[key], two[key], f"{prefix}{key}.")
        elif one.get(key) != two.get(key):
            yield prefix + key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("loss.imag=2", r"synthetic-self-supervised.toml: loss.imag is no setting; did you mean image\?"),
        ('loss.image="much"', r"loss.image is 'much'; expected a number"),
        ("loss.image=true", r"loss.image is True; expected a number"),
        ("loss.image=nan", r"loss.image is nan; expected a number"),
        ("data.pairs=1", r"data.pairs is 1; expected true or false"),
        ("data.batch_photos=3.5", r"data.batch_photos is 3.5; expected a whole number"),
        ("data.batch_photos=1", r"data is refused: batch_photos must be at least 2"),
        ("data.augmentation=spin", r"data.augmentation is 'spin'; expected one of 'none', 'flip'"),
        ("encoder.preset=big", r"encoder.preset is 'big'; expected one of small"),
        ("encoder.data=dogs", r"encoder.data is 'dogs'; expected one of market"),
        ("encoder.height=100", r"encoder is refused: height must be a multiple of 16"),
        ("encoder.ranges.distance=[2.0]", r"encoder.ranges.distance is \[2.0\]; expected a list of 2 numbers"),
        ("encoder.ranges.distance=[3.0, 2.0]", r"encoder.ranges is refused: distance must rise"),
        ("optimiser.betas=[0.9, true]", r"optimiser.betas\[1\] is True; expected a number"),
        ("optimiser=3", r"optimiser is 3; expected a table"),
        ("length.epochs=-1", r"length is refused: give exactly one"),
        ("log.validation={steps=1, epochs=1}", r"log.validation is refused: give either steps or epochs"),
        ("step.losses.image=1", r"step.losses is no setting; there are encoder_loop"),
        ("training.lr=1", r"training is no section; there are about, averaging"),
        ("loss.identity=1.0", r"loss.identity needs data.pairs = true"),
        ("data.clean_fraction=[0.5, 0.2]", r"clean_fraction must be two rising numbers"),
        ("data.validation_share=1.0", r"validation_share must lie in 0..1"),
        ("data.shift_px=-1", r"shift_px must not be negative"),
        ("log.steps=0", r"log is refused: steps must be at least 1"),
    ],
)
def test_errors_name_the_file_the_key_and_what_was_expected(change, message):
    with pytest.raises(FatalError, match=message) as caught:
        read_manifest(BASE, [change])
    assert caught.value.code == "manifest_invalid"


@pytest.mark.parametrize("change", ["loss.image", "=2", "loss..image=2"])
def test_changes_need_a_key_and_a_value(change):
    with pytest.raises(FatalError, match=r"is not section.key=value"):
        read_manifest(BASE, [change])


def test_changes_win_and_the_last_one_most():
    changes = ["loss.image=3", "step.soft_mask.reach=0.2", "loss.image=4.5", "length.steps=7", "data.path=/some where"]
    manifest = read_manifest(BASE, changes)
    assert manifest.loss.image == manifest.step.losses.image == 4.5
    assert manifest.step.soft_mask.reach == 0.2 and manifest.step.soft_mask.final_reach == 0.02
    assert manifest.length.steps == 7 and manifest.length.minutes == 0
    assert manifest.data.path == "/some where"


def test_extending(tmp_path):
    (tmp_path / "base.toml").write_text("[loss]\nimage = 5.0\niou = 6.0\n[length]\nsteps = 3\n")
    (tmp_path / "own.toml").write_text('extends = "base.toml"\n[loss]\niou = 7.0\n[length]\nepochs = 2\n')
    manifest = read_manifest(tmp_path / "own.toml")
    assert (manifest.loss.image, manifest.loss.iou) == (5.0, 7.0)
    assert (manifest.length.steps, manifest.length.epochs) == (0, 2)


def test_bad_files(tmp_path):
    def fails(text, message, name="bad.toml"):
        (tmp_path / name).write_text(text)
        with pytest.raises(FatalError, match=message):
            read_manifest(tmp_path / name)

    fails("[loss\n", r"bad.toml is no TOML: .*line 1")
    fails('extends = "bad.toml"\n', r"no circle of files")
    fails("extends = 3\n", r"extends is 3; expected a file name")
    for elsewhere in ("/etc/base.toml", "../../base.toml", "sub/base.toml"):
        fails(f'extends = "{elsewhere}"\n', r"expected NAME or \.\./NAME")
    fails("a = " + "[" * 50_000, r"is no TOML")
    fails("a = " + "1" * 5000, r"is no TOML")
    fails("[loss]\nimage = inf\n[length]\nsteps = 1\n", r"image is inf; expected a number")
    fails("#" * 2**20 + "\n", r"more than 1 MiB")
    fails('extends = "none.toml"\n', r"there is no manifest .*none.toml")
    fails("[loss]\nimage = 1.0\n", r"length is missing; give for instance")
    with pytest.raises(FatalError, match="there is no manifest"):
        read_manifest(tmp_path / "missing.toml")
    with pytest.raises(FatalError, match="cannot be read"):
        read_manifest(tmp_path)


def test_the_readme_lists_every_key():
    text = (ROOT / "README.md").read_text("utf-8")
    keys = {*dotted_keys(Manifest, leaves=(Interval,)), "encoder.preset", "encoder.data", "loss.preset"}
    missing = [key for key in sorted(keys) if f"`{key}`" not in text and not key.startswith("step.losses.")]
    assert not missing
