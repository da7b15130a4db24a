import io
import random
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from augment_folders import market_listing
from scipy import ndimage
from training_data import write_people

from mmgen.augment.accounting import PUBLISHED, account, account_before, accounting_of
from mmgen.augment.compositing import developed, finish, with_shadow
from mmgen.augment.drawing import view_consistency
from mmgen.augment.garments import WAIST, garment_map
from mmgen.augment.mixing import MARGIN, mixed
from mmgen.augment.options import AugmentOptions, MixOptions, RenderOptions
from mmgen.augment.plan import Outfit, Plan, ResolvedPlan, choose_hardest_half, fixed_pairs
from mmgen.augment.sources import Source, find_sources
from mmgen.augment.tar import TarBuilder, read_tar
from mmgen.core.errors import FatalError
from mmgen.datasets.index import IndexRow, write_index
from mmgen.photos.inputs import UsageError
from mmgen.templates import named_template
from mmgen.work.records import Record, Review


@pytest.fixture(scope="module")
def market():
    plan = Plan(AugmentOptions(), market_listing())
    return plan, ResolvedPlan(plan, fixed_pairs(plan))


def few(count=10, **draw):
    photos = tuple(
        Source(f"t/{pid:04d}_c1s1_00000{view}_01.jpg", f"{pid:04d}", 1) for pid in (3, 1, 2) for view in (0, 1)
    )
    return Plan(AugmentOptions(MixOptions(**draw)), photos[:count])


def test_the_arithmetic_of_the_paper_comes_out(market):
    assert (PUBLISHED.sets, PUBLISHED.views) == (12_926, 64_630)
    assert (PUBLISHED.all_images, PUBLISHED.all_identities) == (77_566, 12_991)
    plan, settled = market
    counts = account(settled)
    assert (counts.images, counts.identities, counts.pairs) == (12_936, 751, 12_936)
    same = sum(plan.photos[pair.first].pid == plan.photos[pair.second].pid for pair in settled.pairs)
    assert counts.same_identity == same > 0
    assert counts.sets == 12_936 - same == len(settled.sets)
    assert counts.views == 5 * counts.sets
    assert counts.all_images == 12_936 + counts.views
    assert counts.virtual_identities == len({one.pid for one in settled.sets}) == len(settled.classes) - 751
    assert counts.is_market and not replace(counts, images=12_935).is_market
    assert accounting_of(counts.to_dict()) == counts
    assert account_before(plan).views is None and account_before(plan).pairs == 12_936


def test_a_plan_depends_on_listing_options_and_seed_alone():
    plan = Plan(AugmentOptions(), market_listing(1300, 75))
    settled = ResolvedPlan(plan, plan.candidates)
    again = Plan(plan.options, plan.photos)
    assert again.candidates == plan.candidates and again.sha256 == plan.sha256
    other = Plan(AugmentOptions(MixOptions(seed=1)), plan.photos)
    assert other.candidates != plan.candidates and other.sha256 != plan.sha256
    assert sorted(pair.second for pair in plan.candidates) == list(range(1300))  # everyone lends once
    assert few().candidates[:3] == few(seed=0).candidates[:3]
    keys = {one.key for one in settled.sets}
    assert len(keys) == len(settled.sets) == len({one.seed for one in settled.sets})
    assert [len(shard) for shard in settled.virtual_shards[:-1]] == [400] * (len(settled.virtual_shards) - 1)


def test_a_person_number_is_one_outfit_on_one_body():
    """Over random plans: a number decides body, lender and outfit, and no two of these share a number."""
    for seed in range(8):
        people = 3 + 4 * seed
        draw = (MixOptions(seed), MixOptions(seed, mix="blend", own_weight=(0.3, 0.7)))[seed % 2]
        plan = Plan(AugmentOptions(draw), market_listing(12 * people, people))
        sets = ResolvedPlan(plan, fixed_pairs(plan)).sets
        worn = {(one.pid, *(plan.photos[i].pid for i in (one.first, one.partners[0])), one.outfit) for one in sets}
        assert len(worn) == len({one.pid for one in sets}) == len({who[1:3] for who in worn}) < len(sets)
        outfits = {who[3] for who in worn}
        assert len(outfits) == (2 if draw.mix == "regions" else len(worn))


