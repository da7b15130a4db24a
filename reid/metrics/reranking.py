"""k-reciprocal re-ranking (Zhong et al. 2017) with sparse vectors: memory grows with the images, not with their square.

Neighbours, expansions and weights are as in the published code; what is compared with it in the tests is the result.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

CHUNK_BYTES = 64 << 20


@dataclass(frozen=True)
class Reranking:
    """Settings.

    Attributes:
        neighbours: k1.
        blended: k2: vectors of so many nearest images are averaged.
        original: share of the original distance in the result, 0..1 (lambda).
    """

    neighbours: int = 20
    blended: int = 6
    original: float = 0.3


def reranked_distances(query: Floats, gallery: Floats, how: Reranking | None = None) -> Iterator[Floats]:
    """Blocks of rows of re-ranked distances, together [Q, G].

    Args:
        query: [Q, D] features of length 1.
        gallery: [G, D] likewise.
        how: settings; Market's usual ones when None.
    """
    how = how or Reranking()
    features = np.concatenate((query, gallery))
    nearest, largest = _nearest(features, how.neighbours + 1)
    vectors = _vectors(features, nearest, largest, how.neighbours)
    if how.blended > 1:
        vectors = _blended(vectors, nearest, how.blended)
    columns = vectors[len(query) :].tocsc()
    rows = max(1, CHUNK_BYTES // (4 * max(1, len(gallery))))
    for start in range(0, len(query), rows):
        chosen = slice(start, min(start + rows, len(query)))
        original = _squared_gaps(query[chosen], gallery) / largest[chosen, None]
        jaccard = np.stack([_jaccard(vectors, columns, number) for number in range(chosen.start, chosen.stop)])
        yield ((1 - how.original) * jaccard + how.original * original).astype(np.float32)


def _squared_gaps(left: Floats, right: Floats) -> Floats:
    """Squares of the cosine distance, as the published code takes squares of what it is given."""
    gaps: Floats = np.square(1 - left @ right.T)
    return gaps


def _nearest(features: Floats, count: int) -> tuple[Numbers, Floats]:
    """Per image: its `count` nearest with itself, nearest first; its largest squared distance to any."""
    total = len(features)
    count = min(count, total)
    indices = np.empty((total, count), np.int64)
    largest = np.empty(total, np.float32)
    rows = max(1, CHUNK_BYTES // (4 * total))
    for start in range(0, total, rows):
        block = _squared_gaps(features[start : start + rows], features)
        largest[start : start + rows] = np.maximum(block.max(axis=1), np.finfo(np.float32).tiny)
        indices[start : start + rows] = _first_of_sorted(block, count)
    return indices, largest


def _first_of_sorted(block: Floats, count: int) -> Numbers:
    """The first `count` columns of every row's stable argsort, without sorting whole rows."""
    bounds = np.partition(block, count - 1, axis=1)[:, count - 1]
    chosen = np.empty((len(block), count), np.int64)
    for number, (row, bound) in enumerate(zip(block, bounds, strict=True)):
        candidates = np.flatnonzero(row <= bound)
        chosen[number] = candidates[np.argsort(row[candidates], kind="stable")][:count]
    return chosen


def _vectors(features: Floats, nearest: Numbers, largest: Floats, neighbours: int) -> sparse.csr_array:
    """Per image a sparse vector: weights of its k-reciprocal neighbours and of those of theirs that overlap enough."""
    half = round(neighbours / 2) + 1
    sets = [set(row.tolist()) for row in nearest]
    half_sets = [set(row[:half].tolist()) for row in nearest]
    starts, columns, values = [0], [], []
    for number, row in enumerate(nearest):
        reciprocal = [other for other in row.tolist() if number in sets[other]]
        members = np.array(sorted(_expanded(reciprocal, half_sets)), np.int64)
        gaps = np.square(1 - features[members] @ features[number]) / largest[number]
        weights = np.exp(-gaps)
        columns.append(members)
        values.append(weights / weights.sum())
        starts.append(starts[-1] + len(members))
    data = (np.concatenate(values), np.concatenate(columns), np.array(starts))
    return sparse.csr_array(data, shape=(len(features), len(features)))


def _expanded(reciprocal: list[int], half_sets: list[set[int]]) -> set[int]:
    expanded = set(reciprocal)
    for candidate in reciprocal:
        theirs = {other for other in half_sets[candidate] if candidate in half_sets[other]}
        if len(theirs.intersection(reciprocal)) > 2 / 3 * len(theirs):
            expanded |= theirs
    return expanded


def _blended(vectors: sparse.csr_array, nearest: Numbers, count: int) -> sparse.csr_array:
    """Every vector replaced by the mean of those of its `count` nearest images."""
    near = nearest[:, :count]
    total, width = near.shape
    starts = np.arange(0, total * width + 1, width)
    mean = sparse.csr_array((np.full(near.size, 1 / width, np.float32), near.ravel(), starts), shape=(total, total))
    return sparse.csr_array(mean @ vectors)


def _jaccard(vectors: sparse.csr_array, columns: sparse.csc_array, number: int) -> NDArray[np.float64]:
    """Distances of image `number` to the gallery: 1 - sum of minima / sum of maxima; vectors have sum 1."""
    shared = np.zeros(columns.shape[0])
    for place in range(vectors.indptr[number], vectors.indptr[number + 1]):
        column, value = vectors.indices[place], vectors.data[place]
        part = slice(columns.indptr[column], columns.indptr[column + 1])
        shared[columns.indices[part]] += np.minimum(value, columns.data[part])
    return 1 - shared / (2 - shared)
