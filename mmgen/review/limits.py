"""What the desk takes at most. One table, shown by the errors that refuse more."""

UPLOAD_BYTES = 200 * 2**20
"""One file: a photo or a zip."""

ZIP_PHOTOS = 2000
ZIP_TABLE_BYTES = 4 * 2**20
"""Table of contents; reading one of 200 MB takes minutes and gigabytes."""

ZIP_UNPACKED_BYTES = 2 * 2**30
ZIP_RATIO = 100
"""Unpacked over packed size of a member; photos are packed already, so more is a bomb."""

JSON_BYTES = 64 * 2**10
MASK_BYTES = 32 * 2**20
NOTE_CHARACTERS = 2000
QUEUED_JOBS = 10_000
KEPT_VERSIONS = 20
"""Older results of one asset that can be brought back."""

REFINE_STEPS = 1000
STRAY_CONNECTION_S = 20.0
"""A connection that asks nothing is closed after this."""

TEXTURE_ROWS = (256, 512, 1024, 2048)
