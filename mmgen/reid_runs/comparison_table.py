"""The comparison's result: means, spreads and gains, as data and in the layout of the paper's Table 5."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmgen.core.files import write_text_atomic
from mmgen.reid_runs.comparison import HOME, ComparisonOrder, ScoredRun, scored_runs
from reid.metrics.ranking import Interval, paired_bootstrap

DATA_NAME, TABLE_NAME = "compare.json", "compare.txt"

SCHEMA = "mmgen.reid.compare/1"
FIGURES = ("rank1", "map_plain", "map_trapezoid", "minp")
GAINS = ("rank1", "map_plain", "map_trapezoid")
TITLES = {"rank1": "rank-1", "map_plain": "mAP (plain)", "map_trapezoid": "mAP (trapezoid)", "minp": "mINP"}


def comparison_data(order: ComparisonOrder, scored: Iterable[ScoredRun]) -> dict[str, Any]:
    """Everything in the table, as plain values for JSON."""
    found = list(scored)
    plan = order.manifest
    searches = (HOME, *order.cross)
    return {
        "schema": SCHEMA,
        "about": plan.about,
        "seeds": plan.seeds,
        "steps": plan.steps,
        "tested": plan.tested,
        "searches": list(searches),
        "protocols": {
            name: {
                "identity_share": protocol.identity_share,
                "arms": {arm: _arm(order, _of(found, name, arm), searches) for arm in plan.arms},
                "gains": {
                    arm: _gains(_of(found, name, plan.tested), _of(found, name, arm), searches)
                    for arm in plan.arms
                    if arm != plan.tested
                },
            }
            for name, protocol in plan.protocols.items()
        },
    }


def _of(scored: Sequence[ScoredRun], protocol: str, arm: str) -> list[ScoredRun]:
    return [item for item in scored if item.run.protocol.name == protocol and item.run.arm.name == arm]


def _arm(order: ComparisonOrder, scored: Sequence[ScoredRun], searches: Sequence[str]) -> dict[str, Any]:
    if not scored:
        return {"runs": 0}
    arm = scored[0].run.arm
    return {
        "runs": len(scored),
        "label": arm.label or arm.name,
        "training": scored[0].data["training"],
        "figures": {search: {name: _spread(scored, search, name) for name in FIGURES} for search in searches},
    }


def _spread(scored: Sequence[ScoredRun], search: str, name: str) -> dict[str, Any]:
    values = [item.data["searches"][search]["figures"][name] for item in scored]
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": std, "values": values}


def _gains(tested: Sequence[ScoredRun], other: Sequence[ScoredRun], searches: Sequence[str]) -> dict[str, Any]:
    """Per search and figure: seeds' differences, and intervals from resampled queries and from resampled people."""
    pairs = [(a, b) for a in tested for b in other if a.run.seed == b.run.seed]
    if not pairs:
        return {}
    return {search: {name: _gain(pairs, search, name) for name in GAINS} for search in searches}


def _gain(pairs: Sequence[tuple[ScoredRun, ScoredRun]], search: str, name: str) -> dict[str, Any]:
    valid = pairs[0][0].columns[f"{search}.valid"]
    person = pairs[0][0].columns[f"{search}.person"][valid]
    differences = np.stack([_difference(a, b, f"{search}.{name}", valid) for a, b in pairs])
    return {
        "seeds": [float(row.mean()) for row in differences],
        "by_query": _interval(paired_bootstrap(differences)),
        "by_person": _interval(paired_bootstrap(differences, person)),
    }


def _difference(a: ScoredRun, b: ScoredRun, column: str, valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    difference: NDArray[np.float64] = (a.columns[column] - b.columns[column])[valid]
    return difference


def _interval(found: Interval) -> dict[str, Any]:
    ends = {"mean": found.mean, "low": found.low, "high": found.high}
    return {**ends, "clear_of_zero": found.is_clear_of_zero}


def table_lines(data: dict[str, Any]) -> list[str]:
    """The table for people: per protocol the arms with mean ± standard deviation over seeds, then the gains."""
    lines = []
    for protocol, found in data["protocols"].items():
        for search in data["searches"]:
            where = "" if search == HOME else f", tested on {search}"
            lines += [f"{protocol} ({found['identity_share']:.0%} of the identities{where})", _header()]
            lines += [_row(arm, search) for arm in found["arms"].values() if arm["runs"]]
            for other, gains in found["gains"].items():
                lines += _gain_lines(data["tested"], other, gains.get(search, {}))
                if gains:
                    pair = (found["arms"][name]["training"] for name in (data["tested"], other))
                    lines.append(f"    ({fairness(*pair)})")
            lines.append("")
    return lines


def _header() -> str:
    titles = "".join(f"{TITLES[name]:>17}" for name in FIGURES)
    return f"  {'model':14}{'training data':30}{'photos':>8}{'IDs':>7}{'updates':>9}{'real seen':>11}{titles}"


def _row(arm: dict[str, Any], search: str) -> str:
    training = arm["training"]
    identities = training["real_identities"] + training["virtual_identities"]
    cells = "".join(f"{_cell(arm['figures'][search][name]):>17}" for name in FIGURES)
    return (
        f"  {training['model']:14}{arm['label']:30}{training['photos']:8}{identities:7}"
        f"{training['steps']:9}{training['real_photos_seen']:11}{cells}"
    )


def _cell(figure: dict[str, Any]) -> str:
    spread = "" if figure["std"] is None else f" ± {100 * figure['std']:.2f}"
    return f"{100 * figure['mean']:.2f}{spread}"


def _gain_lines(tested: str, other: str, gains: dict[str, Any]) -> list[str]:
    lines = []
    for name, gain in gains.items():
        query, person = gain["by_query"], gain["by_person"]
        seeds = ", ".join(f"{100 * value:+.2f}" for value in gain["seeds"])
        lines.append(
            f"  {tested} - {other}, {TITLES[name]}: {100 * query['mean']:+.2f} "
            f"(95 %: {_ends(query)} over queries, {_ends(person)} over people; seeds {seeds})"
        )
    return lines


def fairness(tested: dict[str, Any], other: dict[str, Any]) -> str:
    """What a gain holds equal: updates, real photos seen, both or neither."""
    updates = tested["steps"] == other["steps"]
    off = abs(tested["real_photos_seen"] - other["real_photos_seen"])
    photos = off <= max(tested["batch_photos"], other["batch_photos"])
    if updates and photos:
        return "at equal updates and equal real photos seen"
    if updates:
        return "at equal updates; real photos seen differ"
    return "at equal real photos seen; updates differ" if photos else "neither updates nor real photos seen are equal"


def _ends(interval: dict[str, Any]) -> str:
    return f"{100 * interval['low']:+.2f} to {100 * interval['high']:+.2f}"


def write_result(order: ComparisonOrder) -> tuple[dict[str, Any], list[str]]:
    """Write data and table of all finished runs.

    Returns:
        Both of them.

    Raises:
        FatalError: `scores_unreadable`.
    """
    data = comparison_data(order, scored_runs(order))
    lines = table_lines(data)
    write_text_atomic(order.out / DATA_NAME, json.dumps(data, indent=1) + "\n")
    write_text_atomic(order.out / TABLE_NAME, "\n".join(lines) + "\n")
    return data, lines
