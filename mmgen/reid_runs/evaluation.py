"""Searching a gallery with a trained network, and the figures of that."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.reid_runs.manifest import DataSection
from mmgen.reid_runs.sources import read_dataset
from mmgen.reid_runs.weights import load_reid_weights
from reid.data.layouts import DISTRACTOR
from reid.data.photos import Photo
from reid.data.pixels import PixelStore
from reid.features import extract_features
from reid.learner import channels_last, dtype_of
from reid.metrics.ranking import Members, Scores, cosine_distances, score_distances
from reid.metrics.reranking import reranked_distances
from reid.models.network import ReidNetwork

NO_MEMORY = 0
"""Test photos are looked at once."""


@dataclass(frozen=True)
class SearchTask:
    """Who is looked for, and where.

    Attributes:
        query_members: numbers of persons and cameras.
    """

    query: tuple[Photo, ...]
    gallery: tuple[Photo, ...]
    query_members: Members
    gallery_members: Members


@dataclass(frozen=True)
class SearchResult:
    """Figures of one search.

    Attributes:
        person: [Q] who each query is.
    """

    scores: Scores
    person: NDArray[np.int64]
    seconds: dict[str, float]

    def as_data(self) -> dict[str, Any]:
        """Plain values for JSON: means over queries that have a right answer, and over all."""
        scores = self.scores
        return {
            "queries": len(scores.first_rank),
            "queries_with_an_answer": int(scores.valid.sum()),
            "queries_with_ties": int(scores.tied.sum()),
            "figures": scores.summary(),
            "figures_over_all_queries": scores.summary(over_all=True),
            "seconds": self.seconds,
        }


def search_task(root: Path, section: DataSection) -> SearchTask:
    """The test side of a data set.

    Raises:
        FatalError: `no_test_photos`, `no_answers`.
        ReidError: as from the readers.
    """
    dataset = read_dataset(root, section)
    if not dataset.query or not dataset.gallery:
        raise FatalError(
            "no_test_photos",
            f"{display_name(root)} has {len(dataset.query)} query and {len(dataset.gallery)} gallery photos",
            "A search needs both: query/ and bounding_box_test/ (or gallery/).",
        )
    _refuse_unanswerable(dataset.query, dataset.gallery)
    names = {photo.identity for photo in (*dataset.query, *dataset.gallery)} - {DISTRACTOR}
    number = {name: index for index, name in enumerate(sorted(names))} | {DISTRACTOR: -1}
    return SearchTask(
        dataset.query, dataset.gallery, _members(dataset.query, number), _members(dataset.gallery, number)
    )


def _refuse_unanswerable(query: Sequence[Photo], gallery: Sequence[Photo]) -> None:
    """Right answers are gallery photos of the same person by another camera; without any, scores mean nothing."""
    cameras: dict[str, set[int]] = {}
    for photo in gallery:
        cameras.setdefault(photo.identity, set()).add(photo.camera)
    if any(cameras.get(photo.identity, set()) - {photo.camera} for photo in query):
        return
    same = any(photo.identity in cameras for photo in query)
    raise FatalError(
        "no_answers",
        "no query has a right answer in the gallery: "
        + ("every photo of the same person is of the query's own camera" if same else "nobody of query is in it"),
        "With unknown cameras use --no-cameras." if same else "Check that query and gallery belong together.",
    )


def _members(photos: Sequence[Photo], number: dict[str, int]) -> Members:
    return Members(
        np.array([number[photo.identity] for photo in photos], np.int64),
        np.array([photo.camera for photo in photos], np.int64),
    )


def search(
    network: ReidNetwork,
    task: SearchTask,
    size: tuple[int, int],
    device: torch.device,
    reranking: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> SearchResult:
    """Extract features of query and gallery and score the search.

    Args:
        network: on `device`.
        size: size of photos, height and width.
        reranking: k-reciprocal re-ranking instead of plain cosine distances.

    Raises:
        ReidError: `photo_unreadable`.
    """
    start = time.perf_counter()
    dtype = dtype_of("auto", device)
    features = []
    for photos in (task.query, task.gallery):
        store = PixelStore(photos, size, NO_MEMORY)
        features.append(extract_features(network, store, device, dtype, advance))
        store.close()
    middle = time.perf_counter()
    query, gallery = features
    distances = reranked_distances(query, gallery) if reranking else cosine_distances(query, gallery)
    scores = score_distances(distances, task.query_members, task.gallery_members)
    seconds = {"features": round(middle - start, 3), "search": round(time.perf_counter() - middle, 3)}
    return SearchResult(scores, task.query_members.person, seconds)


def evaluate_weights(
    weights: Path, task: SearchTask, device: str, reranking: bool, advance: Callable[[int], None]
) -> SearchResult:
    """Score a weights file; see `search`.

    Raises:
        FatalError: as from `load_reid_weights`.
    """
    network, config, _ = load_reid_weights(weights)
    place = torch.device(device)
    return search(channels_last(network, place), task, config.size, place, reranking, advance)
