"""Random faults of photos and masks while they are uint8: exposure, lens, sensor, JPEG, occluders, wrong outlines.

Nothing here moves the person: truth about shape and camera stays true. Colours change, and the change is told.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

Pictures = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TOUCHED = 2 / 3
"""Share of pictures that get faults at all."""

TONE, BLUR, COARSE, NOISE, JPEG = 0.7, 0.3, 0.25, 0.4, 0.3
"""Shares of the touched pictures with each fault of the photo."""

OCCLUDER, OFFSET_EDGE, RAGGED, HOLES, NO_FEET, EXTRAS = 0.25, 0.4, 0.25, 0.2, 0.12, 0.2
"""Shares of the touched pictures with each fault of the scene and of the mask."""

REFERENCE_ROWS = 128
"""Lengths in pixels below are for pictures of this height, and scale with it."""

LEVELS = np.linspace(0, 1, 256)

GRAINS = 4
"""Sheets of sensor noise per batch; pictures use them shifted."""


@dataclass(frozen=True)
class Degraded:
    """A batch after its faults.

    Attributes:
        pictures: [B, H, W, 4] uint8 RGB and mask, a new array.
        gain: [B, 3] float32, what the person's RGB was multiplied by (least squares where the change of tone was not
            linear); 1 where it did not change. Multiply the true colours by it.
    """

    pictures: Pictures
    gain: NDArray[np.float32]


def degraded(pictures: Pictures, strength: float, generator: np.random.Generator) -> Degraded:
    """Give about two of three pictures random faults.

    Args:
        pictures: [B, H, W, 4] RGB and mask (person where >= 128); not changed.
        strength: How bad the faults get: 0 none, 1 what bad photos and masks show.

    Raises:
        ValueError: if `pictures` is no uint8 batch with a mask.
    """
    if pictures.ndim != 4 or pictures.shape[3] != 4 or pictures.dtype != np.uint8:
        raise ValueError(f"pictures must be uint8 [B, H, W, 4], not {pictures.dtype} {list(pictures.shape)}")
    result, gain = pictures.copy(), np.ones((len(pictures), 3), np.float32)
    touched = np.flatnonzero(generator.random(len(pictures)) < TOUCHED) if strength > 0 else np.zeros(0, int)
    grains = generator.standard_normal((GRAINS, *pictures.shape[1:3], 3), np.float32)
    for number in touched:
        image, mask = np.ascontiguousarray(pictures[number, :, :, :3]), pictures[number, :, :, 3] >= 128
        if generator.random() < OCCLUDER:
            other = pictures[generator.integers(len(pictures)), :, :, :3]
            image, mask = _occluded(image, mask, other, strength, generator)
        image, gain[number] = _photographed(image, mask, strength, generator)
        if generator.random() < NOISE:
            image = _noisy(image, grains[generator.integers(GRAINS)], strength, generator)
        if generator.random() < JPEG:
            image = _compressed(image, round(generator.uniform(90 - 60 * min(strength, 1.2), 90)))
        result[number, :, :, :3] = image
        result[number, :, :, 3] = _misjudged(mask, strength, generator).view(np.uint8) * np.uint8(255)
    return Degraded(result, gain)


def _photographed(
    image: Pictures, mask: Mask, strength: float, generator: np.random.Generator
) -> tuple[Pictures, NDArray[np.float32]]:
    """Lens and exposure: (image, gain of the person's colours)."""
    height, width = image.shape[:2]
    if generator.random() < BLUR:
        radius = generator.uniform(0.3, 0.3 + 0.9 * strength) * height / REFERENCE_ROWS
        image = np.asarray(Image.fromarray(image).filter(ImageFilter.BoxBlur(radius)))
    if generator.random() < COARSE:
        factor = 1 + generator.uniform(0.2, 1.6) * strength
        small = (max(1, round(width / factor)), max(1, round(height / factor)))
        coarse = Image.fromarray(image).resize(small, Image.Resampling.BOX)
        image = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR))
    if generator.random() < TONE:
        return _toned(image, mask, _curve(strength, generator))
    return image, np.ones(3, np.float32)


def _curve(strength: float, generator: np.random.Generator) -> Pictures:
    """[256, 3] what each value of R, G and B becomes: gain of +-30 %, colour cast, gamma, contrast."""
    spread = min(strength, 2.0)
    gain = np.exp(generator.uniform(-0.3, 0.27) * spread + generator.normal(0, 0.05 * spread, 3))
    gamma = np.exp(generator.normal(0, 0.15 * spread))
    contrast = max(0.3, 1 + generator.normal(0, 0.1 * spread))
    value = (LEVELS**gamma)[:, None] * gain
    return np.clip(255 * (0.5 + contrast * (value - 0.5)) + 0.5, 0, 255).astype(np.uint8)


