"""Weights files: read, written, described."""
