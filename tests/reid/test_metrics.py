import numpy as np
import pytest

from reid.metrics.ranking import Members, cosine_distances, paired_bootstrap, score_distances
from reid.metrics.reranking import Reranking, reranked_distances
from reid.models.backbones import load_module


def members(person, camera):
    return Members(np.array(person, np.int64), np.array(camera, np.int64))


def scores(distances, query, gallery):
    return score_distances(iter([np.array(distances, np.float32)]), members(*query), members(*gallery))


VECTORS = {  # the published rules' worked examples, junk (-1) left out as the readers do
    "junk and distractor": (
        [[0.05, 0.20, 0.30, 0.40, 0.50]],
        ([1], [1]),
        ([1, 0, 1, 2, 1], [1, 3, 2, 2, 3]),
        (0, 1 / 2, 1 / 3),
    ),
    "two queries": (
        [[0.1, 0.6, 0.4, 0.2, 0.3], [0.5, 0.2, 0.1, 0.3, 0.4]],
        ([3, 4], [1, 2]),
        ([3, 4, 3, 4, 5], [2, 1, 3, 3, 1]),
        (0.5, 2 / 3, 9 / 16),
    ),
    "a query without an answer": (
        [[0.1, 0.5, 0.6], [0.9, 0.2, 0.3]],
        ([7, 8], [1, 1]),
        ([7, 8, 9], [1, 2, 2]),
        (1, 1, 1),
    ),
    "ties": ([[0.5, 0.5, 0.5, 0.5]], ([1], [1]), ([2, 1, 2, 1], [2, 2, 3, 3]), (0, 1 / 2, 1 / 3)),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name):
    distances, query, gallery, expected = VECTORS[name]
    found = scores(distances, query, gallery)
    summary = found.summary()
    assert (summary["rank1"], summary["map_plain"], summary["map_trapezoid"]) == pytest.approx(expected)
    assert found.tied.tolist() == [name == "ties"] * len(distances)
    if name == "a query without an answer":
        assert found.valid.tolist() == [False, True]
        over_all = found.summary(over_all=True)
        assert (over_all["rank1"], over_all["map_plain"], over_all["map_trapezoid"]) == (0.5, 0.5, 0.5)


def test_rank_k_and_the_hardest_answer():
    found = scores([[0.1, 0.2, 0.3, 0.4]], ([1], [1]), ([2, 1, 3, 1], [2, 2, 2, 3]))
    assert [found.within(k)[0] for k in (1, 2)] == [0, 1]
    assert found.inverse_penalty[0] == pytest.approx(2 / 4)


def test_no_valid_query_and_wrong_number_of_rows():
    assert scores([[0.5]], ([1], [1]), ([2], [1])).summary()["map_plain"] == 0
    with pytest.raises(ValueError, match="1 rows of distances for 2 queries"):
        scores([[0.5]], ([1, 1], [1, 1]), ([2], [1]))


def _search(rng, queries=25, gallery=150, length=8):
    features = rng.normal(size=(queries + gallery, length)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    people, cameras = rng.integers(1, 9, len(features)), rng.integers(1, 4, len(features))
    sides = (slice(0, queries), slice(queries, None))
    return [features[side] for side in sides], [members(people[side], cameras[side]) for side in sides]


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_torchreids_evaluator(seed):
    (query, gallery), (left, right) = _search(np.random.default_rng(seed))
    evaluate_rank = load_module("torchreid.reid.metrics.rank").evaluate_rank
    distances = 1 - query @ gallery.T
    cmc, mean_ap = evaluate_rank(distances, left.person, right.person, left.camera, right.camera, use_cython=False)
    ours = score_distances(cosine_distances(query, gallery), left, right).summary()
    assert [ours["rank1"], ours["rank5"], ours["rank10"]] == pytest.approx(cmc[[0, 4, 9]].tolist(), abs=1e-6)
    assert ours["map_plain"] == pytest.approx(mean_ap, abs=1e-6)
    assert ours["map_trapezoid"] < ours["map_plain"]


@pytest.mark.parametrize("k2", [1, 6])
def test_reranking_equals_torchreids(k2):
    (query, gallery), _ = _search(np.random.default_rng(7))
    published = load_module("torchreid.reid.utils.rerank").re_ranking
    expected = published(1 - query @ gallery.T, 1 - query @ query.T, 1 - gallery @ gallery.T, k2=k2)
    ours = np.concatenate(list(reranked_distances(query, gallery, Reranking(blended=k2))))
    assert np.abs(ours - expected).max() < 2e-6


def test_blocks_of_distances_do_not_matter():
    (query, gallery), (left, right) = _search(np.random.default_rng(3))
    small = list(cosine_distances(query, gallery, chunk_bytes=4 * len(gallery) * 3))
    assert len(small) == 9 and len(list(cosine_distances(query, gallery))) == 1
    blocks = score_distances(iter(small), left, right)
    assert np.allclose(blocks.plain_ap, score_distances(cosine_distances(query, gallery), left, right).plain_ap)


def test_bootstrap_pairs_queries_and_widens_with_groups():
    rng = np.random.default_rng(0)
    hard = rng.random(400)
    noise = 0.05 * rng.normal(size=(3, 400))
    gain = paired_bootstrap((hard + 0.02 + noise) - hard)
    assert gain.mean == pytest.approx(0.02, abs=0.01) and gain.is_clear_of_zero and gain.low < gain.mean < gain.high
    assert not paired_bootstrap(noise - noise.mean()).is_clear_of_zero
    people = np.repeat(np.arange(40), 10)
    by_person = np.repeat(0.1 * rng.normal(size=(3, 40)), 10, axis=1)
    alone, together = paired_bootstrap(by_person), paired_bootstrap(by_person, people)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert paired_bootstrap(by_person) == alone


def test_bootstrap_interval_has_its_coverage():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(60):
        sample = np.tile(rng.normal(1.0, 1.0, 60), (3, 1))
        found = paired_bootstrap(sample, seed=trial, draws=400)
        hits += found.low <= 1.0 <= found.high
    assert 50 <= hits <= 60
