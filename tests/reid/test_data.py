import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reid_people import market, picture, shards, write_index

from reid.data.augmentation import Augmentation, augmented, normalised
from reid.data.folders import read_folders
from reid.data.labels import make_labels
from reid.data.layouts import find_layout
from reid.data.market import read_market
from reid.data.order import BatchOrder, BatchPlan, share_of_rank
from reid.data.photos import Photo
from reid.data.pixels import PixelStore, decode, fault
from reid.data.selection import good_enough, identity_subset, of_identities, refuse_tested_parents
from reid.data.shards import read_shards
from reid.errors import ReidError


def test_market_names_junk_distractors_and_other_files(tmp_path):
    dataset = read_market(market(tmp_path / "exp_12_c3"))  # a parent like this must not become everyone's identity
    assert [photo.identity for photo in dataset.train[:7]] == ["0001"] * 6 + ["0002"]
    assert {photo.camera for photo in dataset.train} == {1, 2, 3}
    assert len(dataset.query) == 4 * 3 and len(dataset.gallery) == 4 * 3 * 2 + 1
    assert [photo.identity for photo in dataset.gallery].count("0000") == 1
    assert "-1" not in {photo.identity for photo in dataset.gallery}
    outer = tmp_path / "outer"
    outer.mkdir()
    (tmp_path / "exp_12_c3").rename(outer / "Market-1501-v15.09.15")
    assert len(read_market(outer).train) == 36


@pytest.mark.parametrize("name", ["0002_c1s1_000451_03.jpg.jpg", "x0002_c1s1_000451_03.jpg", "2_c1s1_000451_03.jpg"])
def test_other_names_are_refused(tmp_path, name):
    root = market(tmp_path)
    (root / "query" / name).write_bytes(picture(2, 1))
    with pytest.raises(ReidError, match="is not named like"):
        read_market(root)


def test_wrong_folders_and_leaks_are_refused(tmp_path):
    with pytest.raises(ReidError, match="holds none of bounding_box_train"):
        read_market(tmp_path)
    with pytest.raises(ReidError, match="1 identities are in the training set and in query or gallery: 0011"):
        read_market(market(tmp_path / "leak", train=(1, 11)))


def test_folders_by_identity_with_and_without_cameras(tmp_path):
    for part, people in (("train", "ab"), ("query", "cd"), ("gallery", "cd")):
        for person in people:
            (tmp_path / part / person).mkdir(parents=True)
            (tmp_path / part / person / "x_c2_1.png").write_bytes(picture(1, 1))
    assert {photo.camera for photo in read_folders(tmp_path).query} == {2}
    (tmp_path / "gallery" / "c" / "plain.jpg").write_bytes(picture(1, 1))
    with pytest.raises(ReidError, match="has no camera in its name"):
        read_folders(tmp_path)
    unknown = read_folders(tmp_path, "none")
    assert {p.camera for p in unknown.query}.isdisjoint({p.camera for p in unknown.gallery})
    with pytest.raises(ReidError, match="holds neither train/ nor gallery/"):
        read_folders(tmp_path / "train")


def test_shards_are_read_at_their_offsets(tmp_path):
    photos = read_shards(shards(tmp_path / "s"))
    assert len(photos) == 15 and photos[0].parents == ("0001", "0002") and photos[0].parent_weights == (0.75, 0.25)
    assert (photos[-1].identity, photos[-1].parents) == ("00030004", ("0004", "0003"))
    expected = picture(102, 4 % 3, 4)
    with open(photos[-1].path, "rb") as file:
        file.seek(photos[-1].offset)
        assert file.read(photos[-1].size) == expected
    assert decode(photos[-1]).size == (16, 32)


@pytest.mark.parametrize("name", ["pipe:cat /etc/passwd", "../virtual-000000.tar", "/tmp/x.tar", "shards/../x.tar"])
def test_hostile_shard_names_are_refused(tmp_path, name):
    root = shards(tmp_path / "s")
    line = json.loads((root / "index.jsonl").read_text().splitlines()[0]) | {"shard": name}
    write_index(root, [json.dumps(line)])
    with pytest.raises(ReidError, match="names the shard"):
        read_shards(root)


