"""How well a search finds people: ranks, average precision, re-ranking, uncertainty."""
