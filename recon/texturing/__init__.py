"""Colours on surfaces: texel layout, baking from photos, fill, blend, fuse."""
