"""A tiny data set, tiny weights and a finished shard folder, for tests of augmentation."""

from dataclasses import replace
from pathlib import Path

import torch
from training_data import write_people

from mmgen.augment.options import AugmentOptions, MixOptions, RenderOptions
from mmgen.augment.plan import Plan
from mmgen.augment.running import AugmentConfig, Outcome, run_augmentation
from mmgen.augment.sources import Source, find_sources
from mmgen.core.files import sha256_file
from mmgen.models.weights import save_weights
from mmgen.work.callbacks import RunCallbacks
from recon.encoders import AttributeEncoder, small_config
from recon.template import ellipsoid_template

BLEND = MixOptions(mix="blend")
OPTIONS = AugmentOptions(BLEND, RenderOptions(size=(32, 16)), with_real=True, samples_per_shard=20)


def write_weights(path: Path) -> Path:
    """Untrained networks for photos of 32 x 32 pixels."""
    torch.manual_seed(0)
    template = ellipsoid_template(level=1, mirror_axis=2)
    encoder = AttributeEncoder(small_config(height=32, width=32, offset_rank=4), template).eval()
    save_weights(path, encoder, template, {})
    return path


def request_for(folder: Path, out: Path, options: AugmentOptions = OPTIONS, **changes) -> AugmentConfig:
    """A run on the data set `folder/market` with the weights beside it, which are made where needed."""
    market, weights = folder / "market", folder / "tiny.safetensors"
    if not weights.is_file():
        write_weights(weights)
        write_people(market, identities=4, views=3)
    plan = Plan(options, find_sources(market, options.limit).photos)
    request = AugmentConfig(plan, market, out, weights, sha256_file(weights), "cpu")
    return replace(request, **changes)


def made(folder: Path, out: Path, options: AugmentOptions = OPTIONS, **changes) -> Outcome:
    """Run to the end."""
    return run_augmentation(request_for(folder, out, options, **changes), RunCallbacks())


def files_of(out: Path) -> dict[str, bytes]:
    """Every file that a user gets."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".mmgen" not in path.parts
    }


def market_listing(images: int = 12_936, identities: int = 751) -> tuple[Source, ...]:
    """Names alone, with the counts of Market-1501 and uneven shares; no files."""
    counts = [2] * identities
    left, person = images - 2 * identities, 0
    while left:
        more = min(left, (person * 7919) % 40)
        counts[person] += more
        left, person = left - more, (person + 1) % identities
    return tuple(
        Source(f"bounding_box_train/{2 * pid + 2:04d}_c{view % 6 + 1}s1_{view:06d}_01.jpg", f"{2 * pid + 2:04d}", 1)
        for pid, count in enumerate(counts)
        for view in range(count)
    )
