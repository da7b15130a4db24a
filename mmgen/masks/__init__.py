"""Masks of people: found, read whatever their habit, checked, cleaned, or guessed."""

from mmgen.masks.finding import find_mask, find_people, people_of_mask, read_mask
from mmgen.masks.structures import MaskResult, MaskSource

__all__ = ["MaskResult", "MaskSource", "find_mask", "find_people", "people_of_mask", "read_mask"]
