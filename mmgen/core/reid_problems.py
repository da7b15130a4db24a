"""What `reid` refuses, as this program's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from reid.errors import ReidError


@contextmanager
def reid_problems() -> Iterator[None]:
    """Turn a `ReidError` of the block into a `FatalError`."""
    try:
        yield
    except ReidError as error:
        raise FatalError(error.code, display_name(error.message), error.hint) from error
