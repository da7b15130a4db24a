"""Makes the bundled photos again: `python -m mmgen.samples.build_samples`.

People who do not exist, seen roughly from the front, some hatted, bagged or turned.
"""

import numpy as np
from PIL import Image

from mmgen.samples import SAMPLES_FOLDER
from mmgen.synth.crowd import CrowdOptions, person_pictures

OPTIONS = CrowdOptions(seed=2026, views=6, poses=2, height=512, width=256)

CHOSEN = {"amber": (1, 2), "basil": (3, 1), "cobalt": (5, 1), "dahlia": (8, 1), "ember": (11, 1), "fern": (13, 0),
          "garnet": (14, 1), "hazel": (15, 0)}  # fmt: skip
"""Name to (test identity, view): clothes and builds that differ."""


def build() -> None:
    """Write `NAME.jpg` and `NAME_mask.png` for every chosen picture."""
    for name, (index, view) in CHOSEN.items():
        person = next(p for p in person_pictures(OPTIONS, "test", index) if p.view == view)
        Image.fromarray(np.asarray(person.picture.image)).save(SAMPLES_FOLDER / f"{name}.jpg", quality=92)
        Image.fromarray(np.asarray(person.picture.mask)).save(SAMPLES_FOLDER / f"{name}_mask.png", optimize=True)


if __name__ == "__main__":
    build()
