"""Engines, worker processes, locks and run records."""
