"""Masks of people: found, read whatever their habit, checked, cleaned, or guessed."""
