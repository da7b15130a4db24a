"""How far virtual people are from real photos: sharpness and colours of the torso, and a classifier's AUC."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.stats import rankdata
from torch import Tensor, nn

from mmgen.augment.folder import INDEX_NAME, read_plan
from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.photos.images import read_image

MOST_PHOTOS = 1000
"""Of each kind; a random choice where there are more."""

TORSO_ROWS, TORSO_COLUMNS = (0.22, 0.5), (0.3, 0.7)
"""Where the torso is in a box around a person, as shares of height and width; the same for real and virtual ones."""

HISTOGRAM_BINS = 8
TEST_SHARE = 0.3
SPLITS = 2
"""Divisions of the people into learnt and tested ones; one alone is off by up to 0.1."""

EPOCHS, BATCH, LEARNING_RATE = 12, 64, 2e-3
MEASURES = ("laplacian_variance", "mean_gradient", "saturation", "contrast")


@dataclass(frozen=True)
class Pictures:
    """Photos of one kind at one size.

    Attributes:
        rgb: uint8 [N, H, W, 3].
        people: [N] real person whose body is seen.
    """

    rgb: NDArray[np.uint8]
    people: tuple[str, ...]


@dataclass(frozen=True)
class Realism:
    """What separates virtual people from real ones.

    Attributes:
        real: measures of the torso of real photos, medians: variance of the Laplacian and mean gradient of grey levels
            0..255, saturation 0..255, contrast (standard deviation of grey levels).
        virtual: the same of virtual photos.
        histogram: L1 distance of the torsos' mean colour histograms (8 x 8 x 8), 0..2.
        histogram_of_halves: the same between two halves of the real people: what chance gives.
        aucs: of small networks that tell real from virtual on people they have not seen, 0.5..1; 0.5: they cannot. One
            per division of the people.
        photos: real and virtual photos that were looked at.
    """

    real: dict[str, float]
    virtual: dict[str, float]
    histogram: float
    histogram_of_halves: float
    aucs: tuple[float, ...]
    photos: tuple[int, int]

    @property
    def auc(self) -> float:
        """Mean over the divisions."""
        return sum(self.aucs) / len(self.aucs)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, with the mean AUC and the ratios virtual / real."""
        ratios = {name: self.virtual[name] / max(self.real[name], 1e-9) for name in MEASURES}
        return {**asdict(self), "auc": self.auc, "ratios": ratios}

    def lines(self) -> list[str]:
        """As a table for people, and what else is known, in Markdown."""
        rows = [
            f"| {name.replace('_', ' ')} | {self.real[name]:,.1f} | {self.virtual[name]:,.1f} | {ratio:.2f} |"
            for name, ratio in self.to_dict()["ratios"].items()
        ]
        each = ", ".join(f"{auc:.2f}" for auc in self.aucs)
        return [
            "| torso, medians | real | virtual | ratio |",
            "|---|--:|--:|--:|",
            *rows,
            "",
            f"Colour histograms differ by {self.histogram:.3f} (L1; halves of the real people: "
            f"{self.histogram_of_halves:.3f}). Small networks tell",
            f"real from virtual photos of people whom they did not learn from with an AUC of {self.auc:.2f} ({each}).",
            f"0.5: they cannot. Looked at: {self.photos[0]:,} real and {self.photos[1]:,} virtual photos.",
        ]


def judge_realism(
    shards: Path, market: Path, seed: int = 0, advance: Callable[[int], None] = lambda count: None
) -> Realism:
    """Compare the virtual photos of finished shards with the real photos that they were made from.

    Networks learn on some people and are tested on others: neither a real person nor a virtual one with that person's
    body is on both sides.

    Args:
        shards: folder of `mmgen augment-reid`.
        market: its data set.
        seed: of the choice of photos, the divisions and the networks.
        advance: told of every epoch, `SPLITS` times `EPOCHS` in all.

    Raises:
        FatalError: `shards_missing`, `too_few_photos`; as from `read_plan`.
        ItemError: a photo cannot be read.
    """
    real, virtual = _real(shards, market, seed), _virtual(shards, seed)
    people = sorted(set(real.people) & set(virtual.people))
    if len(people) < 4:
        raise FatalError("too_few_photos", f"{len(people)} people are too few to judge by", "Make more shards.")
    Random(seed).shuffle(people)
    halves = [_histogram(_of(real, frozenset(people[start::2])).rgb) for start in (0, 1)]
    return Realism(
        real=torso_measures(real.rgb),
        virtual=torso_measures(virtual.rgb),
        histogram=float(np.abs(_histogram(real.rgb) - _histogram(virtual.rgb)).sum()),
        histogram_of_halves=float(np.abs(halves[0] - halves[1]).sum()),
        aucs=tuple(
            _judge(real, virtual, _tested(people, number), number, advance) for number in range(seed, seed + SPLITS)
        ),
        photos=(len(real.rgb), len(virtual.rgb)),
    )


