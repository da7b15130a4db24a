"""Who is who: streams never meet, and attributes come from the vocabulary."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from mmgen.synth.identity import BAGS, BOTTOMS, HAIRS, HEADWEAR, LOGOS, OUTERS, SHOES, TOPS, Identity, identity
from mmgen.synth.palette import PATTERNS, Fabric
from mmgen.synth.streams import stream

CROWD = 40


@pytest.fixture(scope="module")
def crowd() -> list[Identity]:
    """Many people."""
    return [identity(0, "train", index) for index in range(350)]


@pytest.fixture(scope="module")
def world() -> list[Identity]:
    """Many people of the style that has everything."""
    return [identity(0, "train", index, "world") for index in range(350)]


def fingerprint(who: Identity) -> str:
    """What a person looks like, without their number."""
    return json.dumps([who.figure, asdict(who.build), asdict(who.head), asdict(who.outfit)])


def test_an_identity_depends_on_nothing_but_its_name() -> None:
    assert identity(3, "train", 7) == identity(3, "train", 7)


def test_no_test_person_is_ever_a_training_person() -> None:
    train = {fingerprint(identity(seed, "train", index)) for seed in range(3) for index in range(CROWD)}
    test = {fingerprint(identity(seed, "test", index)) for seed in range(3) for index in range(CROWD)}
    assert len(train) == len(test) == 3 * CROWD
    assert not train & test


def test_streams_of_different_names_differ() -> None:
    names = [
        (0, "train", 1, "a"),
        (0, "train", 1, "b"),
        (0, "train", 11, "a"),
        (1, "train", 1, "a"),
        (0, "test", 1, "a"),
    ]
    draws = {tuple(stream(*name).integers(2**62, size=2)) for name in names}
    assert len(draws) == len(names)


def test_a_stream_is_the_same_on_every_machine() -> None:
    assert stream(0, "train", 0, "identity").integers(1000, size=4).tolist() == [648, 661, 612, 118]


def test_attributes_come_from_the_vocabulary_and_all_of_it_is_used(
    crowd: list[Identity], world: list[Identity]
) -> None:
    for values, allowed in (
        ({who.head.hair for who in world}, HAIRS),
        ({who.head.headwear for who in crowd}, HEADWEAR),
        ({who.outfit.top for who in crowd}, TOPS),
        ({who.outfit.outer for who in crowd}, OUTERS),
        ({who.outfit.bottom for who in crowd}, BOTTOMS),
        ({who.outfit.shoes for who in crowd}, SHOES),
        ({who.outfit.bag for who in crowd}, BAGS),
        ({who.outfit.logo for who in crowd}, LOGOS),
    ):
        assert values == set(allowed)


def test_colours_and_patterns_are_valid_and_mostly_muted(crowd: list[Identity]) -> None:
    fabrics = [fabric for who in crowd for fabric in fabrics_of(who)]
    colours = np.array([fabric.colour for fabric in fabrics])
    assert {fabric.pattern for fabric in fabrics} <= set(PATTERNS)
    assert colours.min() >= 0 and colours.max() <= 1
    assert np.mean(np.ptp(colours, axis=1) < 0.25) > 0.6


def fabrics_of(who: Identity) -> list[Fabric]:
    """All fabrics that a person wears or carries."""
    outfit = who.outfit
    return [outfit.top_fabric, outfit.sleeve_fabric, outfit.outer_fabric, outfit.bottom_fabric, outfit.bag_fabric]


def test_heights_are_those_of_people_and_children_are_smaller(crowd: list[Identity]) -> None:
    builds = [who.build for who in crowd]
    adults = [build.height_m for build in builds if build.age != "child"]
    children = [build.height_m for build in builds if build.age == "child"]
    assert 1.45 < min(adults) and max(adults) < 2.0 and 1.6 < np.mean(adults) < 1.78
    assert children and max(children) < 1.5
