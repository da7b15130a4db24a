"""The version, in one place that build tools read without importing anything else."""

__version__ = "0.1.0"
