"""«This region too»: a scribble grown to the region that it means."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmgen.core.errors import ItemError
from mmgen.masks.grabcut import is_available, opencv

REACH = 0.12
"""How far beyond a scribble its region may go, as a share of the photo's longer side."""

LONGEST_SIDE = 640
ITERATIONS = 3
SEED = 0


def grown(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], scribble: NDArray[np.uint8], is_person: bool
) -> NDArray[np.uint8]:
    """The mask with a scribbled region added, or taken away.

    Colours near the scribble decide, by GrabCut: the scribble is sure; outside a band around it nothing changes.

    Args:
        rgb: uint8 [H, W, 3].
        mask: uint8 [H, W], 255 on the person.
        scribble: uint8 [H, W], above 127 where the hand was.
        is_person: whether the region belongs to the person.

    Returns:
        uint8 [H, W], 0 or 255.

    Raises:
        ItemError: `grabcut_missing` without OpenCV; `scribble_empty`.
    """
    if not (scribble > 127).any():
        raise ItemError("scribble_empty", "nothing is scribbled", "Draw over the region first.")
    if not is_available():
        raise ItemError("grabcut_missing", "regions need OpenCV", 'pip install "mmgen[masks]", or use the brush.')
    height, width = mask.shape
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [np.array(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR)) for one in (rgb, mask, scribble)]
    changed = _cut(small[0], small[1], small[2], is_person)
    region = np.array(
        Image.fromarray(changed.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BILINEAR)
    )
    touched = (region > 127) | (scribble > 127)
    return np.where(touched, np.uint8(255 if is_person else 0), np.where(mask > 127, np.uint8(255), np.uint8(0)))


def _cut(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], scribble: NDArray[np.uint8], is_person: bool
) -> NDArray[np.bool_]:
    """Where the region is, in small pixels."""
    cv2 = opencv()
    hand = scribble > 127
    radius = max(2, round(REACH * max(rgb.shape[:2])))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    band = cv2.dilate(hand.astype(np.uint8), kernel) > 0
    person = mask > 127
    other = ~person if is_person else person  # what the region may be taken from
    seeds = np.full(rgb.shape[:2], cv2.GC_BGD, np.uint8)
    seeds[band & other] = cv2.GC_PR_BGD
    seeds[hand] = cv2.GC_FGD
    cv2.setRNGSeed(SEED)
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    cv2.grabCut(bgr, seeds, None, np.zeros((1, 65)), np.zeros((1, 65)), ITERATIONS, cv2.GC_INIT_WITH_MASK)
    found = (seeds == cv2.GC_FGD) | (seeds == cv2.GC_PR_FGD)
    return np.asarray(found & band & (other | hand))
