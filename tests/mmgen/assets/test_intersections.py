import numpy as np
import pytest
import trimesh

from mmgen.assets.inspection import MOST_FACES, self_intersections


def test_a_closed_ball_does_not_cross_itself():
    ball = trimesh.creation.icosphere(subdivisions=2)
    assert self_intersections(ball.vertices, ball.faces) == 0


@pytest.mark.parametrize(("lift", "pairs"), [(0.0, 1), (2.0, 0), (-2.0, 0)])
def test_a_triangle_through_another(lift, pairs):
    flat = np.array([[-1, 0, -1], [1, 0, -1], [0, 0, 1]], float)
    upright = np.array([[0, -0.5, -0.2], [0, 0.5, -0.2], [0, 0, -0.9]], float) + np.array([0, lift, 0])
    assert self_intersections(np.concatenate((flat, upright)), np.array([[0, 1, 2], [3, 4, 5]])) == pairs


def test_two_balls_cross_along_a_ring():
    ball = trimesh.creation.icosphere(subdivisions=1)
    vertices = np.concatenate((ball.vertices, ball.vertices + np.array([0.9, 0.05, 0.02])))
    faces = np.concatenate((ball.faces, ball.faces + len(ball.vertices)))
    assert self_intersections(vertices, faces) > 10


def test_a_huge_mesh_is_not_counted():
    assert self_intersections(np.zeros((3, 3)), np.zeros((MOST_FACES + 1, 3), int)) is None
