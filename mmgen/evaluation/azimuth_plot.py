"""Predicted against true azimuths as a small SVG: a collapsed camera is a horizontal line."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from mmgen.evaluation.scoring import TRUE_AZIMUTH

SIDE, MARGIN = 260, 34
TICKS_DEG = (-180, -90, 0, 90, 180)
MOST_DOTS = 2000


def azimuth_plot(rows: Sequence[Mapping[str, float]]) -> Markup:
    """An inline SVG element; empty where no true azimuth is known."""
    known = [(row[TRUE_AZIMUTH], row["azimuth_deg"]) for row in rows if TRUE_AZIMUTH in row and "azimuth_deg" in row]
    if not known:
        return Markup()
    size = SIDE + MARGIN + 16
    dots = "".join(
        f'<circle cx="{_across(true):.1f}" cy="{_down(predicted):.1f}" r="3"/>' for true, predicted in known[:MOST_DOTS]
    )
    lines = "".join(
        f'<path d="M{_across(tick):.1f} {_down(-180):.1f}V{_down(180):.1f}M{_across(-180):.1f} {_down(tick):.1f}'
        f'H{_across(180):.1f}"/>'
        for tick in TICKS_DEG
    )
    labels = "".join(
        f'<text x="{_across(tick):.1f}" y="{SIDE + 24}" text-anchor="middle">{tick}</text>'
        f'<text x="{MARGIN - 4}" y="{_down(tick) + 4:.1f}" text-anchor="end">{tick}</text>'
        for tick in TICKS_DEG
    )
    corners = f"M{_across(-180):.1f} {_down(-180):.1f}L{_across(180):.1f} {_down(180):.1f}"
    name = "Predicted against true azimuth"
    return Markup(
        f'<figure class="plot"><svg viewBox="0 0 {size} {SIDE + 30}" role="img" aria-label="{name}">'
        f'<g class="grid">{lines}</g><path class="diagonal" d="{corners}"/>'
        f'<g class="dots">{dots}</g><g class="labels">{labels}</g></svg>'
        "<figcaption>Predicted azimuth (up) against the true one (right), degrees. On the line is right; a flat row of "
        "dots is a collapsed camera.</figcaption></figure>"
    )


def _across(azimuth_deg: float) -> float:
    return MARGIN + (_wrapped(azimuth_deg) + 180) / 360 * SIDE


def _down(azimuth_deg: float) -> float:
    return 8 + SIDE - (_wrapped(azimuth_deg) + 180) / 360 * SIDE


def _wrapped(azimuth_deg: float) -> float:
    """Into -180..180, both included."""
    return azimuth_deg if -180 <= azimuth_deg <= 180 else (azimuth_deg + 180) % 360 - 180
