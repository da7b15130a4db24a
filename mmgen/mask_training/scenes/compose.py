"""One scene: what a look of the network may show, and all that is true of it.

People come as they were photographed or cut out before other grounds, whole or cut off by the photo's edge, alone or
with others; and there are photos of clothes, things, rooms and streets with nobody in the middle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mmgen.mask_training.bank import Item
from mmgen.mask_training.scenes.backgrounds import TRAINING_FAMILIES, Picture, blend, random_palette
from mmgen.mask_training.scenes.grounds import ground
from mmgen.mask_training.scenes.placing import Placement, occluded, shadowed
from mmgen.mask_training.scenes.sensor import develop, recoloured
from mmgen.masks.framing import PAD_GREY, Window, window_on
from recon.segmentation import COUNTS, CUTS

UNKNOWN = -1

CUT_FRACTIONS: Mapping[str, tuple[float, float]] = {
    "shin": (0.77, 0.92),
    "knee": (0.66, 0.77),
    "hip": (0.50, 0.66),
    "waist": (0.36, 0.50),
    "neck": (0.17, 0.33),
}
"""Where a photo that is cut there ends, in heights of the person below the top of the head."""

FRONT_DEG, BACK_DEG = 80.0, 100.0
"""Azimuths up to and from which a person counts as seen from the front and from behind."""

STRENGTH = 0.6
"""Of the sensor."""


@dataclass(frozen=True)
class Scene:
    """A picture and its truths.

    Attributes:
        rgb: uint8 [H, W, 3].
        mask: uint8 [H, W], coverage by the person in the middle, 255 = all.
        is_mask_known: False where it cannot be said who is in the middle.
        person: 1 somebody is in the middle, 0 nobody, -1 unknown.
        azimuth_deg: azimuth of the camera around them; NaN unknown.
        count: class of `recon.segmentation.COUNTS`, -1 unknown.
        cut: class of `recon.segmentation.CUTS`, -1 unknown.
        source: kind of the scene.
    """

    rgb: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    is_mask_known: bool
    person: int
    azimuth_deg: float
    count: int
    cut: int
    source: str

    @property
    def back(self) -> int:
        """1 seen from behind, 0 from the front, -1 unknown or from beside."""
        turn = abs((self.azimuth_deg + 180) % 360 - 180)
        return 0 if turn <= FRONT_DEG else 1 if turn >= BACK_DEG else UNKNOWN


@dataclass(frozen=True)
class Sources:
    """What scenes are made of.

    Attributes:
        photos: people in their photos.
        avatars: people who are only cut out, seen from all sides.
        generated: people of `mmgen synth` in their pictures, seen from all sides.
        clothes: photos of clothes with nobody in them.
        things: photos of other things.
    """

    photos: Sequence[Item]
    avatars: Sequence[Item]
    generated: Sequence[Item]
    clothes: Sequence[Item]
    things: Sequence[Item]


SHARES: Mapping[str, float] = {
    "photo": 0.36,
    "moved": 0.07,
    "avatar": 0.30,
    "generated": 0.07,
    "nobody": 0.15,
    "several": 0.05,
}
"""How often each kind is drawn."""


@dataclass(frozen=True)
class Scenes:
    """Draws scenes.

    Attributes:
        size: height and width.
        shares: as `SHARES`.
    """

    sources: Sources
    size: tuple[int, int]
    shares: Mapping[str, float]

    def draw(self, generator: np.random.Generator) -> Scene:
        """One scene; the generator's state decides all of it."""
        kinds = [kind for kind in self.shares if kind != "generated" or self.sources.generated]
        chances = np.array([self.shares[kind] for kind in kinds])
        kind = kinds[int(generator.choice(len(kinds), p=chances / chances.sum()))]
        if kind == "photo":
            scene = self._photographed(generator, _one(generator, self.sources.photos), kind)
        elif kind == "generated":
            scene = self._photographed(generator, _one(generator, self.sources.generated), kind)
        elif kind == "nobody":
            scene = self._nobody(generator)
        elif kind == "several":
            scene = self._several(generator)
        else:
            bank = self.sources.photos if kind == "moved" else self.sources.avatars
            scene = self._placed(generator, _one(generator, bank), kind)
        return _mirrored(scene) if generator.random() < 0.5 else scene

    def _photographed(self, generator: np.random.Generator, item: Item, kind: str) -> Scene:
        """A part of somebody's own photo, at times with somebody else beside or behind them."""
        picture, cut = item.picture, CUTS.index("none")
        top, bottom, left, right = item.box
        high = bottom - top
        if bottom >= picture.shape[0] - 1:
            cut = UNKNOWN
        head, foot = top - generator.uniform(0.01, 0.2) * high, bottom + generator.uniform(0.01, 0.15) * high
        if generator.random() < 0.25:
            cut = int(generator.integers(1, len(CUTS)))
            fraction = generator.uniform(*CUT_FRACTIONS[CUTS[cut]])
            foot = top + fraction * high
            rows = slice(top, int(foot))
            columns = np.flatnonzero((picture[rows, :, 3] >= 128).any(axis=0))
            left, right = int(columns[0]), int(columns[-1]) + 1
        elif generator.random() < 0.35:
            head, foot = 0.0, float(picture.shape[0])
        window = self._window(generator, picture, (head, foot, left, right))
        rgb, mask = self._through(generator, picture, window)
        count = 0
        if generator.random() < 0.1:
            rgb, count = self._with_other(generator, rgb, mask)
        if generator.random() < 0.06:
            rgb, mask = occluded(generator, rgb, mask, random_palette(generator))
        return self._finished(generator, rgb, mask, window, (item.azimuth_deg, count, cut, kind))

    def _placed(self, generator: np.random.Generator, item: Item, kind: str) -> Scene:
        """Somebody cut out, before another ground."""
        window = self._any_window(generator)
        cut = CUTS.index("none")
        share, at = generator.uniform(0.6, 0.97), 0.5
        if generator.random() < 0.2:
            cut = int(generator.integers(1, len(CUTS)))
            fraction = generator.uniform(*CUT_FRACTIONS[CUTS[cut]])
            share = 1 / (fraction + generator.uniform(0.02, 0.25))
            at = 1 - share * fraction + share / 2
        elif generator.random() < 0.15:
            share, at = generator.uniform(0.4, 0.6), generator.uniform(0.4, 0.6)
        colours, mask = self._pasted(generator, item, window, share, (float(generator.normal(0, 0.06)), at))
        if generator.random() < 0.3:
            colours = recoloured(generator, colours)
        rgb = ground(generator, self.sources, self.size)
        if generator.random() < 0.4:
            rgb = shadowed(generator, rgb, mask)
        count = 0
        if generator.random() < 0.12:
            rgb, count = self._with_other(generator, rgb, mask)
        rgb = blend(rgb, colours, mask)
        if generator.random() < 0.08:
            rgb, mask = occluded(generator, rgb, mask, random_palette(generator))
        return self._finished(generator, rgb, mask, window, (item.azimuth_deg, count, cut, kind))

    def _nobody(self, generator: np.random.Generator) -> Scene:
        """Clothes, things, streets, drawings."""
        window, draw = self._any_window(generator), generator.random()
        if draw < 0.62:
            rgb = self._cropped(generator, _one(generator, self.sources.clothes).picture)
        elif draw < 0.78 and self.sources.things:
            rgb = self._cropped(generator, _one(generator, self.sources.things).picture)
        elif draw < 0.9:
            rgb = ground(generator, self.sources, self.size)
        else:
            family = TRAINING_FAMILIES[int(generator.integers(len(TRAINING_FAMILIES)))]
            rgb = family(generator, self.size, random_palette(generator))
        mask = np.zeros(self.size, np.uint8)
        if generator.random() < 0.25:
            rgb = recoloured(generator, rgb)
        scene = self._finished(generator, rgb, mask, window, (float("nan"), UNKNOWN, UNKNOWN, "nobody"))
        return replace(scene, person=0)

    def _several(self, generator: np.random.Generator) -> Scene:
        """People of a size in a row; who is in the middle is known where one stands there."""
        window, number = self._any_window(generator), int(generator.choice([2, 2, 3, 3, 4, 5]))
        rgb = ground(generator, self.sources, self.size)
        spacing = generator.uniform(0.85, 1.1) / number
        places = (np.arange(number) - (number - 1) / 2 + generator.normal(0, 0.06, number)) * spacing
        share = float(np.clip(spacing * generator.uniform(1.2, 2.2), 0.2, 0.9))
        main = int(np.abs(places).argmin())
        middle = np.zeros(self.size, np.uint8)
        bank = self.sources.photos if generator.random() < 0.5 else self.sources.avatars
        azimuth = float("nan")
        for person in generator.permutation(number):
            item = _one(generator, bank)
            high = share * generator.uniform(0.88, 1.08)
            place = (float(places[person]), float(0.5 + generator.normal(0, 0.04)))
            colours, mask = self._pasted(generator, item, window, high, place)
            rgb = blend(rgb, colours, mask)
            middle = np.asarray(cv2.multiply(middle, 255 - mask, scale=1 / 255), np.uint8)
            if person == main:
                middle, azimuth = mask, item.azimuth_deg
        is_clear = number % 2 == 1 or abs(places[main]) < 0.2 * spacing
        truths = (azimuth, min(number, COUNTS) - 1, UNKNOWN, "several")
        scene = self._finished(generator, rgb, middle, window, truths)
        return scene if is_clear else replace(scene, is_mask_known=False, azimuth_deg=float("nan"))

    def _with_other(self, generator: np.random.Generator, rgb: Picture, mask: NDArray[np.uint8]) -> tuple[Picture, int]:
        """Somebody else behind the one in the middle, to the side; and the count class that this makes."""
        bank = self.sources.photos if generator.random() < 0.6 else self.sources.avatars
        main = np.count_nonzero((mask >= 128).any(axis=1)) / self.size[0]
        is_near = generator.random() < 0.6
        share = main * (generator.uniform(0.75, 1.05) if is_near else generator.uniform(0.2, 0.45))
        x = generator.choice([-1, 1]) * generator.uniform(0.3, 0.55)
        window = window_on((0, 0, self.size[1], self.size[0]), self.size)
        place = (float(x), 0.5 + float(generator.normal(0, 0.05)))
        colours, other = self._pasted(generator, _one(generator, bank), window, max(share, 0.1), place)
        other = np.asarray(cv2.multiply(other, 255 - mask, scale=1 / 255), np.uint8)
        is_whole = abs(x) < 0.4
        return blend(rgb, colours, other), 0 if not is_near else 1 if is_whole else UNKNOWN

    def _pasted(
        self, generator: np.random.Generator, item: Item, window: Window, share: float, at: tuple[float, float]
    ) -> tuple[Picture, NDArray[np.uint8]]:
        """Colours and coverage of a cut-out whose box is `share` of the window high, its middle at (x from the
        middle, y) in shares of the window."""
        columns, rows = window.columns, window.rows
        wide, high = columns[1] - columns[0], rows[1] - rows[0]
        place = Placement(
            share * high / self.size[0],
            (columns[0] + wide * (0.5 + at[0])) / self.size[1] - 0.5,
            (rows[0] + high * at[1]) / self.size[0] - 0.5,
            float(np.exp(generator.normal(0, 0.08))),
            float(generator.normal(0, 2.5)),
        )
        matrix = place.matrix(np.array(item.box), self.size)
        warped = _warped(_small_enough(item.picture, matrix), matrix, self.size)
        return np.ascontiguousarray(warped[..., :3]), np.ascontiguousarray(warped[..., 3])

    def _window(
        self, generator: np.random.Generator, picture: NDArray[np.uint8], box: tuple[float, float, float, float]
    ) -> Window:
        """A part of a photo around rows and columns of it, of the frame's shape or another."""
        head, foot, left, right = box
        height, width = picture.shape[:2]
        top, bottom = max(int(head), 0), min(int(foot), height)
        aspect = self.size[1] / self.size[0] * (1 if generator.random() < 0.4 else np.exp(generator.normal(0, 0.3)))
        half = max((bottom - top) * aspect / 2, (right - left) / 2 * generator.uniform(1.0, 1.2))
        middle = (left + right) / 2 + generator.normal(0, 0.05) * (bottom - top)
        first, last = max(int(middle - half), 0), min(int(middle + half), width)
        return window_on((first, top, max(last, first + 16), max(bottom, top + 16)), self.size)

    def _any_window(self, generator: np.random.Generator) -> Window:
        """The whole frame, or what a photo of another shape takes of it."""
        aspect = self.size[1] / self.size[0]
        if generator.random() < 0.5:
            aspect *= np.exp(generator.normal(0, 0.45))
        return window_on((0, 0, max(round(1000 * aspect), 1), 1000), self.size)

    def _through(
        self, generator: np.random.Generator, picture: NDArray[np.uint8], window: Window
    ) -> tuple[Picture, NDArray[np.uint8]]:
        """What a window shows, hardly turned."""
        scale_x = (window.columns[1] - window.columns[0]) / (window.right - window.left)
        scale_y = (window.rows[1] - window.rows[0]) / (window.bottom - window.top)
        turn = np.deg2rad(generator.normal(0, 2))
        linear = np.diag([scale_x, scale_y]) @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        middle = np.array([window.left + window.right, window.top + window.bottom]) / 2
        target = np.array([sum(window.columns), sum(window.rows)]) / 2
        matrix = np.column_stack([linear, target - linear @ middle])
        warped = _warped(_small_enough(picture, matrix), matrix, self.size, cv2.BORDER_REFLECT)
        return np.ascontiguousarray(warped[..., :3]), np.ascontiguousarray(warped[..., 3])

    def _cropped(self, generator: np.random.Generator, picture: NDArray[np.uint8]) -> Picture:
        """A random part of a picture, stretched to the frame; at times lying on its side."""
        rgb = picture[..., :3]
        if generator.random() < 0.15:
            rgb = np.rot90(rgb, int(generator.integers(1, 4)))
        height, width = rgb.shape[:2]
        share = generator.uniform(0.45, 1.0)
        high, wide = max(int(share * height), 8), max(int(share * width), 8)
        if generator.random() < 0.7:
            wide = min(width, max(int(high * self.size[1] / self.size[0]), 8))
        top, left = int(generator.integers(height - high + 1)), int(generator.integers(width - wide + 1))
        piece = np.ascontiguousarray(rgb[top : top + high, left : left + wide])
        return np.asarray(cv2.resize(piece, self.size[::-1], interpolation=cv2.INTER_AREA), np.uint8)

    def _finished(
        self,
        generator: np.random.Generator,
        rgb: Picture,
        mask: NDArray[np.uint8],
        window: Window,
        truths: tuple[float, int, int, str],
    ) -> Scene:
        """Developed, grey beside the photo."""
        rgb = develop(generator, rgb, STRENGTH)
        frame = np.full_like(rgb, PAD_GREY)
        shown = np.zeros_like(mask)
        part = (slice(*window.rows), slice(*window.columns))
        frame[part], shown[part] = rgb[part], mask[part]
        azimuth, count, cut, source = truths
        is_there = int(np.count_nonzero(shown >= 128) > 0.004 * shown.size)
        return Scene(frame, shown, True, is_there, azimuth, count, cut, source)


def _mirrored(scene: Scene) -> Scene:
    return replace(
        scene,
        rgb=np.ascontiguousarray(scene.rgb[:, ::-1]),
        mask=np.ascontiguousarray(scene.mask[:, ::-1]),
        azimuth_deg=-scene.azimuth_deg,
    )


def _one(generator: np.random.Generator, items: Sequence[Item]) -> Item:
    return items[int(generator.integers(len(items)))]


def _small_enough(picture: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Blurred where the matrix makes it much smaller, so that nothing flickers."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return picture if scale > 0.6 else np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.35 / scale), np.uint8)


def _warped(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    border: int = cv2.BORDER_CONSTANT,
) -> NDArray[np.uint8]:
    return np.asarray(cv2.warpAffine(image, matrix, (size[1], size[0]), borderMode=border), np.uint8)