def _toned(image: Pictures, mask: Mask, curve: Pictures) -> tuple[Pictures, NDArray[np.float32]]:
    """The image through a curve, and the best gain that explains what became of the person."""
    toned = np.empty_like(image)
    for channel in range(3):  # bytes.translate is ten times faster than fancy indexing
        changed = image[:, :, channel].tobytes().translate(curve[:, channel].tobytes())
        toned[:, :, channel] = np.frombuffer(changed, np.uint8).reshape(mask.shape)
    some = mask[::2, ::2]  # enough for three numbers
    before, after = image[::2, ::2][some].astype(np.float32), toned[::2, ::2][some].astype(np.float32)
    energy = np.einsum("nc,nc->c", before, before)
    gain = np.einsum("nc,nc->c", before, after) / np.maximum(energy, 1.0)
    return toned, np.where(energy > 0, gain, 1.0).astype(np.float32)


def _noisy(image: Pictures, grain: NDArray[np.float32], strength: float, generator: np.random.Generator) -> Pictures:
    """Sensor noise, coloured or grey."""
    rows, columns = (int(shift) for shift in generator.integers(image.shape[:2]))
    grain = np.roll(grain if generator.random() < 0.5 else grain[:, :, :1], (rows, columns), (0, 1))
    amount = np.float32(generator.uniform(1.0, 1.0 + 9.0 * strength))
    return np.clip(image + amount * grain + np.float32(0.5), 0, 255).astype(np.uint8)


def _compressed(image: Pictures, quality: int) -> Pictures:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _occluded(
    image: Pictures, mask: Mask, other: Pictures, strength: float, generator: np.random.Generator
) -> tuple[Pictures, Mask]:
    """Something in front of at most 10 % of the person: of one colour, of noise, or a piece of another picture."""
    size = float(generator.uniform(0.02, 0.1)) * min(strength, 1.0) * mask.sum()
    inside = _blob(mask, size, 3.0, generator)
    kind, colour = generator.integers(3), generator.integers(256, size=3, dtype=np.uint8)
    image = image.copy()
    if kind == 0:
        image[inside] = colour
    elif kind == 1:
        image[inside] = generator.integers(128, size=(int(inside.sum()), 3), dtype=np.uint8) + colour // 2
    else:
        image[inside] = other[inside]
    return image, mask & ~inside


def _blob(where: Mask, area_px: float, longest: float, generator: np.random.Generator) -> Mask:
    """A box or an ellipse of at most `area_px` and a side ratio up to `longest`, centred on a random set pixel."""
    places = np.flatnonzero(where)
    if not len(places) or area_px < 1:
        return np.zeros_like(where)
    row, column = divmod(int(places[generator.integers(len(places))]), where.shape[1])
    ratio = float(longest ** generator.uniform(-1, 1))
    y, x = np.arange(where.shape[0])[:, None] - row, np.arange(where.shape[1])[None] - column
    if generator.random() < 0.5:
        half_height, half_width = np.sqrt(area_px * ratio) / 2, np.sqrt(area_px / ratio) / 2
        return (abs(y) <= half_height - 0.5) & (abs(x) <= half_width - 0.5)
    radius = area_px / np.pi
    return y * y / (radius * ratio) + x * x * ratio / radius < 1


def _misjudged(mask: Mask, strength: float, generator: np.random.Generator) -> Mask:
    """The mask with the mistakes that segmenters make; never less than half of it is left."""
    true, unit = mask, mask.shape[0] / REFERENCE_ROWS
    if generator.random() < OFFSET_EDGE:
        steps = max(1, round(generator.uniform(0.5, 2.5) * strength * unit))
        wider = generator.random() < 0.5
        mask = _grown(mask, steps) if wider else ~_grown(~mask, steps)
    if generator.random() < RAGGED:
        mask = _ragged(mask, generator)
    if generator.random() < HOLES:
        for _ in range(generator.integers(1, 4)):
            mask = mask & ~_blob(mask, generator.uniform(4, 4 + 26 * strength) * unit**2, 2.0, generator)
    if generator.random() < EXTRAS:
        for _ in range(generator.integers(1, 3)):
            edge = _grown(mask, 1) & ~mask
            mask = mask | _blob(edge, generator.uniform(8, 8 + 60 * strength) * unit**2, 3.0, generator)
    if generator.random() < NO_FEET:
        mask = _without_feet(mask, generator.uniform(0.02, 0.02 + 0.08 * strength))
    return mask if 2 * (mask & true).sum() >= true.sum() else true


def _grown(mask: Mask, steps: int) -> Mask:
    """Dilated, by a cross and a square in turns, which is nearly round."""
    for step in range(steps):
        mask = ndimage.binary_dilation(mask, ndimage.generate_binary_structure(2, 1 + step % 2))
    return mask


def _ragged(mask: Mask, generator: np.random.Generator) -> Mask:
    """Teeth of one or two pixels along the outline."""
    height, width = mask.shape
    coarse = generator.random((height // 2 + 1, width // 2 + 1)) < 0.5
    chosen = np.repeat(np.repeat(coarse, 2, 0), 2, 1)[:height, :width]
    return np.where(chosen, _grown(mask, 1), ~_grown(~mask, 1))


def _without_feet(mask: Mask, share: float) -> Mask:
    """The lowest rows of the person missing."""
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return mask
    lost = round(share * (rows[-1] - rows[0] + 1))
    mask = mask.copy()
    mask[rows[-1] + 1 - lost :] = False
    return mask
