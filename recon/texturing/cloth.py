"""Cloth continued where the photo does not show it: stripes, prints, knit, seams and folds of the seen half.

Half maps lie mirrored in a texture (recon.texturing.fields), so the other side of a limb, and the other limb, are
flips. What is taken over keeps its place on the body: stripes meet at the sides. Single marks are left out: what
differs from its left-right mirror image and stands out (a bag, a cup, a hand), and a vertical opening or mark in
the middle of the trunk that differs from both of its sides (an open coat, lapels, a logo). Heads have their own rule:
the back of a head is what its crown is, hair or hat.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from recon.texturing.fields import enlarged
from recon.texturing.fill import push_pull, quads_summed

_HEAD_FROM = (0.845, 0.875)
"""Share of the body's height at which the head begins: no cloth above, all cloth below."""

_CROWN_FROM = 0.95
_COARSE = 1 / 48
"""Reach of the blur that tells colours from details, as a share of the texture's rows."""

_CONFIDENT = (0.55, 0.95)
_AGREEING = (0.13, 0.35)
"""Colour distances between taken over and guessed at which the former counts exp(-1): of single things, of pairs."""

_ALIKE = 0.12
_STANDS_OUT, _APART = (0.02, 0.12), (0.12, 0.25)
"""Colour distances from which, and with which fully, something is a mark: from around, from its mirror image."""

_MARKED = (0.05, 0.2)
_PRINT = (0.18, 0.23)
"""Shares of what is seen on both sides that marks take where they are a print."""

_MARK_ROWS = 128
"""Rows that marks are looked for on; finer textures are averaged."""

_AROUND = 4.0
"""Reach of the blur that tells the colours around a mark, times that of details."""

_SIDES = (0.5, 0.85)
"""Of half a trunk's width: where it shows its cloth beside an opening."""


_OPENING = (0.25, 0.5)
"""Shares of something else in the middle of the trunk from which, and with which fully, its sides stand in."""

_SOURCES = (((-2,), 1.0), ((-1,), 0.3), ((-2, -1), 0.3))
"""Flips of a texture that cloth is taken over from, and how much they count: other side, other limb, both."""


@dataclass(frozen=True)
class BodyMap:
    """Parts of the body on a texture; rows and columns as in the texture.

    Attributes:
        cloth: [H, W] 1 where clothes are continued, 0 on the head.
        crown: [H, W] true on the uppermost part of the head.
        scalp: [H, W] 1 on the back of the head, down to the neck.
        across: [H, W] distance from the middle as a share of half the trunk's width; above 1 beside the trunk.
        fold: [H, W] column of the side of the trunk that stands in for each column of the middle.
    """

    cloth: Float[Tensor, "H W"]
    crown: Bool[Tensor, "H W"]
    scalp: Float[Tensor, "H W"]
    across: Float[Tensor, "H W"]
    fold: Tensor

    @staticmethod
    def of(places: Float[Tensor, "3 H W"], on_layout: Bool[Tensor, "H W"]) -> "BodyMap":
        """From the template's places of all texels."""
        _, y, z = places
        low, high = y[on_layout].min(), y[on_layout].max()
        height = (y - low) / (high - low)
        start, end = _HEAD_FROM
        cloth = 1 - ((height - start) / (end - start)).clamp(0, 1)
        crown = on_layout & (height > _CROWN_FROM)
        scalp = ((height - start) / (end - start)).clamp(0, 1) * torch.sigmoid(-z / (0.02 * (high - low)))
        columns = on_layout.shape[1]
        middle = (columns - 1) / 2
        offset = (torch.arange(columns, device=y.device) - middle).expand(on_layout.shape)
        half = _half_widths(on_layout)
        across = offset.abs() / half.clamp(min=1e-3)[:, None]
        side = middle + torch.sign(offset) * half[:, None] * (0.9 - 0.8 * across.clamp(max=0.5))
        fold = torch.where(across < 0.5, side.round(), offset + middle).long().clamp(0, columns - 1)
        return BodyMap(cloth, crown, scalp, across, fold)


