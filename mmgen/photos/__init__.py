"""Photos in: finding, decoding, cropping."""