def test_labels_are_ordered_pairs_of_equal_length():
    plan = few()
    assert plan.virtual_pid(0, 2) == "00030001" and plan.virtual_pid(2, 0) == "00010003"
    long = Plan(AugmentOptions(), (Source("a.jpg", "12345", 1), Source("b.jpg", "0678", 1), Source("c.jpg", "067", 1)))
    assert long.virtual_pid(0, 1) == "1234500678" and long.virtual_pid(1, 2) == "0067800067"
    settled = ResolvedPlan(plan, fixed_pairs(plan))
    assert list(settled.classes)[:3] == ["0001", "0002", "0003"]
    assert list(settled.classes.values()) == list(range(len(settled.classes)))
    assert list(settled.classes)[3:] == sorted(list(settled.classes)[3:])


def test_unusable_photos_lend_nothing():
    plan = few(partners="identity")
    pair = next(pair for pair in plan.candidates if not plan.is_same_person(pair))
    both = plan.virtual_set(pair)
    assert {plan.photos[index].pid for index in both.partners} == {plan.photos[pair.second].pid} and len(
        both.partners
    ) == 2
    settled = ResolvedPlan(plan, plan.candidates, frozenset({pair.second}))
    assert all(pair.second not in (one.first, *one.partners) for one in settled.sets)
    assert any(len(one.partners) == 1 for one in settled.sets)
    image = few()
    dropped = ResolvedPlan(image, image.candidates, frozenset({0}))
    assert account(dropped).unusable == len(ResolvedPlan(image, image.candidates).sets) - len(dropped.sets) > 0


def test_the_hardest_half_is_taken_per_64_photos_and_pass():
    plan = Plan(AugmentOptions(MixOptions(selection="hardest-half")), market_listing(131, 30))
    assert fixed_pairs(plan) is None and len(plan.candidates) == 262
    changes = [random.Random(number).random() for number in range(262)]
    chosen = choose_hardest_half(plan, changes)
    assert len(chosen) == 131
    first = [pair.number for pair in chosen if pair.number < 64]
    assert sorted(first, key=lambda number: -changes[number]) == sorted(range(64), key=lambda n: -changes[n])[:32]
    assert sum(128 <= pair.number < 131 for pair in chosen) == 2 and sum(pair.number >= 259 for pair in chosen) == 1


def test_wrong_options_are_refused():
    with pytest.raises(UsageError, match=r"0\.7:0\.3"):
        AugmentOptions(MixOptions(own_weight=(0.7, 0.3)))
    with pytest.raises(UsageError, match="for blended textures"):
        AugmentOptions(MixOptions(own_weight=(0.3, 0.7)))
    with pytest.raises(UsageError, match="every turn is needed once"):
        AugmentOptions(look=RenderOptions(turns_deg=(0, 0)))


def test_only_training_people_are_sources(tmp_path):
    root = write_people(tmp_path / "market", identities=2, views=2)
    junk = root / "bounding_box_train/0000_c1s1_000000_01.jpg"
    junk.write_bytes(b"")
    found = find_sources(tmp_path)
    assert found.root == root and found.identities == ("0001", "0002") and len(found.photos) == 4
    (root / "query").mkdir()
    (root / "query/0002_c1s1_000000_00.jpg").write_bytes(b"")
    with pytest.raises(FatalError, match="training set and in query or gallery: 0002"):
        find_sources(root)
    (root / "query/0002_c1s1_000000_00.jpg").unlink()
    with pytest.raises(FatalError, match="has 1 training identities"):
        find_sources(root, limit=2)
    twin = root / "bounding_box_train/more/0001_c1s1_000000_01.jpg"
    twin.parent.mkdir()
    twin.write_bytes(b"")
    with pytest.raises(FatalError, match="would get the same key"):
        find_sources(root)


def test_only_photos_whose_meshes_were_accepted_lend_anything(tmp_path):
    root = write_people(tmp_path / "market", identities=2, views=2)
    everyone = find_sources(root)
    photos, meshes = root / "bounding_box_train", tmp_path / "meshes"
    meshes.mkdir()
    verdicts = ["accepted", "rejected", "accepted", None]
    names = [source.path.removeprefix("bounding_box_train/") for source in everyone.photos]
    records = [
        Record(name, "ok", output=f"{number}.glb", root=str(photos), review=Review(verdict))
        for number, (name, verdict) in enumerate(zip(names, verdicts, strict=True))
    ]
    (meshes / "manifest.jsonl").write_text("".join(record.to_line() for record in records))
    assert find_sources(root, accepted=meshes).photos == (everyone.photos[0], everyone.photos[2])


