"""Figures of this machine, as `mmgen bench` prints them.

One module per subject, each with a `measure(...)` that returns JSON data.
"""
