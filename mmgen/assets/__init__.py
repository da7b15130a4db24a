"""Assets as files: the in-memory record, GLB and other formats, what is in them, and whether they are sound."""
