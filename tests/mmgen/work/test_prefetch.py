"""Items made ahead come in order, with their errors, and leave no thread behind."""

import threading
from itertools import count

import pytest

from mmgen.work.prefetch import prefetched


def test_items_come_in_order_to_their_end_and_the_thread_ends():
    with prefetched(iter(range(7))) as items:
        assert list(items) == list(range(7))
    with prefetched(count()) as items:
        assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_an_error_while_preparing_is_raised_where_the_item_is_wanted():
    def broken():
        yield 1
        raise RuntimeError("disk gone")

    with prefetched(broken()) as items:
        assert next(items) == 1
        with pytest.raises(RuntimeError, match="disk gone"):
            next(items)
