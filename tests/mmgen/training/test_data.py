import os
import shutil
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from training_data import SIZE, write_people

from mmgen.core.errors import FatalError
from mmgen.datasets.index import IndexRow, write_index
from mmgen.training.augmentation import augmented
from mmgen.training.batches import (
    BatchPlan,
    PhotoStore,
    as_batch,
    batches_per_epoch,
    draw_batches,
    epoch_order,
    identity_numbers,
    make_batch,
)
from mmgen.training.packing import foreground_fractions, pack
from mmgen.training.photos import find_photos, hold_out


@pytest.fixture
def people(tmp_path):
    return write_people(tmp_path / "people")


def store_of(count=12, identities=4):
    packed = np.random.default_rng(0).integers(0, 255, (count, *SIZE, 4)).astype(np.uint8)
    packed[..., 3] = np.where(packed[..., 3] > 127, 255, 0)
    packed[:, 0, 0, 0] = np.arange(count)
    return PhotoStore(packed, np.arange(count) % identities, np.ones(count, dtype=bool))


# which photos


def test_test_people_are_never_listed(people):
    train, validation = find_photos(people)
    assert len(train) == 12 and validation == ()
    assert {photo.identity for photo in train} == {"0001", "0002", "0003"}
    assert [photo.name for photo in train] == sorted(photo.name for photo in train)


def test_photos_without_masks_are_left_out(people):
    next((people / "masks/bounding_box_train").iterdir()).unlink()
    assert len(find_photos(people)[0]) == 11


def test_an_index_decides_where_there_is_one(people):
    names = [photo.name for photo in find_photos(people)[0]][:4]
    splits = ["train", "train", "val", "query"]
    rows = [
        IndexRow(name, f"masks/{name[:-4]}.png", split[0], 1, split, 0.4, 32, 32, "0" * 64, clean=index == 0)
        for index, (name, split) in enumerate(zip(names, splits, strict=True))
    ]
    write_index(people, [*rows, replace(rows[0], path="x.jpg", mask=None)])
    train, validation = find_photos(people)
    assert [photo.name for photo in train] == names[:2] and [photo.name for photo in validation] == names[2:3]
    assert [photo.clean for photo in train] == [True, False]
    assert hold_out(train, 0.5, validation).validation == validation


def test_an_empty_data_set_is_refused(people):
    shutil.rmtree(people / "masks")
    with pytest.raises(FatalError, match="no training photos with masks") as caught:
        find_photos(people)
    assert caught.value.code == "no_training_photos"


def test_held_out_identities_are_held_out_whole_and_always_the_same(people):
    train, _ = find_photos(people)
    split = hold_out(train, 0.34)
    assert len(split.validation) == 4
    assert not {p.identity for p in split.train} & {p.identity for p in split.validation}
    assert hold_out(tuple(reversed(train)), 0.34).validation == tuple(reversed(split.validation))
    assert hold_out(train, 0.0).validation == ()
    unknown = tuple(replace(photo, identity=None) for photo in train)
    assert len(hold_out(unknown, 0.25).validation) == 3


# packing


