"""Predictions against the truth, and what they are compared with."""
