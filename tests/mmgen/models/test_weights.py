import json
import sys

import pytest
import torch
from safetensors.torch import load, save

from mmgen.core.errors import FatalError
from mmgen.models.weights import load_weights, needing_timm, read_config, save_halved, save_weights
from mmgen.templates import named_template
from recon.encoders import AttributeEncoder, published_config, small_config
from recon.structures import Sample
from recon.template import ellipsoid_template


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    template = ellipsoid_template(level=1, mirror_axis=2)
    made = AttributeEncoder(small_config(height=32, width=32, offset_rank=4), template).eval()
    made.set_prototype(template.vertices * 1.1)
    return made, template


@pytest.fixture
def path(encoder, tmp_path):
    target = tmp_path / "weights.safetensors"
    save_weights(target, *encoder, {"metrics": {"mask_iou": 0.8}, "training": {"step": 3}})
    return target


def altered(path, change):
    """The file with another header or other tensors."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["mmgen"])
    tensors = load(data)
    change(header, tensors)
    path.write_bytes(save(tensors, {"mmgen": json.dumps(header)}))


def test_a_round_trip_gives_the_same_answers(encoder, path):
    made, template = encoder
    loaded = load_weights(path)
    sample = Sample(torch.rand(2, 3, 32, 32), torch.ones(2, 32, 32))
    with torch.no_grad():
        mine, theirs = made(sample), loaded.encoder(sample)
    assert torch.equal(mine.offsets, theirs.offsets) and torch.equal(mine.texture, theirs.texture)
    assert not loaded.encoder.training
    assert torch.equal(loaded.encoder.prototype.vertices, template.vertices * 1.1)
    assert torch.equal(loaded.template.vertices, template.vertices)
    assert torch.equal(loaded.template.face_uv, template.face_uv)
    assert loaded.template.mirror_axis == 2
    assert loaded.encoder.config == made.config
    assert loaded.header["metrics"] == {"mask_iou": 0.8} and loaded.header["training"] == {"step": 3}
    assert loaded.header["versions"]["torch"] == str(torch.__version__)
    assert read_config(path) == made.config


def test_half_the_size_gives_nearly_the_same_answers_and_the_same_coordinates(encoder, path, tmp_path):
    made, template = encoder
    small = tmp_path / "small.safetensors"
    save_halved(path, small)
    loaded = load_weights(small)
    assert small.stat().st_size < 0.62 * path.stat().st_size
    assert {value.dtype for value in loaded.encoder.state_dict().values() if value.is_floating_point()} == {
        torch.float32
    }
    assert torch.equal(loaded.encoder.prototype_vertices, template.vertices * 1.1)
    assert torch.equal(loaded.template.vertices, template.vertices) and loaded.header == load_weights(path).header
    sample = Sample(torch.rand(2, 3, 32, 32), torch.ones(2, 32, 32))
    with torch.no_grad():
        mine, theirs = made(sample), loaded.encoder(sample)
    torch.testing.assert_close(theirs.offsets, mine.offsets, atol=2e-4, rtol=2e-2)
    torch.testing.assert_close(theirs.texture, mine.texture, atol=5e-3, rtol=0)
    assert not torch.equal(theirs.texture, mine.texture)


def test_the_same_weights_give_the_same_bytes(encoder, path, tmp_path):
    again = tmp_path / "again.safetensors"
    save_weights(again, *encoder, {"training": {"step": 3}, "metrics": {"mask_iou": 0.8}})
    assert again.read_bytes() == path.read_bytes()


def test_missing(tmp_path):
    with pytest.raises(FatalError, match="there is no weights file"):
        load_weights(tmp_path / "none.safetensors")
    with pytest.raises(FatalError, match="cannot be read as a weights file"):
        load_weights(tmp_path)


@pytest.mark.parametrize("data", [b"", b"short", b"\xff" * 100, b"\x10" + b"\0" * 7 + b"no json at all!!"])
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(data)
    with pytest.raises(FatalError, match=r"cannot be read as a weights file|has no mmgen header"):
        load_weights(path)


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "checkpoint.pt"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(FatalError, match="cannot be read as a weights file") as caught:
        load_weights(path)
    assert "pickled" in caught.value.hint


def test_weights_of_others_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"a": torch.zeros(3)}, {"format": "pt"}))
    with pytest.raises(FatalError, match="has no mmgen header"):
        load_weights(path)


def test_cut_files_are_refused(path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FatalError, match="cannot be read as a weights file"):
        load_weights(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda header, tensors: header["encoder"].update(height=100_000, width=100_000),
        lambda header, tensors: header["encoder"].update(trunks="huge"),
        lambda header, tensors: header["encoder"].update(colour="red"),
        lambda header, tensors: header["encoder"].update(offset_rank=8),
        lambda header, tensors: header["encoder"].pop("ranges"),
        lambda header, tensors: header.pop("encoder"),
        lambda header, tensors: header.pop("template"),
        lambda header, tensors: tensors.pop("template.faces"),
        lambda header, tensors: tensors.pop("encoder.prototype_vertices"),
        lambda header, tensors: tensors.update({"template.faces": tensors["template.faces"] + 1000}),
        lambda header, tensors: tensors.update({"template.vertices": torch.zeros(60_000, 3)}),
    ],
)
def test_headers_that_do_not_fit_are_refused(path, change):
    altered(path, change)
    with pytest.raises(FatalError, match="header and tensors do not fit together"):
        load_weights(path)


def test_another_schema_is_refused(path):
    altered(path, lambda header, tensors: header.update(schema="mmgen.weights/9"))
    with pytest.raises(FatalError, match=r"schema 'mmgen.weights/9', not 'mmgen.weights/1'"):
        load_weights(path)


def test_a_missing_timm_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(FatalError, match="the paper's networks need timm") as caught, needing_timm():
        AttributeEncoder(published_config("market"), ellipsoid_template(level=1))
    assert caught.value.code == "timm_missing"


def test_a_skeleton_goes_along(tmp_path):
    person = named_template("person")
    small = AttributeEncoder(small_config(height=32, width=32, offset_rank=1), person)
    save_weights(tmp_path / "person.safetensors", small, person, {})
    skin = load_weights(tmp_path / "person.safetensors").template.skin
    assert (skin.names, skin.parents) == (person.skin.names, person.skin.parents)
    assert all(torch.equal(getattr(skin, name), getattr(person.skin, name)) for name in ("joints", "bones", "weights"))
    assert skin.names.index("Hips") == 0 and "LeftForeArm" in skin.names


def first_float(tensors):
    """The order of the tensors in a file is nobody's promise, and some count or index."""
    return next(tensor for tensor in tensors.values() if tensor.is_floating_point())


def test_numbers_that_are_not_finite_are_refused_before_any_work(path):
    altered(path, lambda header, tensors: first_float(tensors).view(-1)[:1].fill_(float("inf")))
    with pytest.raises(FatalError, match="holds numbers that are not finite") as caught:
        load_weights(path)
    assert caught.value.code == "weights_mismatch"


@pytest.mark.parametrize(
    "inner",
    ["[" * 100_000, "NaN", '{"schema": ' + "1" * 5000 + "}", '"\\ud800"', "[]", '{"schema": "mmgen.weights/1"}'],
    ids=lambda inner: inner[:20],
)
def test_hostile_headers(tmp_path, inner):
    outer = json.dumps({"__metadata__": {"mmgen": inner}}).encode()
    for header in (outer, inner.encode()):
        (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        for read in (load_weights, read_config):
            with pytest.raises(FatalError, match=r"weights_(format|unreadable|mismatch)"):
                read(tmp_path / "w.safetensors")
