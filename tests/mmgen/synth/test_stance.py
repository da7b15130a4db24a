"""Stances: arms go where nobody's went before, and what is carried stays down."""

import numpy as np

from mmgen.synth.crowd import CrowdOptions, pose_of
from mmgen.synth.identity import identity
from mmgen.synth.stance import sample_stance


def test_arms_reach_from_the_side_to_overhead() -> None:
    stances = [sample_stance(np.random.default_rng(seed), (False, False)) for seed in range(300)]
    raised = np.array([max(stance.arm_spread_deg) for stance in stances])
    assert ((raised > 20) & (raised < 60)).mean() > 0.1 and (raised > 120).mean() > 0.05
    both = np.array([min(stance.arm_spread_deg) for stance in stances])
    assert (both > 66).mean() > 0.03, "T-poses"
    assert np.mean([abs(stance.trunk_roll_deg) > 5 for stance in stances]) > 0.1, "people who lean"
    assert len({stance.hip_deg for stance in stances}) == 300


def test_hands_that_carry_hang() -> None:
    for seed in range(20):
        stance = sample_stance(np.random.default_rng(seed), (False, True))
        assert abs(stance.arm_deg[1]) < 20 and stance.arm_spread_deg[1] < 25


def test_a_crowd_has_them() -> None:
    options = CrowdOptions(seed=1)
    spread = [max(pose_of(options, identity(1, "train", index), 1).arm_spread_deg) for index in range(80)]
    assert 0.05 < np.mean(np.array(spread) > 55) < 0.5
