import numpy as np
import pytest

from mmgen.augment.ground import without_person


def test_people_are_painted_out_by_their_own_rows():
    rows = np.repeat(np.arange(40, dtype=np.uint8)[:, None] * 6, 30, axis=1)
    person = np.zeros((40, 30), bool)
    person[10:30, 10:20] = True
    photo = np.dstack([rows] * 3)
    photo[person] = (255, 0, 0)
    plate = without_person(photo, person)
    assert np.abs(plate[..., 0].astype(int) - rows).max() <= 8  # neither red nor a blur over many rows
    assert np.array_equal(plate[0], photo[0])
    assert not without_person(photo, np.ones_like(person)).any()
    person[:, :25] = True
    assert np.abs(without_person(photo, person)[..., 1].astype(int) - rows).max() <= 8


def standing(height=64, width=32):
    """Someone in the middle, one elbow out."""
    person = np.zeros((height, width), bool)
    person[8:56, 12:20] = True
    person[24:28, 6:12] = True
    return person


def test_what_is_painted_in_is_as_sharp_as_what_is_beside():
    """Averages of both sides would have half of the grain's variance, and steps at the rim a gradient of their own."""
    rng = np.random.default_rng(0)
    photo = (120 + 20 * rng.standard_normal((64, 32, 3))).clip(0, 255).round().astype(np.uint8)
    plate = without_person(photo, standing())
    inside = plate[8:56, 12:20].astype(float)
    assert inside.std() > 0.85 * photo.std() and abs(inside.mean() - photo.mean()) < 3
    assert np.array_equal(plate[:, :2], photo[:, :2]) and np.array_equal(plate[:4], photo[:4])


def test_poles_stay_upright_behind_elbows():
    photo = np.full((64, 32, 3), 200, np.uint8)
    photo[:, 3] = 40
    plate = without_person(photo, standing())[:, 8:, 1]  # right of the elbow
    poles = [np.flatnonzero(row < 120).tolist() for row in plate[14:40]]
    assert poles[0] and all(one == poles[0] for one in poles)


@pytest.mark.parametrize("side", [-1, 1])
def test_shadows_beside_feet_go_with_the_person(side):
    photo, person = np.full((64, 32, 3), 150, np.uint8), standing()
    photo[person] = (255, 0, 0)
    photo[55:58, 9:23] = 60
    assert without_person(photo[:, ::side], person[:, ::side]).min() > 120


def test_a_person_at_the_edge_is_painted_from_the_other_side():
    photo, person = np.full((64, 32, 3), 150, np.uint8), np.zeros((64, 32), bool)
    person[8:56, :14] = True
    photo[person] = 255
    assert np.ptp(without_person(photo, person).astype(int)) <= 8
