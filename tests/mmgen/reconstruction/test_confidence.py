from dataclasses import replace

import numpy as np
import pytest

from mmgen.masks.structures import Signs
from mmgen.reconstruction.confidence import Evidence, confidence_of
from mmgen.work.records import LOW_CONFIDENCE

SURE = Signs(person=1.0, back=0.0, azimuth_deg=0.0, count=1, cut="none")


def standing(height: int = 100, width: int = 60) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    mask[10:90, 20:40] = 255
    return mask


GOOD = Evidence(standing(), None, 0.95, True, SURE, False)


def test_a_whole_person_who_fits_is_sure():
    said = confidence_of(GOOD)
    assert said.value > 0.9 and said.doubts == ()


@pytest.mark.parametrize(
    ("worse", "why"),
    [
        ({"mask_iou": 0.80}, "does not fit its outline"),
        ({"mask": standing()[:60]}, "lower edge cuts"),
        ({"mask": standing()[40:]}, "upper edge cuts"),
        ({"mask": standing()[:, 30:]}, "left edge cuts"),
        ({"mask": standing().T.copy()}, "wider than high"),
        ({"mask_quality": 0.5}, "poor guess"),
        ({"signs": replace(SURE, person=0.05)}, "no person"),
        ({"signs": replace(SURE, count=2)}, "2 people"),
        ({"signs": replace(SURE, back=0.4)}, "front or back"),
    ],
)
def test_each_doubt_is_low_and_says_why_and_what_to_do(worse, why):
    said = confidence_of(replace(GOOD, **worse))
    assert said.value < LOW_CONFIDENCE
    assert why in said.doubts[0]


def test_the_worst_doubt_comes_first():
    said = confidence_of(replace(GOOD, mask_iou=0.85, signs=replace(SURE, person=0.0)))
    assert "no person" in said.doubts[0] and len(said.doubts) == 2


def test_a_given_facing_and_a_single_pass_are_judged_by_their_own_measure():
    unsure = replace(GOOD, signs=replace(SURE, back=0.45), is_facing_given=True)
    assert confidence_of(unsure).value > 0.9
    assert confidence_of(replace(GOOD, mask_iou=0.84, is_refined=False)).value > LOW_CONFIDENCE
    assert confidence_of(replace(GOOD, mask_iou=0.70, is_refined=False)).value < LOW_CONFIDENCE
    assert confidence_of(replace(GOOD, signs=None)).value > 0.9