def test_an_indexed_data_set_is_guarded_too(tmp_path):
    def row(path, identity, split):
        return IndexRow(path, None, identity, 3, split, None, 64, 128, "0" * 64, True)

    rows = [row("a/1.jpg", "0001", "train"), row("a/2.jpg", "0002", "train"), row("q/3.jpg", "0003", "query")]
    write_index(tmp_path, rows)
    assert [(photo.pid, photo.camid) for photo in find_sources(tmp_path).photos] == [("0001", 3), ("0002", 3)]
    write_index(tmp_path, [*rows, row("g/2.jpg", "0002", "gallery")])
    with pytest.raises(FatalError, match="identity_leak"):
        find_sources(tmp_path)


def test_textures_are_mixed_as_asked():
    own, partner = torch.zeros(3, 16, 8), torch.ones(3, 16, 8)
    garments = garment_map(named_template("person"), (16, 8))
    texture = mixed(own, partner, Outfit("blend", own_weight=0.3), garments)
    assert torch.allclose(texture, torch.full_like(own, 0.7))
    weights = [few(mix="blend", own_weight=(0.2, 0.6)).outfit(str(pid)).own_weight for pid in range(40)]
    assert 0.2 <= min(weights) < 0.3 and 0.5 < max(weights) <= 0.6
    for swapped, part in (("upper", garments.upper), ("lower", garments.lower)):
        texture = mixed(own, partner, Outfit("regions", swapped=swapped), garments)
        assert torch.allclose(texture[0], part(WAIST + MARGIN), atol=1e-6)


def test_garments_change_where_they_end_and_head_and_hands_stay():
    """A coat down to 0.45 of the height over a short top that ends at 0.6, and the other way around."""
    garments = garment_map(named_template("person"), (256, 64))
    is_own, is_arm, height = garments.own > 0.9, garments.arms > 0.9, garments.height

    def person(end, top, bottom, skin):
        upper = (height > end) | is_arm
        return torch.where(is_own, skin, torch.where(upper, top, bottom)).expand(3, -1, -1)

    coat, short = person(0.45, 0.9, 0.2, 0.5), person(0.6, 0.7, 0.4, 0.6)
    assert [garments.border(one) for one in (coat, short)] == pytest.approx([0.45, 0.6], abs=0.02)
    assert garments.border(torch.full((3, 256, 64), 0.5)) == WAIST
    for first, second, end, colours in ((short, coat, 0.45, (0.9, 0.4, 0.6)), (coat, short, 0.6, (0.7, 0.2, 0.5))):
        worn = mixed(first, second, Outfit("regions", swapped="upper"), garments)[0]
        clear = (garments.own < 0.1) & ((height - end).abs() > 0.03)
        assert torch.allclose(worn[is_own], torch.tensor(colours[2]))
        no_arm = garments.arms < 0.1
        parts = (clear & (is_arm | ((height > end) & no_arm)), clear & (height < end) & no_arm)
        for part, colour in zip(parts, colours, strict=False):
            assert torch.allclose(worn[part], torch.tensor(colour), atol=0.03)


def test_a_shadow_lies_under_feet_that_stand_in_the_picture():
    plates = np.full((2, 64, 32, 3), 200, np.uint8)
    covered = np.zeros((2, 64, 32), bool)
    covered[0, 10:58, 12:20] = True
    covered[1, 10:, 12:20] = True  # cut off by the frame
    found = with_shadow(plates, covered, 0.5)
    assert np.array_equal(found[1], plates[1]) and np.array_equal(found[0, :50], plates[0, :50])
    assert found[0, 57, 16, 0] < 170 < found[0, 57, 2, 0] and (found[0] <= plates[0]).all()


def test_sharpening_leaves_flat_people_and_backgrounds_alone():
    rng = np.random.default_rng(2)
    cover = np.zeros((1, 24, 12), np.float32)
    cover[:, 4:20, 3:9] = 1
    plates = rng.integers(0, 256, (1, 24, 12, 3)).astype(np.uint8)
    flat = cover[..., None] * np.float32([0.2, 0.5, 0.8])
    edge = flat.copy()
    edge[:, 12:] *= 0.5
    for person in (flat, edge):
        pictures = np.where(cover[..., None] > 0, 255 * person, plates).round().astype(np.uint8)
        found = developed(pictures, person, cover, 0.5, None).astype(int)
        changed = np.abs(found - pictures).max(axis=(0, 2, 3))
        assert np.array_equal(found[cover == 0], pictures[cover == 0])
        assert changed[4:9].max() <= 1 and (changed[11:13].min() > 5) == (person is edge)