def test_damaged_and_unfinished_shards_are_refused(tmp_path):
    root = shards(tmp_path / "s")
    text, record = (root / "index.jsonl").read_text(), (root / "record.json").read_text()
    (root / "index.jsonl").write_text(text[:-9])
    with pytest.raises(ReidError, match=r"index.jsonl is not the one that record.json was written for"):
        read_shards(root)
    write_index(root, [*text.splitlines()[:-1], '{"kind": "virtual"}'])
    with pytest.raises(ReidError, match=r"line 15 of index.jsonl is no sample"):
        read_shards(root)
    (root / "index.jsonl").write_text(text)
    (root / "record.json").write_text(record.replace('"samples": 15', '"samples": 16'))
    with pytest.raises(ReidError, match=r"lists 15 samples, record.json 16"):
        read_shards(root)
    (root / "record.json").write_text(record)
    tar = root / "shards/virtual-000000.tar"
    tar.write_bytes(tar.read_bytes()[:5000])
    with pytest.raises(ReidError, match=r"is shorter than index.jsonl says"):
        read_shards(root)
    tar.unlink()
    with pytest.raises(ReidError, match=r"virtual-000000.tar is missing"):
        read_shards(root)
    (root / "record.json").write_text(record.replace("true", "false"))
    with pytest.raises(ReidError, match="are not finished"):
        read_shards(root)
    (root / "record.json").unlink()
    with pytest.raises(ReidError, match="are not finished"):
        read_shards(root)
    with pytest.raises(ReidError, match=r"holds no record.json"):
        read_shards(tmp_path)


