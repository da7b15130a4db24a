"""Does the confidence of assets warn of the bad ones? Share of bad and of good ones below each limit."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmgen.core.errors import FatalError
from mmgen.core.listing import display_name
from mmgen.evaluation.scoring import ItemScore
from recon.camera import faces

LIMITS = tuple(step / 10 for step in range(1, 10))
POOR_IOU = 0.75
WRONG_WAY_DEG = 90.0
COLUMNS = ("name", "facing", "bad")
REFUSED = -1.0
"""In place of a confidence: no asset was made."""


@dataclass(frozen=True)
class Expected:
    """What somebody who looked at a photo says of it.

    Attributes:
        facing: `front`, `back`, or nothing.
        is_bad: whether no sound asset can come of it: cut off, lying, several people under one mask.
    """

    facing: str = ""
    is_bad: bool = False


def read_expected(path: Path) -> dict[str, Expected]:
    """A CSV file with the columns name (as in the data set), facing (front, back or empty) and bad (yes or empty).

    Raises:
        FatalError: `expected_unreadable`.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        known = {row["name"]: Expected(row["facing"], row["bad"] == "yes") for row in rows}
        if any(one.facing not in ("", "front", "back") for one in known.values()):
            raise ValueError("a facing is front, back or empty")
    except (OSError, ValueError, KeyError, csv.Error) as error:
        what = f"{display_name(path)} is no list of expectations: {error}"
        raise FatalError("expected_unreadable", what, f"A CSV file with the columns {', '.join(COLUMNS)}.") from error
    return known


def confidence_curve(scores: Sequence[ItemScore], expected: Mapping[str, Expected]) -> dict[str, Any] | None:
    """Shares of bad and of good assets that each limit of confidence flags; None where no asset has a confidence.

    Bad is what covers its photo's mask with a MaskIoU below 0.75, faces the wrong way by truth or expectation, or is
    expected to be bad. A photo that was refused counts as flagged at every limit, if it is among the expected.

    Returns:
        `bad` and `good` (counts), and `points`: `below`, `bad_flagged` and `good_flagged` (shares; None of none).
    """
    judged = []
    for score in scores:
        said = expected.get(score.name, Expected())
        if "confidence" in score.row:
            judged.append((score.row["confidence"], _is_bad(score.row, said)))
        elif score.error is not None and score.name in expected:
            judged.append((REFUSED, said.is_bad))
    if not any(confidence != REFUSED for confidence, _ in judged):
        return None
    bad, good = ([value for value, is_bad in judged if is_bad is wanted] for wanted in (True, False))
    points = [
        {"below": limit, "bad_flagged": _share_below(bad, limit), "good_flagged": _share_below(good, limit)}
        for limit in LIMITS
    ]
    return {"bad": len(bad), "good": len(good), "points": points}


def _is_bad(row: Mapping[str, float], said: Expected) -> bool:
    looks = "front" if faces(row["azimuth_deg"], "front") else "back"
    return (
        said.is_bad
        or row["mask_iou"] < POOR_IOU
        or row.get("azimuth_error_deg", 0.0) > WRONG_WAY_DEG
        or said.facing not in ("", looks)
    )


def _share_below(confidences: Sequence[float], limit: float) -> float | None:
    return round(sum(value < limit for value in confidences) / len(confidences), 4) if confidences else None
