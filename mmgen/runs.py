"""What a batch run is and what it leaves behind: parts, and one record per input in the output folder."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count` of a run, 0 <= index < count."""

    index: int = 0
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether this part is everything."""
        return self.count == 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
