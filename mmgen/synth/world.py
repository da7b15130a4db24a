"""Views as people take them: any lens from phone-near to tele, from below and above, in any light, with faults."""

from dataclasses import replace

import numpy as np
import torch

from mmgen.synth.shading import Light, project_pixels
from mmgen.synth.street import STREET_LENGTH_M, StreetCamera
from mmgen.synth.view import Body, View
from recon.camera import world_to_camera
from recon.structures import Camera

BEHINDS = {"street": 0.2, "seamless": 0.26, "screen": 0.1, "hall": 0.1, "windows": 0.08, "bokeh": 0.06,
           "texture": 0.06, "passers_by": 0.1, "spectators": 0.04}  # fmt: skip
FOCALS = (1.25, 7.0)
"""1 / tan(half the vertical field of view): a phone held near, and a tele lens."""

ELEVATIONS_DEG = (-30.0, 40.0)
EVEN_SHARE = 0.25
"""Of views with any elevation and azimuth; the others look about level, at fronts and backs equally often."""

TURNS = 9
"""Of moving the camera; in the last third it does not come nearer or go away any more."""

EYE_HEIGHT_M = 0.2
"""Cameras lower than this over the ground see no street."""


def sample_world_view(generator: np.random.Generator, street: StreetCamera, body: Body, aspect: float) -> View:
    """A view that the whole body fits into.

    Args:
        street: whose ground and wall may be behind.
        aspect: width over height of the picture.
    """
    focal = float(np.exp(generator.uniform(*np.log(FOCALS))))
    azimuth, elevation = _side(generator)
    fill, slack = float(generator.uniform(0.75, 0.94)), np.clip(generator.normal(0, 0.45, 2), -0.9, 0.9)
    distance, offset = _framed(body, (azimuth, elevation, focal), fill, slack, aspect)
    eye = body.height_m / 2 + distance * np.sin(np.deg2rad(elevation))
    behind = str(generator.choice(list(BEHINDS), p=list(BEHINDS.values())))
    if behind == "street" and eye < EYE_HEIGHT_M:
        behind = "seamless"
    return View(
        street=_with_faults(generator, street, focal),
        azimuth_deg=azimuth,
        elevation_deg=elevation,
        distance=distance,
        offset=offset,
        light=_light(generator),
        place_m=float(generator.uniform(0, STREET_LENGTH_M)),
        exposure=float(np.exp(np.clip(generator.normal(0, 0.2), -0.6, 0.5))),
        noise_seed=int(generator.integers(2**31)),
        behind=behind,
        jpeg_quality=int(generator.integers(30, 96)),
    )


def _side(generator: np.random.Generator) -> tuple[float, float]:
    """Azimuth and elevation, degrees."""
    kind = generator.random()
    if kind < EVEN_SHARE:
        return float(generator.uniform(-180, 180)), float(generator.uniform(*ELEVATIONS_DEG))
    centre = 0.0 if kind < (1 + EVEN_SHARE) / 2 else 180.0
    azimuth = float((generator.normal(centre, 28.0) + 180) % 360 - 180)
    return azimuth, float(np.clip(generator.normal(4.0, 8.0), *ELEVATIONS_DEG))


def _framed(
    body: Body, sight: tuple[float, float, float], fill: float, slack: np.ndarray, aspect: float
) -> tuple[float, tuple[float, float]]:
    """Distance and offset, metres, so that the projected body fills a share of the picture's height or width.

    Args:
        sight: azimuth, elevation in degrees, and focal length.
        slack: [2] place within what is left, -1..1.
    """
    azimuth, elevation, focal = sight
    distance, offset = focal * body.height_m / 2 / fill, np.zeros(2)
    pixels = np.array([[focal / aspect, 0.0, 0.0], [0.0, focal, 0.0], [0.0, 0.0, 1.0]])
    for turn in range(TURNS):
        camera = Camera(
            torch.tensor([azimuth]), torch.tensor([elevation]), torch.tensor([distance]),
            torch.tensor(offset, dtype=torch.float32)[None],
        )  # fmt: skip
        places, depth = project_pixels(body.vertices, world_to_camera(camera)[0].double().numpy(), pixels)
        columns = np.ascontiguousarray(places.T)  # ten times as fast to search as rows of two
        low, high = columns.min(axis=1), columns.max(axis=1)
        half = (high - low) / 2
        left = np.clip(fill - half, 0.0, None) * slack * [1.0, -1.0]
        shift = (left - (low + high) / 2) * [aspect, -1.0] * distance / focal
        offset = np.clip(offset + shift, -1.5, 1.5)
        # Enlarging by moving nearer is not linear: no nearer than where the nearest point is a hand's width away.
        if turn < TURNS * 2 // 3:
            distance = max(distance * float(half.max()) / fill, distance - float(depth.min()) + 0.15)
    return distance, (float(offset[0]), float(offset[1]))


def _with_faults(generator: np.random.Generator, street: StreetCamera, focal: float) -> StreetCamera:
    """The camera of one picture."""
    tint = np.clip(generator.normal(1.0, 0.05, 3), 0.85, 1.15)
    is_blurred, is_noisy = generator.random(2) < (0.25, 0.25)
    return replace(
        street,
        focal=focal,
        gain=(float(tint[0]), float(tint[1]), float(tint[2])),
        gamma=float(generator.uniform(0.75, 1.25)),
        blur_px=float(generator.uniform(0.4, 1.3) if is_blurred else generator.uniform(0.05, 0.45)),
        noise=float(generator.uniform(0.012, 0.04) if is_noisy else generator.uniform(0.001, 0.012)),
    )


def _light(generator: np.random.Generator) -> Light:
    """Overcast, sun, a flash beside the lens, a lamp from one side, or lamps above."""
    kind = str(generator.choice(("overcast", "sun", "flash", "side", "above"), p=(0.32, 0.26, 0.14, 0.12, 0.16)))
    direction, sun = {
        "overcast": ((generator.uniform(-1, 1), generator.uniform(0.6, 1.2), generator.uniform(0, 0.8)), (0.04, 0.2)),
        "sun": ((generator.uniform(-1, 1), generator.uniform(0.3, 1.1), generator.uniform(-0.6, 0.9)), (0.4, 0.75)),
        "flash": ((generator.normal(0, 0.12), generator.uniform(0.0, 0.25), 1.0), (0.4, 0.8)),
        "side": ((generator.choice((-1.0, 1.0)), generator.uniform(0, 0.5), generator.uniform(-0.3, 0.4)), (0.35, 0.8)),
        "above": ((generator.uniform(-0.3, 0.3), 1.0, generator.uniform(-0.2, 0.5)), (0.2, 0.5)),
    }[kind]  # fmt: skip
    x, y, z = np.array(direction) / np.linalg.norm(direction)
    strength, warmth = float(generator.uniform(*sun)), float(generator.normal(0.01, 0.05))
    return Light(
        direction_camera=(float(x), float(y), float(z)),
        ambient=max(0.32, float(generator.uniform(0.95, 1.12)) - 0.85 * strength),
        sun=strength,
        sky_colour=(1.0 - 0.6 * warmth, 1.0, 1.0 + 0.6 * warmth),
        sun_colour=(1.0 + warmth, 1.0, 1.0 - warmth),
    )
