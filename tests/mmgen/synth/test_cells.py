"""The nearest place of a part is the one that comparing with all of them finds, from near and from far."""

import numpy as np
import pytest

from mmgen.synth.cells import cells_of, nearest_places


@pytest.mark.parametrize("reach", [0.02, 0.3, 3.0])
def test_the_nearest_place_of_the_parts_wanted(reach: float) -> None:
    generator = np.random.default_rng(0)
    directions = generator.normal(size=(900, 3))
    places = directions / np.linalg.norm(directions, axis=1, keepdims=True) * [0.3, 0.8, 0.2]
    places = np.concatenate([places, places[:50]])
    parts = np.where(places[:, 1] > 0.2, 1, np.where(places[:, 0] > 0, 2, 4))
    points = np.concatenate([places[:200] + generator.normal(0, reach, (200, 3)), [[0.0, 0.0, 0.0]]])
    wanted = generator.integers(1, 8, len(points))
    found = nearest_places(cells_of(places), places, parts, wanted, points)
    away = np.linalg.norm(points[:, None] - places[None], axis=2)
    away[(parts[None] & wanted[:, None]) == 0] = np.inf
    np.testing.assert_array_equal(found, away.argmin(axis=1))
