"""Input photos: listing, decoding, cropping."""
