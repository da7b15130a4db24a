"""Inputs damaged at random, and tests that take a few of them in the default suite and many in the slow one."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Check = Callable[..., None]
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=1500)


def few_and_many(strategies: dict[str, Any]) -> Callable[[Check], Check]:
    """A few examples in the default suite, many in the slow one."""

    def decorate(check: Check) -> Check:
        @pytest.mark.parametrize("limits", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
        def test(limits: settings, tmp_path: Path) -> None:
            limits(given(**strategies)(lambda **drawn: check(tmp_path, **drawn)))()

        test.__doc__ = check.__doc__
        return test

    return decorate


@st.composite
def damaged(draw: st.DrawFn, files: list[bytes]) -> bytes:
    """A sound file with bytes changed, a piece doubled or taken out, and perhaps its end cut off."""
    content = bytearray(draw(st.sampled_from(files)))
    for place, value in draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6)):
        content[int(place * (len(content) - 1))] = value
    first, last = sorted(int(draw(st.floats(0, 1)) * len(content)) for _ in range(2))
    kind = draw(st.sampled_from(["whole", "whole", "cut", "out", "doubled"]))
    if kind == "cut":
        return bytes(content[:first])
    if kind == "out":
        return bytes(content[:first] + content[last:])
    return bytes(content[:last] + content[first:]) if kind == "doubled" else bytes(content)


SMALL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**66), 2**66),
    st.floats(),
    st.text(max_size=8),
    st.just("../../etc/passwd"),
)
JUNK = st.recursive(SMALL, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


def changed(document: Any, place: tuple[Any, ...], junk: Any) -> Any:
    """The document with the value at `place` replaced; taken out where `junk` is ABSENT."""
    document = copy.deepcopy(document)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    if junk is ABSENT:
        del inner[place[-1]]
    else:
        inner[place[-1]] = junk
    return document


ABSENT = object()
