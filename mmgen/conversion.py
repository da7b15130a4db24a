"""One chunk of photos to GLB files and run records: what a worker process does."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mmgen.assets.glb import glb_bytes
from mmgen.errors import FatalError, ItemError
from mmgen.files import sha256_bytes
from mmgen.inputs import InputItem
from mmgen.job import Job, ReconstructedLike, ReconstructorLike, failure_record, stamped, success_record, utc_now
from mmgen.listing import display_name
from mmgen.outputs import write_output
from mmgen.runs import Record

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")

Result = TypeVar("Result")
Outcomes = Sequence[ReconstructedLike | ItemError]


class Converter:
    """Turns chunks into files and records. An item's error never touches its neighbours."""

    def __init__(self, job: Job, reconstructor: ReconstructorLike | None = None) -> None:
        self._job = job
        self._reconstructor = reconstructor or job.build()

    def __call__(self, chunk: Sequence[InputItem]) -> Iterator[tuple[int, Record]]:
        """Yield (position, record) for every item; the file of a record is whole before the record is yielded.

        Raises:
            FatalError: the output folder takes no more files.
        """
        ready: list[tuple[int, Any, float]] = []
        for position, item in enumerate(chunk):
            started = time.perf_counter()
            prepared = guarded(item, partial(self._reconstructor.prepare, item), self._job.log)
            seconds = time.perf_counter() - started
            if isinstance(prepared, ItemError):
                yield position, failure_record(self._job, item, prepared, seconds)
            else:
                ready.append((position, prepared, seconds))
        started = time.perf_counter()
        outcomes = self._reconstruct([(chunk[position], prepared) for position, prepared, _ in ready])
        share = (time.perf_counter() - started) / max(len(ready), 1)
        for (position, _, seconds), outcome in zip(ready, outcomes, strict=True):
            yield position, self._finish(chunk[position], outcome, seconds + share)

    def _reconstruct(self, pairs: list[tuple[InputItem, Any]]) -> Outcomes:
        """All at once; where that fails as a whole, one by one, so that only the guilty one fails."""
        if not pairs:
            return []
        try:
            return self._reconstructor.reconstruct([prepared for _, prepared in pairs])
        except FatalError:
            raise
        except Exception:
            return [guarded(item, partial(self._alone, prepared), self._job.log) for item, prepared in pairs]

    def _alone(self, prepared: Any) -> ReconstructedLike | ItemError:
        return self._reconstructor.reconstruct([prepared])[0]

    def _finish(self, item: InputItem, outcome: ReconstructedLike | ItemError, seconds: float) -> Record:
        if isinstance(outcome, ItemError):
            return failure_record(self._job, item, outcome, seconds)
        started = time.perf_counter()
        record = guarded(item, partial(self._store, item, outcome), self._job.log)
        seconds += time.perf_counter() - started
        if isinstance(record, ItemError):
            return failure_record(self._job, item, record, seconds)
        return stamped(record, seconds)

    def _store(self, item: InputItem, result: ReconstructedLike) -> Record:
        data = glb_bytes(result.asset, self._job.options.get("texture_codec", "png"))
        record = success_record(self._job, item, result, sha256_bytes(data), self._reconstructor.weights_sha256)
        assert record.output is not None
        write_output(self._job.out / record.output, data)
        return record


def guarded(item: InputItem, step: Callable[[], Result], log: Path) -> Result | ItemError:
    """The step's value, or an ItemError for whatever it raised; the run itself may only end by FatalError.

    Args:
        item: for the error's words.
        step: the work.
        log: file for the traceback of an unexpected error.
    """
    try:
        return step()
    except FatalError:
        raise
    except ItemError as error:
        return error
    except Exception as error:
        if isinstance(error, MemoryError) or any(word in str(error).lower() for word in _MEMORY_WORDS):
            hint = "Use fewer --workers, a smaller --texture-size or a smaller photo."
            return ItemError("oom", f"not enough memory for {display_name(item.path)}", hint)
        return _internal(item, error, log)


def _internal(item: InputItem, error: Exception, log: Path) -> ItemError:
    """An unexpected error as an item's error; the traceback goes to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{utc_now()} {item.name}\n{''.join(traceback.format_exception(error))}\n")
    what = f"{display_name(item.path)}: {type(error).__name__}: {' '.join(str(error).split())}"
    return ItemError("internal", what, f"This is a bug in mmgen; report it with {display_name(log)}.")
