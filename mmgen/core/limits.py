"""Bounds on everything that is read from disk, in one table: `docs/limits.md` shows it, a test compares the two.

A file beyond its bound is refused with an error that names the bound. None of them is near what mmgen itself writes.
"""

MIB = 2**20

PHOTO_BYTES = 256 * MIB
"""One image or mask file."""

PHOTO_PIXELS = 80_000_000
"""Width x height of one image. More pixels add nothing to a mesh and cost gigabytes."""

PHOTO_FRAMES = 10_000
"""Frames, pages or directories of one image file that are counted; only the first is used."""

PHOTO_SCANNED_PIXELS = 2_000_000_000
"""Scans of a progressive JPEG times its pixels."""

GLB_BYTES = 512 * MIB
"""One GLB file, or one mesh file of a template."""

WEIGHTS_BYTES = 4096 * MIB
"""One weights file; its networks need as much memory again."""

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
"""Levels of arrays and objects inside each other, in JSON."""

DIGITS = 20
"""Digits of one whole number."""

PARTS = 999_999
"""Parts of one run: the n of `--shard i/n`; record files that name more are not ours."""

REFINE_STEPS = 10_000
"""Steps through the renderer that `--refine`, the provenance of a mesh, or a run record, may ask for."""

TEXTURE_SIDE = 4096
"""Texels of one side of a texture that `--texture-size`, or a run record, may ask for."""
