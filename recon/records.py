"""What frozen records of tensors have in common: copies to a device, rows of a batch, batches put together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Record = TypeVar("Record", bound="TensorRecord")
Rows = TypeVar("Rows", bound="Batched")


class TensorRecord:
    """A dataclass with tensors, or with records of them; fields of other kinds stay as they are."""

    def _parts(self) -> Iterator[tuple[str, Any]]:
        for field in fields(self):  # type: ignore[arg-type]
            if isinstance(value := getattr(self, field.name), Tensor | TensorRecord):
                yield field.name, value

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor, in the order of the fields."""
        for _, part in self._parts():
            yield from part.tensors() if isinstance(part, TensorRecord) else (part,)

    def mapped(self: Record, change: Callable[[Tensor], Tensor]) -> Record:
        """The record with every tensor changed."""
        changed = {
            name: part.mapped(change) if isinstance(part, TensorRecord) else change(part)
            for name, part in self._parts()
        }
        return replace(self, **changed)  # type: ignore[type-var]

    def to(self: Record, device: torch.device | str) -> Record:
        """Copy to a device."""
        ahead = torch.device(device).type == "cuda"
        return self.mapped(lambda values: values.to(device, non_blocking=ahead))


class Batched(TensorRecord):
    """A record whose tensors all have one row per photo."""

    def take(self: Rows, rows: slice | Tensor) -> Rows:
        """Some of the rows."""
        return self.mapped(lambda values: values[rows])

    def at(self: Rows, index: int) -> Rows:
        """One row as a batch of one."""
        return self.take(slice(index, index + 1))

    def separated(self: Rows) -> list[Rows]:
        """Batches of one."""
        return [self.at(index) for index in range(len(next(self.tensors())))]

    @classmethod
    def joined(cls: type[Rows], batches: Sequence[Rows]) -> Rows:
        """One batch out of several that have the same parts; what is no tensor is taken from the first."""
        together = {
            name: type(part).joined([getattr(batch, name) for batch in batches])
            if isinstance(part, Batched)
            else torch.cat([getattr(batch, name) for batch in batches])
            for name, part in batches[0]._parts()
        }
        return replace(batches[0], **together)  # type: ignore[type-var]