def _half_widths(on_layout: Tensor) -> Tensor:
    """[H] half the width, texels, of what lies around the middle column of each row; 0 between the legs."""
    columns = on_layout.shape[1]
    right = on_layout[:, columns // 2 :].long().cumprod(dim=1).sum(dim=1)
    left = on_layout[:, : columns // 2].flip(1).long().cumprod(dim=1).sum(dim=1)
    return torch.minimum(left, right).float()


def single_marks(photo: Float[Tensor, "3 H W"], seen: Float[Tensor, "H W"], body: BodyMap) -> Float[Tensor, "H W"]:
    """0..1 where the photo shows what is there once, such as a bag, a clutch, a cup or a hand.

    It differs from its left-right mirror image, and stands out more from the colours around both. What has the colours
    of such a place and not those around belongs to it. Where much of the body stands out so, it is a print.

    Args:
        photo: the photo's colours where it shows the surface, anything elsewhere.
        seen: 0..1 how well it shows it.
        body: of the same texture.
    """
    full, step = photo.shape[1:], max(1, photo.shape[1] // _MARK_ROWS)
    sigma = _COARSE * full[0] / step
    trust = _ramp(seen, _CONFIDENT)[None]
    premultiplied, trust, cloth = (_pooled(values, step) for values in (photo * trust, trust, body.cloth[None]))
    photo, trust, cloth = premultiplied / trust.clamp(min=1e-6), trust[0], cloth[0]
    both = trust * trust.flip(1) * cloth
    colour = _means(photo, trust, sigma / 2)
    mirrored = photo + photo.flip(2)
    around = _means(mirrored, both, _AROUND * sigma) / 2
    away, apart = _length(colour - around), _length(colour - colour.flip(2))
    marks = both * _ramp(away - away.flip(1), _STANDS_OUT) * _ramp(apart, _APART)
    marks = marks * (1 - _ramp(marks.sum() / both.sum().clamp(min=1e-6), _PRINT))
    near = _smoothed(marks[None], 2 * sigma)[0]
    plain = _means(mirrored, both * (1 - marks) * (1 - marks.flip(1)), 2 * sigma) / 2
    like = _length(colour - plain) - _length(colour - _means(photo, marks, 2 * sigma))
    marks = torch.maximum(marks, trust * cloth * _ramp(near, _MARKED) * _ramp(like, _STANDS_OUT))
    return _ramp(enlarged(_smoothed(marks[None], sigma / 2)[None], *full)[0, 0], _MARKED)


def _length(colours: Tensor) -> Tensor:
    return colours.square().sum(dim=0).sqrt()


def _ramp(values: Tensor, limits: tuple[float, float]) -> Tensor:
    return ((values - limits[0]) / (limits[1] - limits[0])).clamp(0, 1)


def continued(
    photo: Float[Tensor, "3 H W"],
    seen: Float[Tensor, "H W"],
    guess: Float[Tensor, "3 H W"],
    body: BodyMap,
    marks: Float[Tensor, "H W"],
) -> Float[Tensor, "3 H W"]:
    """The guess with cloth and hair continued from what the photo shows.

    Args:
        photo: the photo's colours where it shows the surface, anything elsewhere.
        seen: 0..1 how well it shows it.
        guess: colours for what it does not show.
        body: of the same texture.
        marks: from `single_marks`; they are not continued.
    """
    trust = _ramp(seen, _CONFIDENT) * (1 - marks)
    if not bool((trust > 0).any()):
        return guess
    step = _step_of(photo)
    shown = _pooled(trust[None], step)[0]
    colour = _means_of(_pooled(photo * trust, step), shown, _COARSE * len(shown))
    photo, trust, colour, shown = _without_opening((photo, trust), (colour, shown), body)
    alike = _likeness(colour, shown, _smoothed(_pooled(guess, step), _COARSE * len(shown)))
    total, weights, strength = torch.zeros_like(photo), torch.zeros_like(trust), torch.zeros_like(trust)
    for (flips, preference), likeness in zip(_SOURCES, enlarged(alike[None], *trust.shape)[0], strict=True):
        agreed = trust.flip(flips) * likeness
        part = (preference * agreed) ** 2
        total.addcmul_(part[None], photo.flip(flips))
        weights += part
        torch.maximum(strength, agreed, out=strength)
    cloth = total.div_(weights.clamp(min=1e-6))
    share = _blurred(strength[None], 0.2 * _COARSE * len(trust))[0] * body.cloth * (weights > 1e-6)
    return _with_hair(torch.lerp(guess, cloth, share), photo, trust, body)


def _likeness(colour: Tensor, shown: Tensor, guessed: Tensor) -> Tensor:
    """[3, h, w] 0..1 for each of `_SOURCES`: how far its blurred colours are what the guess is."""
    twins = _length(colour - colour.flip(2))
    paired = torch.exp(-((twins / _ALIKE) ** 2)) * shown.flip(1).clamp(min=0.3)
    reach = _AGREEING[0] + (_AGREEING[1] - _AGREEING[0]) * paired
    alike = []
    for flips, _ in _SOURCES:
        away = (colour.flip(flips) - guessed).square().sum(dim=0) / reach.flip(flips) ** 2
        # A mark is far from the guess all over; its edges, which are nearer, go with it.
        away = _means_of((away * shown.flip(flips))[None], shown.flip(flips), _COARSE * len(shown) / 2)
        alike.append(torch.exp(-away[0]))
    return torch.stack(alike)


def _without_opening(
    fine: tuple[Tensor, Tensor], coarse: tuple[Tensor, Tensor], body: BodyMap
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Photo and trust, blurred colours and pooled trust with the sides of the trunk where its middle differs."""
    (photo, trust), (colour, shown) = fine, coarse
    step = len(trust) // len(shown)
    across, of_cloth = (_pooled(values[None], step)[0] for values in (body.across, body.cloth))
    beside = ((across > _SIDES[0]) & (across < _SIDES[1])).to(trust) * shown
    middle = colour.shape[2] // 2
    left, right = (_row_means(colour, beside, half) for half in (slice(None, middle), slice(middle, None)))
    alike = torch.exp(-(((left - right).square().sum(dim=0).sqrt() / _ALIKE) ** 2))
    away = _length(colour - ((left + right) / 2)[:, :, None]) / _ALIKE
    other = (1 - torch.exp(-(away**2))) * alike[:, None] * (across < _SIDES[0]) * of_cloth
    other = _smoothed(other[None], _COARSE * len(shown) / 2)
    if not bool((other > _OPENING[0]).any()):
        return photo, trust, colour, shown
    other_texels = enlarged(other[None], *trust.shape)[0]
    fold = body.fold[step // 2 :: step, step // 2 :: step] // step
    return *_folded(photo, trust, other_texels, body.fold), *_folded(colour, shown, other, fold)


def _folded(colour: Tensor, trust: Tensor, other: Tensor, fold: Tensor) -> tuple[Tensor, Tensor]:
    """Colours and trust with those of the columns that stand in for others."""
    stand_in = colour.gather(2, fold.expand_as(colour)), trust.gather(1, fold)
    share = _ramp(other[0], _OPENING) * (stand_in[1] > 0)
    return torch.lerp(colour, stand_in[0], share), torch.lerp(trust, stand_in[1], share)


def _row_means(colour: Tensor, weight: Tensor, columns: slice) -> Tensor:
    """[3, H] mean colours of rows, taken together with the rows around."""
    weight = weight[:, columns]
    total = torch.cat(((colour[:, :, columns] * weight).sum(dim=2), weight.sum(dim=1)[None]))
    reach = 2 * round(_COARSE * total.shape[1] / 2) + 1
    total = functional.avg_pool1d(total[None], reach, stride=1, padding=reach // 2)[0]
    return total[:3] / total[3:].clamp(min=1e-6)


def _with_hair(texture: Tensor, photo: Tensor, trust: Tensor, body: BodyMap) -> Tensor:
    """The back of the head with the colour and texture of the crown as the photo shows it from the front."""
    half = len(trust) // 2
    shown = trust[half:] * body.crown[half:]
    rows = int(body.crown[half:].any(dim=1).sum())
    if rows < 2 or shown.sum() < 0.25 * body.crown[half:].sum():
        return texture
    down = torch.arange(half - 1, -1, -1, device=trust.device)
    source = rows - 1 - ((down % (2 * rows)) - rows + 0.5).abs().floor().long().clamp(max=rows - 1)
    hair = push_pull(photo[:, half:], shown)[:, source]
    share = body.scalp[:half]
    return torch.cat((texture[:, :half] + share * (hair - texture[:, :half]), texture[:, half:]), dim=1)


def _step_of(photo: Float[Tensor, "3 H W"]) -> int:
    """Texels of a texture to a place of its coarse grid; both sides are divided evenly, so that it can be flipped."""
    step = 1
    while 4 * step <= _COARSE * photo.shape[1] and not any(side % (2 * step) for side in photo.shape[1:]):
        step *= 2
    return step


def _pooled(values: Float[Tensor, "C H W"], step: int) -> Float[Tensor, "C h w"]:
    if step == 2 and not any(side % 2 for side in values.shape[1:]):
        return quads_summed(values) / 4
    return values if step == 1 else functional.avg_pool2d(values, step, ceil_mode=True)


def _blurred(values: Float[Tensor, "C H W"], sigma: float) -> Float[Tensor, "C H W"]:
    """Gaussian means, worked out on fewer texels."""
    step = max(1, int(sigma))
    small = _smoothed(_pooled(values, step), sigma / step)
    whole = enlarged(small[None], small.shape[1] * step, small.shape[2] * step)[0]
    return whole[:, : values.shape[1], : values.shape[2]]


def _means(values: Float[Tensor, "C H W"], weight: Float[Tensor, "H W"], sigma: float) -> Float[Tensor, "C H W"]:
    return _means_of(values * weight, weight, sigma)


def _means_of(weighted: Tensor, weight: Tensor, sigma: float) -> Tensor:
    """Gaussian means of what has weight, with which it is multiplied; nothing is left of what has none near."""
    return _smoothed(weighted, sigma) / _smoothed(weight[None], sigma).clamp(min=1e-4)


def _smoothed(values: Float[Tensor, "C H W"], sigma: float) -> Float[Tensor, "C H W"]:
    """Gaussian means; on so few places matrix products are faster than convolutions."""
    down, across = (_gaussian(count, max(sigma, 0.3), values.dtype, values.device) for count in values.shape[1:])
    return down @ (values @ across.T)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _gaussian(count: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "N N"]:
    """Weights of the means of a row of places."""
    places = torch.arange(count, dtype=dtype, device=device)
    away = (places[:, None] - places).abs()
    reach = max(1, round(2.5 * sigma))
    weights = torch.exp(-(away.clamp(max=reach) ** 2) / (2 * sigma**2)) * (away <= reach)
    return weights / weights.sum(dim=1, keepdim=True)
