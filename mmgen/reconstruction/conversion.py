"""One chunk of photos to GLB files and run records: what a worker process does."""

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mmgen.assets.glb import glb_bytes
from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import sha256_bytes
from mmgen.core.listing import display_name
from mmgen.core.outputs import write_output
from mmgen.photos.inputs import InputItem
from mmgen.reconstruction.job import (
    Job,
    ReconstructedLike,
    failure_record,
    stamped,
    success_record,
    utc_now,
)
from mmgen.reconstruction.standing import refuse_foreign
from mmgen.work.records import Record

_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")

WRITERS = 4
"""Files on their way to the disk at once: flushing several takes hardly longer than flushing one."""

Result = TypeVar("Result")
Outcomes = Sequence[ReconstructedLike | ItemError]


class Converter:
    """Turns chunks into files and records. An item's error never touches its neighbours."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reconstructor = job.build()

    def __call__(self, chunk: Sequence[InputItem]) -> Iterator[tuple[int, Record]]:
        """Yield (position, record) for every item; the file of a record is whole before the record is yielded.

        Raises:
            FatalError: the output folder takes no more files.
        """
        ready: list[tuple[int, Sequence[Any], float]] = []
        for position, item in enumerate(chunk):
            started = time.perf_counter()
            people = guarded(item, partial(self._reconstructor.prepare, item), self._job.log)
            seconds = time.perf_counter() - started
            if isinstance(people, ItemError):
                yield position, failure_record(self._job, item, people, seconds)
            else:
                ready.append((position, people, seconds))
        started = time.perf_counter()
        outcomes = iter(self._reconstruct([(chunk[position], one) for position, people, _ in ready for one in people]))
        share = (time.perf_counter() - started) / max(sum(len(people) for _, people, _ in ready), 1)
        with ThreadPoolExecutor(WRITERS) as disk:  # starts no thread where nothing is ready
            records: deque[tuple[int, Future[Record]]] = deque()
            for position, people, seconds in ready:
                own = [next(outcomes) for _ in people]
                made = self._encoded(chunk[position], own, seconds + share * len(own))
                records.append((position, disk.submit(self._stored, chunk[position], made)))
                while records and records[0][1].done():
                    yield records[0][0], records.popleft()[1].result()
            for position, record in records:
                yield position, record.result()

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

    def _encoded(self, item: InputItem, outcomes: Outcomes, seconds: float) -> "_Encoded":
        """One record for all people of a photo; it is a failure only where nobody could be made."""
        made = [outcome for outcome in outcomes if not isinstance(outcome, ItemError)]
        failures = [outcome for outcome in outcomes if isinstance(outcome, ItemError)]
        if not made:
            return _Encoded(failures[0], seconds)
        started = time.perf_counter()
        lost = tuple(f"a person in it failed: {error.message} ({error.code})" for error in failures)
        encoded = guarded(item, partial(self._bytes, item, made, lost), self._job.log)
        return _Encoded(encoded, seconds + time.perf_counter() - started)

    def _bytes(
        self, item: InputItem, results: Sequence[ReconstructedLike], notes: tuple[str, ...]
    ) -> tuple[Record, list[bytes]]:
        codec = self._job.options.get("texture_codec", "png")
        files = [glb_bytes(result.asset, codec) for result in results]
        made = [(result, sha256_bytes(data)) for result, data in zip(results, files, strict=True)]
        record = success_record(self._job, item, made)
        return replace(record, notes=record.notes + notes), files

    def _stored(self, item: InputItem, encoded: "_Encoded") -> Record:
        """Write the files, if there are any; runs beside the encoding of the next ones."""
        started = time.perf_counter()
        outcome: Record | ItemError
        if isinstance(encoded.outcome, ItemError):
            outcome = encoded.outcome
        else:
            outcome = guarded(item, partial(self._write, *encoded.outcome), self._job.log)
        seconds = encoded.seconds + time.perf_counter() - started
        if isinstance(outcome, ItemError):
            return failure_record(self._job, item, outcome, seconds)
        return stamped(outcome, seconds)

    def _write(self, record: Record, files: list[bytes]) -> Record:
        if not self._job.replaces_foreign:
            refuse_foreign(self._job.out, [asset.output for asset in record.assets])
        for asset, data in zip(record.assets, files, strict=True):
            write_output(self._job.out / str(asset.output), data)
        return record


@dataclass(frozen=True)
class _Encoded:
    """Record and files of a photo, or what went wrong, and the seconds that it took so far."""

    outcome: tuple[Record, list[bytes]] | ItemError
    seconds: float


def guarded(item: InputItem, step: Callable[[], Result], log: Path) -> Result | ItemError:
    """The step's value, or an ItemError for whatever it raised; the run itself may only end by FatalError.

    Args:
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
