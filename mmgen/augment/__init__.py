"""Virtual identities: re-id data sets several times larger, as WebDataset shards (3D Magic Mirror, section 4.3)."""