HOSTILE = {
    "deep": lambda line: "[" * 100_000,
    "long key": lambda line: json.dumps({**line, "key": "k" * (2 << 20)}),
    "text as class": lambda line: json.dumps({**line, "cls": "7"}),
    "endless class": lambda line: json.dumps({**line, "cls": 10**30}),
    "huge image": lambda line: json.dumps({**line, "jpg": [0, 1 << 40]}),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_index_lines_are_refused_at_the_start(tmp_path, kind):
    root = shards(tmp_path / "s")
    os.truncate(root / "shards/virtual-000000.tar", 1 << 41)  # sparse: takes no room
    line = json.loads((root / "index.jsonl").read_text().splitlines()[0])
    write_index(root, [HOSTILE[kind](line)])
    with pytest.raises(ReidError, match=r"line 1 of index.jsonl"):
        read_shards(root)


def test_a_pipe_in_place_of_an_index_does_not_hang(tmp_path):
    root = shards(tmp_path / "s")
    (root / "index.jsonl").unlink()
    os.mkfifo(root / "index.jsonl")
    with pytest.raises(ReidError, match="no regular file"):
        read_shards(root)


NAMES = {
    "bounding_box_train/0001_c2_f0046182.JPG": ("train", "0001", 2),  # DukeMTMC-reID
    "bounding_box_train/0002_c1_1.png": ("train", "0002", 1),  # CUHK03-np
    "bounding_box_test/0003_c6s3_000451_03.jpeg": ("gallery", "0003", 6),
    "image_train/0001_c001_00016450_0.jpg": ("train", "0001", 1),  # VeRi-776
    "image_query/0002_c014_00030600_0.jpg": ("query", "0002", 14),
}


@pytest.mark.parametrize("start", ["bounding_box", "image_"])
def test_published_names_are_read(tmp_path, start):
    wanted = {name: parsed for name, parsed in NAMES.items() if name.startswith(start)}
    for name in (*wanted, f"{next(iter(wanted)).rpartition('.')[0]}_mask.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = {entry.relative: (entry.part, entry.identity, entry.camera) for entry in find_layout(tmp_path).entries}
    assert found == wanted


def test_lists_of_msmt17_keep_training_and_test_people_apart(tmp_path):
    for folder, name in (("train", "0000/0000_000_01_0303morning_0008_0.jpg"), ("test", "0000/0000_000_12_n_1_0.jpg")):
        (tmp_path / folder / "0000").mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(picture(1, 1))
        for part in ("train",) if folder == "train" else ("query", "gallery"):
            (tmp_path / f"list_{part}.txt").write_text(f"{name} 0\n")
    dataset = read_market(tmp_path)
    assert [(photo.identity, photo.camera) for photo in dataset.train] == [("0001", 1)]
    assert [(photo.identity, photo.camera) for photo in (*dataset.query, *dataset.gallery)] == [("5001", 12)] * 2
    (tmp_path / "list_query.txt").write_text("../../0000_000_12_n_1_0.jpg 0\n")
    with pytest.raises(ReidError, match=r"list_query.txt, line 1"):
        read_market(tmp_path)


def test_a_pattern_reads_any_names(tmp_path):
    for name in ("train/anna-cam2-7.png", "query/bob-cam1-8.png", "gallery/bob-cam3-9.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(picture(1, 1))
    pattern = r"(?P<identity>[a-z]+)-cam(?P<camera>\d+)-\d+\.png"
    dataset = read_market(tmp_path, pattern)
    assert [(photo.identity, photo.camera) for photo in (*dataset.train, *dataset.gallery)] == [("anna", 2), ("bob", 3)]
    assert {photo.camera for photo in read_market(tmp_path, pattern, "none").gallery} == {2}
    alone = find_layout(tmp_path / "query", pattern)
    assert [(entry.part, entry.identity) for entry in alone.entries] == [("train", "bob")]
    for wrong in ("(", r"(?P<identity>\d+).*"):
        with pytest.raises(ReidError, match="pattern"):
            read_market(tmp_path, wrong)


def test_deep_grey_photos_keep_their_tones_and_faults_are_found_without_decoding(tmp_path):
    tones = np.linspace(0, 65535, 32 * 16).astype(np.uint16).reshape(32, 16)
    Image.fromarray(tones).save(tmp_path / "deep.png")
    deep = Photo("1", 1, str(tmp_path / "deep.png"))
    assert np.abs(np.asarray(decode(deep))[..., 0].astype(int) - tones / 257).max() < 1
    Image.new("RGB", (4000, 3000), (200, 30, 30)).save(tmp_path / "large.jpg")
    large = Photo("1", 1, str(tmp_path / "large.jpg"))
    assert fault(deep) is None and fault(large) is None and decode(large, (32, 16)).width < 1000
    data = (tmp_path / "large.jpg").read_bytes()
    (tmp_path / "large.jpg").write_bytes(data[:-6000])
    assert fault(large) == "it is cut off"
    (tmp_path / "large.jpg").write_bytes(b"P6 pickle")
    assert "UnidentifiedImageError" in fault(large)


def test_an_unreadable_photo_is_named(tmp_path):
    root = market(tmp_path / "m")
    path = root / "query" / "0011_c1s1_000000_01.jpg"
    path.write_bytes(b"\x80\x04\x95pickle")
    photo = next(photo for photo in read_market(root).query if photo.path == str(path))
    with pytest.raises(ReidError, match=r"0011_c1s1_000000_01.jpg cannot be read"):
        PixelStore([photo], (32, 16), threads=1).take([0])
    cut = Photo("0001", 1, str(path), offset=2, size=900)
    with pytest.raises(ReidError, match="the file ends before the image does"):
        decode(cut)


@pytest.mark.parametrize("memory", [0, 1 << 20])
def test_pixels_come_in_the_order_asked_for(tmp_path, memory):
    photos = read_market(market(tmp_path)).train
    store = PixelStore(photos, (32, 16), memory, threads=2)
    for _ in range(2):
        taken = store.take([5, 0, 5])
        assert taken.shape == (3, 3, 32, 16) and taken.dtype == torch.uint8
        assert torch.equal(taken[0], taken[2])
        assert np.array_equal(taken[1].permute(1, 2, 0).numpy(), np.asarray(decode(photos[0])))
    store.close()


def test_a_subset_takes_virtual_people_only_with_both_parents(tmp_path):
    dataset = read_market(market(tmp_path / "m"))
    virtual = read_shards(shards(tmp_path / "s"))
    chosen = frozenset({"0001", "0002", "0003"})
    kept = of_identities((*dataset.train, *virtual), chosen)
    assert {photo.identity for photo in kept} == {"0001", "0002", "0003", "00010002", "00020003"}
    small, large = (identity_subset(dataset.train, share, seed=4) for share in (0.34, 0.67))
    assert len(small) == 3 and len(large) == 5 and small < large
    assert identity_subset(dataset.train, 0.34, seed=5) != small
    with pytest.raises(ReidError, match="descend from 1 identities that are not in the training set: 0004"):
        refuse_tested_parents(virtual, chosen)


def test_scores_are_a_threshold_at_training_time(tmp_path):
    virtual = read_shards(shards(tmp_path))
    real = Photo("0001", 1, "x")
    kept = good_enough((real, *virtual), {"mask_area": 0.25}, {"folded": 0.02})
    assert real in kept and {photo.identity for photo in kept[1:]} == {"00020003", "00030004"}
    with pytest.raises(ReidError, match="has no score 'sharpness'"):
        good_enough(virtual, {"sharpness": 1.0}, {})


def test_labels_in_all_three_modes(tmp_path):
    dataset = read_market(market(tmp_path / "m"))
    photos = (*dataset.train, *read_shards(shards(tmp_path / "s")))
    classes = make_labels(photos, "classes")
    assert len(classes.names) == 6 + 3 and classes.person.max() == 8 and (classes.weights == (1, 0)).all()
    parents = make_labels(photos, "parents")
    assert len(parents.names) == 6 and (parents.person[36:] == -1).all()
    assert parents.classes[-1].tolist() == [3, 2] and parents.weights[-1].tolist() == [0.75, 0.25]
    unlabeled = make_labels(photos, "unlabeled")
    assert not unlabeled.weights[36:].any() and unlabeled.is_virtual.sum() == 15
    with pytest.raises(ReidError, match="somebody else's clothes"):
        make_labels(photos, "own")
    alone = [dataclasses.replace(photo, parent_weights=(1.0, 0.0)) if photo.parents else photo for photo in photos]
    own = make_labels(alone, "own")
    assert [own.names[own.person[row]] for row in range(36, 51)] == [photo.parents[0] for photo in photos[36:]]
    with pytest.raises(ReidError, match="are not two identities of the training set"):
        make_labels(photos[-1:], "parents")
    with pytest.raises(ReidError, match="is both a real and a virtual identity"):
        make_labels((photos[0], dataclasses.replace(photos[-1], identity="0001")), "classes")


def _people(count: int, photos: int, kind: str = "real") -> list[Photo]:
    return [
        Photo(f"{kind}{person:03d}", 1, "x", kind=kind, group=f"g{number % 4}")  # type: ignore[arg-type]
        for person in range(count)
        for number in range(photos)
    ]


def test_pk_batches_have_their_shape_quota_and_cameras():
    photos = [*_people(10, 8), *_people(30, 5, "virtual")]
    order = BatchOrder(photos, BatchPlan(photos=32, per_identity=4, virtual_share=0.25, seed=3))
    seen = set()
    for step in range(20):
        rows = order.draw(step).reshape(8, 4)
        people = [{photos[row].identity for row in group} for group in rows.tolist()]
        assert all(len(names) == 1 for names in people) and len(set.union(*people)) == 8
        assert sum(photos[group[0]].kind == "virtual" for group in rows.tolist()) == 2
        assert all(len({photos[row].group for row in group}) == 4 for group in rows.tolist())
        seen |= set.union(*people)
    assert len(seen) == 40


def test_virtual_people_leave_after_their_steps_and_their_places_are_filled():
    photos = [*_people(10, 8), *_people(30, 5, "virtual")]
    plan = BatchPlan(photos=32, per_identity=4, virtual_share=0.25, seed=3, virtual_steps=5)
    order, endless = BatchOrder(photos, plan), BatchOrder(photos, dataclasses.replace(plan, virtual_steps=None))
    for step in range(10):
        rows = order.draw(step).tolist()
        assert len(rows) == 32
        assert sum(photos[row].kind == "virtual" for row in rows) == (8 if step < 5 else 0)
        assert (rows == endless.draw(step).tolist()) == (step < 5)


def test_few_photos_are_drawn_again_and_a_pass_holds_everyone_once():
    order = BatchOrder(_people(4, 3), BatchPlan(photos=8, per_identity=4, seed=1))
    assert sorted(set(order.draw(0).tolist()) & {0, 1, 2}) in ([], [0, 1, 2])
    plain = BatchOrder(_people(5, 4), BatchPlan(photos=10, seed=1))
    first, second = ([*plain.draw(step).tolist(), *plain.draw(step + 1).tolist()] for step in (0, 2))
    assert sorted(first) == sorted(second) == list(range(20)) and first != second
    assert plain.batches_per_pass == 2


def test_batches_depend_on_seed_and_step_alone():
    photos = [*_people(10, 8), *_people(6, 5, "virtual")]
    plan = BatchPlan(photos=16, per_identity=4, virtual_share=0.5, seed=3)
    forward = [BatchOrder(photos, plan).draw(step).tolist() for step in range(6)]
    order = BatchOrder(photos, plan)
    assert [order.draw(step).tolist() for step in reversed(range(6))] == forward[::-1]
    assert BatchOrder(photos, dataclasses.replace(plan, seed=4)).draw(0).tolist() != forward[0]


def test_ranks_share_a_batch_by_identities():
    rows = np.arange(16)
    parts = [share_of_rank(rows, rank, 2, 4) for rank in range(2)]
    assert np.concatenate(parts).tolist() == rows.tolist() and all(len(part) == 8 for part in parts)
    with pytest.raises(ReidError, match="cannot be shared by 3 processes"):
        share_of_rank(rows, 0, 3, 4)


def test_virtual_people_come_on_top_or_first_or_fade():
    real, virtual = _people(8, 4), _people(8, 4, "virtual")
    photos = (*real, *virtual)
    extra = BatchPlan(photos=8, virtual_extra=4, virtual_steps=6, virtual_first=2)
    order = BatchOrder(photos, extra)
    drawn = [[int(row) < len(real) for row in order.draw(step)] for step in range(8)]
    assert [(sum(one), len(one)) for one in drawn] == [(0, 8)] * 2 + [(8, 12)] * 4 + [(8, 8)] * 2
    assert extra.real_photos(8) == 48
    fading = BatchPlan(photos=8, virtual_share=0.5, virtual_steps=4, virtual_fades=True)
    assert [fading.shares_at(step) for step in range(5)] == [(4, 4), (5, 3), (6, 2), (7, 1), (8, 0)]
    identities = BatchPlan(photos=8, per_identity=2, virtual_extra=4)
    assert identities.shares_at(0) == (4, 2) and len(BatchOrder(photos, identities).draw(0)) == 12
    with pytest.raises(ValueError, match="not both"):
        BatchPlan(photos=8, virtual_share=0.5, virtual_extra=4)


def test_orders_that_cannot_be_are_refused():
    with pytest.raises(ReidError, match="there are no photos to train on"):
        BatchOrder([], BatchPlan(4))
    with pytest.raises(ReidError, match="but there are 4 real and 0 virtual"):
        BatchOrder(_people(2, 2), BatchPlan(4, virtual_share=0.5))
    with pytest.raises(ValueError, match="no multiple of 3"):
        BatchPlan(4, per_identity=3)
    with pytest.raises(ValueError, match=r"virtual_share in 0..1"):
        BatchPlan(4, virtual_share=1.0)


def test_augmentation_flips_shifts_and_erases_as_it_says():
    pixels = torch.randint(0, 256, (64, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain = normalised(pixels)
    assert torch.allclose(plain[0, 0, 0, 0], (pixels[0, 0, 0, 0] / 255 - 0.485) / 0.229)
    flipped = augmented(pixels, Augmentation(flip=True, pad_px=0, erasing=0), np.random.default_rng(0))
    same, mirrored = ((flipped == other).flatten(1).all(1) for other in (plain, plain.flip(3)))
    assert bool((same ^ mirrored).all()) and 20 < int(same.sum()) < 44
    shifted = augmented(pixels, Augmentation(flip=False, pad_px=3, erasing=0), np.random.default_rng(0))
    offsets = {
        (y, x)
        for image, source in zip(shifted, plain, strict=True)
        for y in range(-3, 4)
        for x in range(-3, 4)
        if torch.equal(image[:, 3:-3, 3:-3], source[:, 3 + y : 29 + y, 3 + x : 13 + x])
    }
    assert len(offsets) > 20
    erased = augmented(pixels, Augmentation(flip=False, pad_px=0, erasing=0.5), np.random.default_rng(0))
    share = (erased != plain).any(1).float().mean((1, 2))
    assert 20 < int((share > 0).sum()) < 44 and 0.01 < float(share[share > 0].min()) and float(share.max()) < 0.45
    assert not erased[(erased != plain).any(1, keepdim=True).expand_as(erased)].any()


def test_jitter_keeps_shapes_and_changes_colours_mildly():
    pixels = torch.full((8, 3, 8, 8), 100, dtype=torch.uint8)
    changed = augmented(pixels, Augmentation(False, 0, 0.0, jitter=0.2), np.random.default_rng(0))
    base = normalised(pixels)
    assert changed.shape == base.shape and 0 < float((changed - base).abs().max()) < 0.5
    for bad in ({"pad_px": -1}, {"erasing": 1.1}, {"jitter": 1.0}):
        with pytest.raises(ValueError, match="must"):
            Augmentation(**bad)


def test_reid_people_is_the_documented_format(tmp_path):
    """The hand-written shards and those of `mmgen augment-reid` have the same index keys where we read them."""
    root = shards(tmp_path)
    keys = set(json.loads(Path(root / "index.jsonl").read_text().splitlines()[0]))
    documented = Path(__file__).parents[2].joinpath("mmgen/augment/shards.py").read_text()
    assert all(f"{key} " in documented or f"{key}," in documented for key in keys)
