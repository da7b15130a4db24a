"""Photos that end at the shin, the knee, the hip or the waist: the camera comes nearer, and the rest is outside."""

from dataclasses import replace

import numpy as np

from mmgen.synth.framing import Place, Sight, framed, projected
from mmgen.synth.skeleton import BONE, Skeleton
from mmgen.synth.view import Body, View

ENDS = {"shin": 0.3, "knee": 0.3, "hip": 0.2, "waist": 0.2}
"""Where photos end, and how often."""

SHORTEST_FOCAL = 1.8
"""Shorter lenses would have to be nearer to half a person than anybody holds a phone."""

WIDEST = 0.98
"""Trunk and head take no more of the picture's width; above them is room."""

TRUNK_M = 0.27
"""What is further from the line between hips and head than this, on an adult, may be outside."""


def end_height_m(skeleton: Skeleton, end: str) -> float:
    """Height of one of `ENDS` in the world, metres: the mean of both sides."""
    origin = skeleton.origin
    hips, knees, ankles = (
        (origin[BONE[f"{name}_l"], 1] + origin[BONE[f"{name}_r"], 1]) / 2 for name in ("thigh", "shank", "foot")
    )
    return float({"shin": (knees + ankles) / 2, "knee": knees, "hip": hips,
                  "waist": hips + 0.5 * (origin[BONE["chest"], 1] - hips)}[end])  # fmt: skip


def cut_view(generator: np.random.Generator, view: View, body: Body, aspect: float) -> View:
    """The same view nearer, so that the picture ends somewhere above the feet.

    Args:
        aspect: width over height of the picture.
    """
    end = str(generator.choice(list(ENDS), p=list(ENDS.values())))
    height = end_height_m(body.skeleton, end) + float(generator.uniform(-0.05, 0.05))
    street = replace(view.street, focal=max(view.street.focal, SHORTEST_FOCAL))
    sight = Sight(view.azimuth_deg, view.elevation_deg, street.focal)
    head, across = float(generator.uniform(0.02, 0.22)), float(np.clip(generator.normal(0, 0.12), -0.3, 0.3))
    shown = _trunk(body, height)
    place = Place(-1.0, 1.0 - head, across)
    distance, offset = framed(shown, sight, place, aspect)
    wide = float(np.ptp(projected(shown, sight, distance, np.array(offset), aspect)[0][:, 0])) / 2
    if wide > WIDEST:
        distance, offset = framed(shown, sight, replace(place, high=-1.0 + (2.0 - head) * WIDEST / wide), aspect)
    return replace(view, street=street, distance=distance, offset=offset)


def _trunk(body: Body, height: float) -> np.ndarray:
    """[N, 3] vertices above a height, without arms that are held out."""
    hips, head = body.skeleton.origin[[0, BONE["head"]]]
    along = (head - hips) / np.linalg.norm(head - hips)
    away = body.vertices - hips
    away = away - (away @ along)[:, None] * along
    near = np.linalg.norm(away, axis=1) < TRUNK_M * body.skeleton.proportions.scale
    return np.asarray(body.vertices[(body.vertices[:, 1] > height) & near])
