"""A desk in the browser: drop photos, look at assets, correct masks and facings, decide, take away."""
