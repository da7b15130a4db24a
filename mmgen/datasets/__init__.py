"""Data set folders: what is in the published ones, and the index that every command reads."""

from mmgen.datasets.index import Index, IndexRow, read_index

__all__ = ["Index", "IndexRow", "read_index"]
