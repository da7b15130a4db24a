"""One scene: a background that has nothing to do with the person, others behind, the person, things in front.

The mask is of the person in the middle alone, and only of what is seen of them. Others stand farther from the middle,
are smaller, or are partly hidden by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mmgen.mask_training.scenes.backgrounds import Family, Picture, Size, blend, noise, random_palette, shaded
from mmgen.mask_training.scenes.cutouts import Bank
from mmgen.mask_training.scenes.placing import Placement, barred, occluded, shadowed
from mmgen.mask_training.scenes.sensor import develop, recoloured

SHARES: Mapping[str, float] = {
    "photographed": 0.15,
    "street": 0.16,
    "empty": 0.03,
    "cut": 0.2,
    "small": 0.12,
    "others": 0.35,
    "camouflage": 0.12,
    "dark": 0.06,
    "occluded": 0.1,
    "shadow": 0.5,
    "bars": 0.12,
}
"""How often each thing happens in training."""


@dataclass(frozen=True)
class Scene:
    """rgb uint8 [H, W, 3]; mask uint8 [H, W], coverage by the person in the middle, 255 = all."""

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]


@dataclass(frozen=True)
class Scenes:
    """Draws scenes.

    Attributes:
        bank: people.
        families: backgrounds to choose from.
        size: height and width.
        shares: how often each thing happens, as `SHARES`.
        strength: of the sensor, as in `develop`.
    """

    bank: Bank
    families: tuple[Family, ...]
    size: Size
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    strength: float = 1.0

    def draw(self, generator: np.random.Generator) -> Scene:
        """One scene; the generator's state decides all of it."""
        happens = {name: generator.random() < share for name, share in self.shares.items()}
        if happens["photographed"]:
            return self._photographed(generator)
        palette = random_palette(generator)
        colours, mask = self._person(generator, Placement.sample(generator, happens["cut"], happens["small"]))
        if generator.random() < 0.7:
            colours = recoloured(generator, colours)
        if happens["dark"]:
            colours, palette = (
                np.asarray(cv2.convertScaleAbs(part, alpha=0.4), np.uint8) for part in (colours, palette)
            )
        elif happens["camouflage"]:
            palette = _palette_of(generator, colours, mask)
        if generator.random() < 0.35:
            colours = shaded(colours, noise(generator, self.size, 4), 0.7)
        picture = self._behind(generator, palette, happens)
        if happens["shadow"]:
            picture = shadowed(generator, picture, mask)
        if happens["empty"]:
            mask = np.zeros_like(mask)
        picture = blend(picture, colours, mask)
        if happens["occluded"]:
            picture, mask = occluded(generator, picture, mask, palette)
        return self._finished(generator, picture, mask, happens["bars"])

    def _finished(
        self, generator: np.random.Generator, picture: Picture, mask: NDArray[np.uint8], has_bars: bool
    ) -> Scene:
        if generator.random() < 0.5:
            picture, mask = np.ascontiguousarray(picture[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
        picture = develop(generator, picture, self.strength)
        return Scene(*barred(generator, picture, mask)) if has_bars else Scene(picture, mask)

    def _photographed(self, generator: np.random.Generator) -> Scene:
        """A picture as it was taken, with the light and the shadows of its own street; moved and zoomed a little."""
        index = int(generator.integers(len(self.bank)))
        matrix = Placement.sample(generator, is_cut=False).matrix(self.bank.boxes[index], self.size)
        moved = _warped(self.bank.pictures[index], matrix, self.size, cv2.BORDER_REFLECT)
        mask = _warped(self.bank.people[index][..., 3], matrix, self.size, cv2.BORDER_CONSTANT)
        return self._finished(generator, moved, mask, has_bars=False)

    def _person(self, generator: np.random.Generator, place: Placement) -> tuple[Picture, NDArray[np.uint8]]:
        """A random person at a place: colours [H, W, 3] and coverage [H, W]."""
        index = int(generator.integers(len(self.bank)))
        matrix = place.matrix(self.bank.boxes[index], self.size)
        person = _warped(self.bank.people[index], matrix, self.size, cv2.BORDER_CONSTANT)
        return np.ascontiguousarray(person[..., :3]), np.ascontiguousarray(person[..., 3])

    def _behind(self, generator: np.random.Generator, palette: Picture, happens: Mapping[str, bool]) -> Picture:
        if happens["street"]:
            picture = self._street(generator)
        else:
            picture = self.families[int(generator.integers(len(self.families)))](generator, self.size, palette)
        if happens["others"]:
            for _ in range(int(generator.choice([1, 1, 1, 2, 4, 7]))):
                picture = self._with_other(generator, picture)
        if generator.random() < 0.5:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), float(generator.uniform(0.5, 4))), np.uint8)
        return picture

    def _street(self, generator: np.random.Generator) -> Picture:
        """The side of somebody's picture, magnified: no person in the middle of it."""
        height, width = self.size
        index = int(generator.integers(len(self.bank)))
        first, last = (int(value) for value in self.bank.boxes[index][2:])
        side = max(first, width - last, 12)
        rows = min(height, int(side * generator.uniform(1.5, 4)))
        top = int(generator.integers(height - rows + 1))
        columns = slice(0, side) if first >= width - last else slice(width - side, width)
        piece = self.bank.pictures[index][top : top + rows, columns]
        return np.asarray(cv2.resize(piece, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def _with_other(self, generator: np.random.Generator, picture: Picture) -> Picture:
        """Somebody else: to the side at the same size, or anywhere and smaller."""
        is_near = generator.random() < 0.5
        if is_near:
            scale, x = generator.uniform(0.7, 1.05), generator.choice([-1, 1]) * generator.uniform(0.24, 0.6)
        else:
            scale, x = generator.uniform(0.2, 0.55), generator.uniform(-0.6, 0.6)
        place = Placement.sample(generator, is_cut=generator.random() < 0.3)
        colours, mask = self._person(generator, place.moved(float(scale), float(x), float(generator.normal(0, 0.08))))
        if generator.random() < 0.5:
            colours = recoloured(generator, colours)
        if not is_near and generator.random() < 0.5:
            blur = float(generator.uniform(0.5, 3))
            mask, colours = (np.asarray(cv2.GaussianBlur(part, (0, 0), blur), np.uint8) for part in (mask, colours))
        return blend(picture, colours, mask)


def photographed(bank: Bank, index: int) -> Scene:
    """One picture of a bank, untouched."""
    return Scene(bank.pictures[index], bank.masks[index])


def _warped(image: NDArray[np.uint8], matrix: NDArray[np.float64], size: Size, border: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(image, matrix, (size[1], size[0]), borderMode=border), np.uint8)


def _palette_of(generator: np.random.Generator, colours: Picture, coverage: NDArray[np.uint8]) -> Picture:
    """[6, 3]: colours of the person, hardly changed."""
    rows, columns = np.nonzero(coverage[::4, ::4] > 230)
    if len(rows) == 0:
        return random_palette(generator)
    chosen = generator.integers(len(rows), size=6)
    palette = colours[4 * rows[chosen], 4 * columns[chosen]] + generator.normal(0, 10, (6, 3))
    return np.clip(palette, 0, 255).astype(np.uint8)
