"""Bounds on everything that is read from disk, in one table: `docs/limits.md` shows it, a test compares the two.

A file beyond its bound is refused with an error that names the bound. None of them is near what mmgen itself writes.
"""

MIB = 2**20

PHOTO_BYTES = 256 * MIB
"""One image or mask file."""

PHOTO_PIXELS = 80_000_000
"""Width x height of one image. More pixels add nothing to a mesh and cost gigabytes."""

PHOTO_FRAMES = 10_000
"""Frames, pages or directories of one image file; only the first is used."""

GLB_BYTES = 512 * MIB
"""One GLB file."""

WEIGHTS_BYTES = 4096 * MIB
"""One weights file; its networks need as much memory again."""

TAR_BYTES = 8192 * MIB
"""One tar of shards; it is read as a whole."""

ARRAYS_BYTES = 1024 * MIB
"""One `.npz` of truth, features or scores."""

DOCUMENT_BYTES = 512 * MIB
"""One JSON document, such as the plan of a shard folder."""

LINE_BYTES = 1 * MIB
"""One line of a JSON lines file."""

RECORDS = 20_000_000
"""Lines of one JSON lines file or list."""

TEXT_BYTES = 1024 * MIB
"""One list of photos."""

MANIFEST_BYTES = 1 * MIB
"""One TOML manifest."""

NESTING = 64
"""Levels of arrays and objects inside each other, in JSON and TOML."""

DIGITS = 20
"""Digits of one whole number."""

PARTS = 100_000
"""Parts of one run: the n of `--shard i/n`, also in names of record files."""

COUNT = 10_000_000
"""A count in the provenance of a mesh that verify acts on, such as refinement steps."""