def test_packing_resizes_and_keeps_order(people):
    train, _ = find_photos(people)
    seen = []
    packed = pack(train, (16, 8), "stretch", people, lambda: seen.append(1))
    assert packed.shape == (12, 16, 8, 4) and len(seen) == 12
    image = Image.open(train[5].image).resize((8, 16), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(packed[5, ..., :3], np.asarray(image))
    mask = Image.open(train[5].mask).resize((8, 16), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(packed[5, ..., 3], np.asarray(mask))


def test_packing_is_done_once_and_again_after_a_change(people):
    train, _ = find_photos(people)
    pack(train, (16, 8), "stretch", people)
    again = []
    pack(train, (16, 8), "stretch", people, lambda: again.append(1))
    assert not again
    os.utime(train[3].image, ns=(1, 1))
    pack(train, (16, 8), "stretch", people, lambda: again.append(1))
    assert len(again) == 12
    assert not list((people / ".mmgen").glob(".*tmp*"))


def test_padding_keeps_the_shape_of_the_photo(tmp_path):
    people = write_people(tmp_path, identities=1, views=1, size=(32, 16))
    train, _ = find_photos(people)
    packed = pack(train, (32, 32), "pad", people)[0]
    assert not packed[:, :8].any() and not packed[:, -8:].any()
    np.testing.assert_array_equal(packed[:, 8:24, :3], np.asarray(Image.open(train[0].image)))


def test_a_broken_photo_is_named(people):
    train, _ = find_photos(people)
    train[2].image.write_bytes(b"no image")
    with pytest.raises(FatalError, match=rf"{train[2].name}: ") as caught:
        pack(train, SIZE, "stretch", people)
    assert caught.value.code == "photo_unusable"
    assert not list((people / ".mmgen").glob("*"))


def test_a_mask_of_another_size_is_named(people):
    train, _ = find_photos(people)
    Image.new("L", (5, 5), 255).save(train[0].mask)
    with pytest.raises(FatalError, match="another size than its photo"):
        pack(train, SIZE, "stretch", people)


def test_a_damaged_pack_is_refused(people):
    train, _ = find_photos(people)
    pack(train, SIZE, "stretch", people)
    (path,) = (people / ".mmgen").glob("packed-*.npy")
    np.save(path, np.zeros((2, 2), np.uint8))
    with pytest.raises(FatalError, match="is damaged"):
        pack(train, SIZE, "stretch", people)


def test_foreground_fractions():
    packed = np.zeros((2, 4, 4, 4), np.uint8)
    packed[1, :2, :, 3] = 255
    np.testing.assert_array_equal(foreground_fractions(packed), [0.0, 0.5])


# augmentation


@pytest.mark.parametrize("kind", ["flip", "shift", "pad_crop", "zoom_crop"])
def test_image_and_mask_move_together(kind):
    store = store_of()
    pictures = store.packed.copy()
    pictures[..., 0] = pictures[..., 3]
    changed = augmented(pictures, kind, 2, np.random.default_rng(1))
    assert changed.shape == pictures.shape and changed.dtype == np.uint8
    if kind != "zoom_crop":  # there the image is interpolated, the mask is not
        inside = changed[:, 4:-4, 4:-4]
        np.testing.assert_array_equal(inside[..., 0], inside[..., 3])
    assert set(np.unique(changed[..., 3])) <= {0, 255}
    assert (changed != pictures).any()


def test_nothing_is_left_as_it_is():
    store = store_of()
    assert augmented(store.packed, "none", 3, np.random.default_rng(0)) is store.packed


def test_flips_are_flips():
    pictures = store_of().packed
    changed = augmented(pictures, "flip", 0, np.random.default_rng(0))
    kept = [(a == b).all() for a, b in zip(pictures, changed, strict=True)]
    flipped = [(a[:, ::-1] == b).all() for a, b in zip(pictures, changed, strict=True)]
    assert all(k or f for k, f in zip(kept, flipped, strict=True)) and any(kept) and any(flipped)


def test_published_padding_is_black_and_ours_repeats_the_border():
    pictures = np.full((40, *SIZE, 4), 255, np.uint8)
    black = augmented(pictures, "pad_crop", 3, np.random.default_rng(0))
    edge = augmented(pictures, "shift", 3, np.random.default_rng(0))
    assert (black[..., :3] == 0).any() and (edge[..., :3] == 255).all()
    # nobody stands in the padding, either way
    np.testing.assert_array_equal(black[..., 3], edge[..., 3])
    assert (edge[..., 3] == 0).any()


def test_zoom_keeps_most_of_the_photo():
    rows = np.linspace(0, 255, 64).astype(np.uint8)
    pictures = np.repeat(np.broadcast_to(rows[:, None, None], (64, 64, 4))[None], 20, axis=0).copy()
    changed = augmented(pictures, "zoom_crop", 0, np.random.default_rng(0))[..., 0].astype(float)
    middle = changed[:, 32, 32]
    assert 100 < middle.min() and middle.max() < 156


# batches


def test_an_epoch_shows_every_photo_once_but_for_the_remainder():
    store, plan = store_of(11), BatchPlan(size=4, seed=3)
    order = epoch_order(store, plan, 0)
    assert order.shape == (2, 4) and batches_per_epoch(store, plan) == 2
    assert len(set(order.ravel())) == 8
    assert not np.array_equal(order, epoch_order(store, plan, 1))
    np.testing.assert_array_equal(order, epoch_order(store, plan, 0))


def test_pairs_share_an_identity():
    store = PhotoStore(store_of(13).packed, np.array([0] * 5 + [1] * 4 + [2] * 3 + [3]), np.ones(13, dtype=bool))
    plan = BatchPlan(size=4, pairs=True)
    order = epoch_order(store, plan, 0)
    assert batches_per_epoch(store, plan) == len(order) == 2  # 2 + 2 + 1 pairs
    pairs = order.reshape(-1, 2)
    assert (store.identity[pairs[:, 0]] == store.identity[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all() and len(set(order.ravel())) == 8
    assert not np.array_equal(np.sort(order.ravel()), np.sort(epoch_order(store, plan, 5).ravel()))


def test_processes_share_an_epoch_without_overlap():
    store = store_of(12)
    alone = epoch_order(store, BatchPlan(size=4), 0)
    parts = [BatchPlan(size=2, rank=rank, processes=2) for rank in (0, 1)]
    for number, rows in enumerate(alone):
        numbers = []
        for plan in parts:
            batch = make_batch(store, epoch_order(store, plan, 0)[number], plan, 0, number)
            numbers += (batch.sample.image[:, 0, 0, 0] * 255).round().int().tolist()
        assert numbers == rows.tolist()


def test_a_batch_is_a_function_of_its_place():
    store, plan = store_of(), BatchPlan(size=4, augmentation="shift", shift_px=2, seed=1)
    first = list(islice(draw_batches(store, plan), 7))
    again = list(islice(draw_batches(store, plan, epoch=1, number=2), 2))
    for one, two in zip(first[5:7], again, strict=True):
        assert (one.epoch, one.number, one.is_last) == (two.epoch, two.number, two.is_last)
        assert torch.equal(one.batch.sample.image, two.batch.sample.image)
    assert [item.is_last for item in first] == [False, False, True, False, False, True, False]


def test_batches_are_tensors_in_the_range_of_photos():
    store = store_of()
    batch = as_batch(store.packed[:4], store.identity[:4], store.clean[:4])
    assert batch.sample.image.shape == (4, 3, *SIZE) and batch.sample.mask.shape == (4, *SIZE)
    assert float(batch.sample.image.max()) <= 1 and set(batch.sample.mask.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(batch.sample.image[2, 1].numpy() * 255, store.packed[2, ..., 1], atol=1e-4)


def test_strangers_are_all_different():
    numbers = identity_numbers(["b", None, "a", "b", None])
    assert numbers[0] == numbers[3] and len(set(numbers)) == 4
