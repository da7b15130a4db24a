"""Photos to assets: one photo's way, and a whole run of them."""