def torso_measures(rgb: NDArray[np.uint8]) -> dict[str, float]:
    """Medians over photos [N, H, W, 3] of the measures of their torsos; see `Realism.real`."""
    rows = []
    for torso in _torsos(rgb):
        grey = torso @ np.array([0.299, 0.587, 0.114])
        down, across = np.gradient(grey)
        brightest = torso.max(axis=2)
        saturation = 255 * (brightest - torso.min(axis=2)) / np.maximum(brightest, 1)
        rows.append((ndimage.laplace(grey).var(), np.hypot(down, across).mean(), saturation.mean(), grey.std()))
    return dict(zip(MEASURES, np.median(rows, axis=0).tolist(), strict=True))


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Probability that a positive scores higher than a negative, ties counting half (Mann and Whitney 1947)."""
    count = int(positive.sum())
    above = rankdata(scores)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(scores) - count)))


def _torsos(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = (
        slice(*(round(share * size) for share in shares))
        for shares, size in zip((TORSO_ROWS, TORSO_COLUMNS), rgb.shape[1:3], strict=True)
    )
    return rgb[:, rows, columns].astype(np.float64)


def _histogram(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    edges = [np.linspace(0, 256, HISTOGRAM_BINS + 1)] * 3
    counts, _ = np.histogramdd(_torsos(rgb).reshape(-1, 3), bins=edges)
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def _real(shards: Path, market: Path, seed: int) -> Pictures:
    plan = read_plan(shards)
    if plan is None:
        raise FatalError("shards_missing", f"{display_name(shards)} holds no plan of shards", "Finish the run first.")
    chosen = _chosen(plan["plan"]["photos"], seed)
    height, width = plan["plan"]["options"]["look"]["size"]
    pictures = [_sized(Image.fromarray(read_image(market / photo["path"]).rgb), (height, width)) for photo in chosen]
    return Pictures(np.stack(pictures), tuple(photo["pid"] for photo in chosen))


def _virtual(shards: Path, seed: int) -> Pictures:
    lines = [json.loads(line) for line in (shards / INDEX_NAME).read_bytes().splitlines()]
    chosen = _chosen([line for line in lines if line["kind"] == "virtual"], seed)
    pictures = []
    for line in chosen:
        with (shards / line["shard"]).open("rb") as file:
            file.seek(line["jpg"][0])
            pictures.append(np.asarray(Image.open(io.BytesIO(file.read(line["jpg"][1]))).convert("RGB")))
    return Pictures(np.stack(pictures), tuple(line["parents"][0] for line in chosen))


def _chosen(items: Sequence[Any], seed: int) -> Sequence[Any]:
    return items if len(items) <= MOST_PHOTOS else Random(seed).sample(items, MOST_PHOTOS)


def _tested(people: Sequence[str], seed: int) -> frozenset[str]:
    order = sorted(people)
    Random(seed).shuffle(order)
    return frozenset(order[: max(2, round(TEST_SHARE * len(order)))])


def _of(pictures: Pictures, people: frozenset[str]) -> Pictures:
    inside = [index for index, person in enumerate(pictures.people) if person in people]
    return Pictures(pictures.rgb[inside], tuple(pictures.people[index] for index in inside))


def _sized(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BICUBIC) if image.size != size[::-1] else image)


def _judge(
    real: Pictures, virtual: Pictures, tested: frozenset[str], seed: int, advance: Callable[[int], None]
) -> float:
    """AUC on the photos of `tested` people of a network that was trained on all others."""
    images = torch.cat([_tensor(real.rgb), _tensor(virtual.rgb)])
    is_virtual = torch.arange(len(images)) >= len(real.rgb)
    inside = torch.tensor([person in tested for person in (*real.people, *virtual.people)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _trained(images[~inside], is_virtual[~inside].float(), advance)
        with torch.inference_mode():
            scores = network(images[inside]).double().numpy()
    return area_under_curve(scores, is_virtual[inside].numpy())


def _trained(images: Tensor, labels: Tensor, advance: Callable[[int], None]) -> nn.Module:
    layers: list[nn.Module] = []
    for channels, wider in ((3, 24), (24, 48), (48, 96)):
        layers += [nn.Conv2d(channels, wider, 3, 2, 1), nn.BatchNorm2d(wider), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(96, 1))
    network.append(nn.Flatten(0))
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.01)
    weight = (1 - labels).sum() / labels.sum().clamp(min=1)
    network.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            if len(rows) < 2:
                continue
            batch = torch.where(torch.rand(len(rows), 1, 1, 1) < 0.5, images[rows], images[rows].flip(3))
            loss = nn.functional.binary_cross_entropy_with_logits(network(batch), labels[rows], pos_weight=weight)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        advance(1)
    return network.eval()


def _tensor(rgb: NDArray[np.uint8]) -> Tensor:
    """[N, 3, H, W], about -1..1; at the photos' own size: sharpness is what is judged."""
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 127.5 - 1
