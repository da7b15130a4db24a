"""Data set folders: what is in the published ones, and the index that every command reads."""
