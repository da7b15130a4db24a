"""The data card of a shard folder: README.md."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmgen.augment.accounting import PUBLISHED
from mmgen.core.files import write_text_atomic

CARD_NAME = "README.md"
LABELS = {key: label for key, label, _ in PUBLISHED.rows()}
SCORES = ("mask_area", "folded", "source_iou", "view_consistency")

_MARKS = ("<!-- realism -->", "<!-- end of realism -->")
_NOT_JUDGED = """Not measured yet: `mmgen verify THIS_FOLDER --realism --photos DATA_SET` compares virtual with real
photos and writes it here."""

_TEXT = """# Virtual identities

People who do not exist: shape and camera of one photo, clothes mixed from two people, drawn from several sides. Colours
are the photos' own where they show the body, and the networks' guess elsewhere; the photos' light is in them
(3D Magic Mirror, arXiv 2204.13096, section 4.3). Made by `mmgen augment-reid`.

![Virtual people beside their parents](contact_sheet.jpg)

## Accounting

{accounting}

In the shards: {kinds}.

## How it was made

{options}

Weights {weights}, plan {plan}, mmgen {version}. Same photos, masks, options and weights on the same kind of device:
same bytes.

## Quality

Nothing was left out when writing; choose thresholds when training. Percentiles over the virtual images:

{quality}

`mask_area`: share of the image that is person. `folded`: share of faces turned inside out. `source_iou`: overlap of the
shape source's soft silhouette with its mask. `view_consistency`: 1 - distance of a view's colours, head to feet, to the
mean of its set.

## Realism

{realism}

## Reading

WebDataset tars with `jpg`, `json` and `cls` per sample; the fields stand in the docstring of `mmgen.augment.shards`.

```python
import webdataset as wds
tars = "shards/virtual-{{000000..{last:06d}}}.tar"
data = wds.WebDataset(tars, shardshuffle=False).decode("pil").to_tuple("jpg", "cls", "json")
```

`index.jsonl` has an offset for every image; `*.idx` are the same for NVIDIA DALI. `mmgen verify` checks every count and
hash. Numbers in `cls` start with the {identities} real identities of the training set, then come the virtual ones.

## Care

The pictures show textures of real people wherever the source photos do; the licence and the conditions of the source
data set apply. `camid` of virtual images is -1: they have no camera. To take a person out with everything that descends
from them: `mmgen augment-reid --remove-identity PID --out THIS_FOLDER`. {removed}
The folder `.mmgen/` holds reconstructed photos and may be deleted.
"""


def write_card(
    out: Path, lines: Sequence[Mapping[str, Any]], options: Mapping[str, Any], record: Mapping[str, Any]
) -> None:
    """Write `README.md` from the index, the options and the record."""
    kinds = record["kinds"]
    text = _TEXT.format(
        accounting="\n".join(_accounting(record["accounting"])),
        kinds="; ".join(
            f"{count['samples']:,} {kind} images of {count['classes']:,} identities in {count['shards']} tars"
            for kind, count in kinds.items()
        ),
        options="\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in _options(options)),
        weights=f"`{record['generator']['weights_sha256'][:16]}`",
        plan=f"`{record['generator']['plan_sha256'][:16]}`",
        version=record["generator"]["mmgen"],
        quality="\n".join(_quality(lines)),
        realism=_between_marks(_NOT_JUDGED),
        last=max(0, kinds.get("virtual", {"shards": 1})["shards"] - 1),
        identities=f"{record['accounting']['identities']:,}",
        removed=f"Removed so far: {len(record['removed'])}." if record["removed"] else "",
    )
    write_text_atomic(out / CARD_NAME, text)


def write_realism(out: Path, lines: Sequence[str]) -> None:
    """Put what `mmgen.augment.realism` found into a card that is there."""
    path = out / CARD_NAME
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if all(mark in text for mark in _MARKS):
        before, after = text.split(_MARKS[0], 1)[0], text.split(_MARKS[1], 1)[1]
        write_text_atomic(path, before + _between_marks("\n".join(lines)) + after)


def _between_marks(text: str) -> str:
    return f"{_MARKS[0]}\n{text}\n{_MARKS[1]}"


def _accounting(counts: Mapping[str, int]) -> Iterator[str]:
    """A table; with the paper's figures beside ours where the data set has its counts."""
    published = PUBLISHED.to_dict()
    with_paper = all(counts[key] == published[key] for key in ("images", "identities"))
    yield "| | this folder |" + (" paper |" if with_paper else "")
    yield "|---|--:|" + ("--:|" if with_paper else "")
    for key, label in LABELS.items():
        yield f"| {label} | {counts[key]:,} |" + (f" {published[key]:,} |" if with_paper else "")


def _options(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in sorted(options.items()):
        if isinstance(value, dict):
            yield from _options(value)
        else:
            yield name, ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else value


def _quality(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| score | 1 % | 10 % | 50 % | 90 % | 99 % |"
    yield "|---|--:|--:|--:|--:|--:|"
    scores: dict[str, list[float]] = {name: [] for name in SCORES}
    for line in lines:
        for name in SCORES if line["quality"] else ():
            scores[name].append(line["quality"][name])
    for name, values in scores.items():
        if values:
            ranked = sorted(values)
            yield (
                f"| {name} | " + " | ".join(f"{_percentile(ranked, share):.3f}" for share in (1, 10, 50, 90, 99)) + " |"
            )


def _percentile(ranked: Sequence[float], percent: int) -> float:
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)]
