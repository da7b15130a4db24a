"""How work is spread and kept: engines, workers, locks, records of a run."""
