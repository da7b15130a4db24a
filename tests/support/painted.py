"""A test asset that shows which way it looks: grey, with a red mark on its front and a blue one on its back."""

from functools import cache

import numpy as np

from mmgen.assets.asset import Asset, place_on_ground
from recon.template import ellipsoid_template

RED, BLUE, GREY = (220, 20, 30), (20, 40, 220), (150, 150, 150)
HALF_MARK = 24
TEXTURE_SIDE = 128


@cache
def painted_asset(height_m: float = 1.7, v_shift: float = 0.0) -> Asset:
    """The ellipsoid template at a height; texture coordinates may be shifted by whole turns, which must not show."""
    template = ellipsoid_template(level=2)
    texture = np.full((TEXTURE_SIDE, TEXTURE_SIDE, 3), GREY, dtype=np.uint8)
    middle = slice(TEXTURE_SIDE // 2 - HALF_MARK, TEXTURE_SIDE // 2 + HALF_MARK)
    front, back = 3 * TEXTURE_SIDE // 4, TEXTURE_SIDE // 4  # the lower half of the map is the front
    texture[front - HALF_MARK // 2 : front + HALF_MARK // 2, middle] = RED
    texture[back - HALF_MARK // 2 : back + HALF_MARK // 2, middle] = BLUE
    return Asset(
        name="painted",
        vertices=place_on_ground(template.vertices.numpy(), height_m),
        faces=template.faces.numpy(),
        face_uv=template.face_uv.numpy() + np.float32([0, v_shift]),
        texture=texture,
        provenance={"seed": 7, "weights_sha256": "ab" * 32},
    )


def count_colour(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 40) -> int:
    """Number of pixels within `tolerance` of a colour, per channel."""
    difference = np.abs(picture[..., :3].astype(int) - np.array(colour))
    return int((difference.max(axis=-1) <= tolerance).sum())
