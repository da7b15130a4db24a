"""Training of the reconstructor: one step as a function, all state in one record, schedules and collapse statistics.

Knows no files; `mmgen.training` supplies photos, checkpoints and logs.
"""
