"""Random streams that are named, not shared: every (seed, split, index, purpose) has its own generator."""

import hashlib

import numpy as np

STREAM_VERSION = "mmgen-synth-2"
"""Part of every stream's name: change it when the same arguments are meant to give other people."""


def stream(seed: int, split: str, index: int, purpose: str) -> np.random.Generator:
    """The generator of one named purpose.

    Train and test draw from different names, so no test identity can turn up in training, whatever the seed or the
    number of identities; and identity k is the same person however many others are asked for.

    Args:
        split: `train`, `test`, or another fixed word for things that belong to neither (the cameras).
        index: Identity number within the split, from 0.
        purpose: What is drawn, such as `identity` or `pose/1`.
    """
    name = f"{STREAM_VERSION}|{seed}|{split}|{index}|{purpose}"
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
