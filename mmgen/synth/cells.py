"""Nearest places on a surface, by the parts of the person that they belong to: places in cells, compiled search."""

from typing import NamedTuple

import numpy as np
from numba import njit

CELL_M = 0.015
"""Side of a cell: a few places of a surface each."""


class Cells(NamedTuple):
    """Places sorted by the cell that they lie in.

    Attributes:
        low: [3] corner of the first cell, metres.
        shape: [3] number of cells along each axis.
        first: [C + 1] where every cell's places begin in `order`; the last axis runs fastest.
        order: [S] numbers of places, cell by cell.
    """

    low: np.ndarray
    shape: np.ndarray
    first: np.ndarray
    order: np.ndarray


def cells_of(places: np.ndarray) -> Cells:
    """Sort places [S, 3], metres."""
    low = places.min(axis=0)
    at = ((places - low) / CELL_M).astype(np.int64)
    shape = at.max(axis=0) + 1
    cell = (at[:, 0] * shape[1] + at[:, 1]) * shape[2] + at[:, 2]
    counts = np.bincount(cell, minlength=int(shape.prod()))
    return Cells(low, shape, np.concatenate([[0], np.cumsum(counts)]), np.argsort(cell, kind="stable"))


def nearest_places(
    cells: Cells, places: np.ndarray, parts: np.ndarray, wanted: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """[N] number of the nearest place of one of the parts wanted, for each point; the lower one of two as near.

    Args:
        places: [S, 3] those that `cells` is of.
        parts: [S] parts of the places, as bits.
        wanted: [N] parts, as bits; some place must have one of them.
        points: [N, 3].
    """
    found = np.zeros(len(points), np.int64)
    _search(cells, places, parts, wanted, points, found)
    return found


@njit(cache=True, error_model="numpy")
def _search(
    cells: Cells, places: np.ndarray, parts: np.ndarray, wanted: np.ndarray, points: np.ndarray, found: np.ndarray
) -> None:
    """Shell after shell of cells around each point, until no nearer place can follow."""
    shape = cells.shape
    farthest = shape[0] + shape[1] + shape[2]
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        a = int(np.floor((x - cells.low[0]) / CELL_M))
        b = int(np.floor((y - cells.low[1]) / CELL_M))
        c = int(np.floor((z - cells.low[2]) / CELL_M))
        start = max(0, max(max(-a, a - shape[0] + 1), max(max(-b, b - shape[1] + 1), max(-c, c - shape[2] + 1))))
        best, best_square = -1, np.inf
        for shell in range(start, start + farthest + 1):
            # whatever lies in this shell is at least so far away
            if best >= 0 and best_square < (max(shell - 1, 0) * CELL_M) ** 2:
                break
            for i in range(max(0, a - shell), min(shape[0], a + shell + 1)):
                for j in range(max(0, b - shell), min(shape[1], b + shell + 1)):
                    on_shell = abs(i - a) == shell or abs(j - b) == shell
                    step = 1 if on_shell or shell == 0 else 2 * shell
                    for k in range(c - shell, c + shell + 1, step):
                        if k < 0 or k >= shape[2]:
                            continue
                        cell = (i * shape[1] + j) * shape[2] + k
                        for row in range(cells.first[cell], cells.first[cell + 1]):
                            place = cells.order[row]
                            if parts[place] & wanted[n] == 0:
                                continue
                            u, v, w = places[place, 0] - x, places[place, 1] - y, places[place, 2] - z
                            square = u * u + v * v + w * w
                            if square < best_square or (square == best_square and place < best):
                                best, best_square = place, square
        found[n] = max(best, 0)
