"""Scores of weights, meshes, masks or trivial answers on a data set: figures, records, and a page to look at."""