def test_finishing_mends_outlines_and_leaves_no_fringe():
    generator = np.random.default_rng(0)
    index = np.where(ndimage.zoom(generator.random((3, 5, 4)), (1, 4, 4), order=1) > 0.5, 0, -1).astype(np.int64)
    index[0, 4:9, 4:9] = 0
    index[0, 6, 6] = -1  # a pinhole
    index[1], index[1, 5, 5] = -1, 0  # a speck
    image = generator.random((3, 3, 20, 16), dtype=np.float32)
    plates = generator.integers(0, 256, (3, 10, 8, 3), dtype=np.uint8)
    gains = np.float32([[1, 1, 1], [1, 1, 1], [0.5, 1, 3]])
    pictures, person, cover = finish(image, index, plates, gains)
    covered = (index >= 0).astype(float)
    around = np.stack([ndimage.convolve(one, np.ones((3, 3)), mode="constant") for one in covered])
    kept = (covered > 0) & (around >= 3)
    filled = (covered == 0) & (around >= 5)
    colours = image * covered[:, None]
    near = np.stack([[ndimage.convolve(c, np.ones((3, 3)), mode="constant") for c in one] for one in colours])
    fine = colours * kept[:, None] + filled[:, None] * near / np.maximum(around, 1)[:, None]
    share = (kept | filled).reshape(3, 10, 2, 8, 2).mean(axis=(2, 4))
    mean = fine.reshape(3, 3, 10, 2, 8, 2).mean(axis=(3, 5)).transpose(0, 2, 3, 1)
    mean = np.minimum(mean * gains[:, None, None], share[..., None])  # a brighter person ends at white, edges too
    assert filled[0, 6, 6] and not kept[1].any()
    np.testing.assert_allclose(person, mean, atol=1e-6)
    np.testing.assert_allclose(cover, share, atol=1e-6)
    np.testing.assert_allclose(pictures, mean * 255 + (1 - share[..., None]) * plates, atol=0.51)


def test_consistency_is_of_clothes_not_of_outlines():
    person, cover = np.zeros((4, 24, 12, 3), np.float32), np.zeros((4, 24, 12), np.float32)
    for view, (top, left) in enumerate([(0, 2), (4, 5), (2, 0)]):
        cover[view, top : top + 20, left : left + 4 + view] = 1
    person[...] = cover[..., None] * np.float32(0.5)
    scores = view_consistency(person, cover)
    assert scores[:3] == pytest.approx([1, 1, 1]) and scores[3] == 0
    person[2] = cover[2][..., None]
    scores = view_consistency(person, cover)
    assert scores[:3] == pytest.approx([5 / 6, 5 / 6, 4 / 6])
    assert view_consistency(person[3:], cover[3:]) == [0.0]


def test_tars_hold_what_the_contract_says_and_nothing_else():
    builder = TarBuilder()
    parts = {"cls": b"7", "jpg": b"x" * 600, "json": b"{}"}
    places = builder.add("virtual/00010002/a+b-000001-az+030", parts)
    data = builder.getvalue()
    assert data[places["jpg"].offset :][:600] == parts["jpg"]
    read = read_tar(data)
    assert read.samples == (("virtual/00010002/a+b-000001-az+030", parts, places),)
    assert read.dali == builder.dali_index()
    assert builder.dali_index().startswith(b"v1.2 1\ncls 512 1 virtual/00010002/a+b-000001-az+030.cls jpg 1536 600 ")
    for key in ("../../etc/passwd", "/virtual/a/b", "virtual/a.b/c", "virtual/../c", "pipe:ls"):
        with pytest.raises(ValueError, match="no such sample"):
            builder.add(key, parts)
    with pytest.raises(ValueError, match="no such sample"):
        builder.add("virtual/a/b", {**parts, "pyd": b""})
    for broken in (data[:-512], data[:1500], data[:-2000] + data[-1024:], data + data, b"no tar" * 200):
        with pytest.raises(ValueError, match=r"cut off|no tar|no (such )?sample"):
            read_tar(broken)
    renamed = data.replace(b".json", b".pyd\0")
    with pytest.raises(ValueError):
        read_tar(renamed)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert {(one.mode, one.mtime, one.uid, one.uname, one.isreg()) for one in tar} == {(0o444, 0, 0, "", True)}
    long = TarBuilder()
    place = long.add("virtual/00010002/" + "x" * 200, parts)["jpg"]
    data = long.getvalue()
    assert data[place.offset :][: place.size] == parts["jpg"]
    assert read_tar(data).samples[0][1] == parts
