"""Frames to animated files."""

import io
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmgen.core.errors import FatalError, ItemError
from mmgen.core.files import write_alone
from mmgen.core.listing import display_name
from mmgen.photos.decoding import decode_file
from mmgen.previews.sheet import GAP, INK, MARGIN, PAPER
from mmgen.previews.views import Image8


def save_animation(path: Path, frames: Sequence[Image8], fps: float) -> None:
    """Write frames as an endless animation; the suffix of `path` says which kind: .gif, .webp or .mp4.

    The same frames give the same bytes (mp4: with the same ffmpeg).

    Args:
        frames: [H, W, 3] uint8 each, at least one, all of one size.
        fps: Frames per second, > 0. GIF rounds the pause between two frames to 1/100 s.

    Raises:
        FatalError: `animation_format` for another suffix; `ffmpeg_missing` or `ffmpeg_failed` for mp4.
    """
    check_animation(path)
    kind = path.suffix.lower()
    write_alone(path, _mp4_bytes(frames, fps) if kind == ".mp4" else _looping_bytes(frames, fps, kind[1:]))


def check_animation(path: Path) -> None:
    """Whether `save_animation` can write a file of this name here; to ask before the frames are rendered.

    Raises:
        FatalError: `animation_format` or `ffmpeg_missing`.
    """
    kind = path.suffix.lower()
    if kind not in (".gif", ".webp", ".mp4"):
        raise FatalError(
            "animation_format", f"{display_name(path)} is no .gif, .webp or .mp4", "Give it one of these suffixes."
        )
    if kind == ".mp4" and shutil.which("ffmpeg") is None:
        raise FatalError(
            "ffmpeg_missing",
            "an mp4 needs the program ffmpeg, which is not on PATH",
            "Install ffmpeg, or make a gif or webp.",
        )


def _looping_bytes(frames: Sequence[Image8], fps: float, kind: str) -> bytes:
    images = [Image.fromarray(frame) for frame in frames]
    options: dict[str, int] = {"quality": 85, "method": 4} if kind == "webp" else {}
    if kind == "gif":
        # one palette for all frames, so that colours do not flicker
        palette = _shared_palette(images)
        images = [image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for image in images]
        options = {"disposal": 1}
    buffer = io.BytesIO()
    duration_ms = max(20, round(1000 / fps))
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], duration=duration_ms, loop=0, **options)
    return buffer.getvalue()


def _shared_palette(images: Sequence[Image.Image]) -> Image.Image:
    few = images[:: max(1, len(images) // 8)]
    strip = Image.new("RGB", (sum(image.width for image in few), few[0].height))
    for index, image in enumerate(few):
        strip.paste(image, (index * few[0].width, 0))
    return strip.quantize(256, method=Image.Quantize.MEDIANCUT)


def _mp4_bytes(frames: Sequence[Image8], fps: float) -> bytes:
    height, width = frames[0].shape[0] // 2 * 2, frames[0].shape[1] // 2 * 2  # the codec takes even sides only
    raw = b"".join(np.ascontiguousarray(frame[:height, :width]).tobytes() for frame in frames)
    read = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i -"
    write = "-c:v libx264 -crf 18 -bf 0 -pix_fmt yuv420p -threads 1 -fflags +bitexact"
    # fragments: the file can then be written to a pipe, so nothing half-written ever has the final name
    command = f"ffmpeg -v error {read} {write} -movflags frag_keyframe+empty_moov -f mp4 -".split()
    done = subprocess.run(command, input=raw, capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise FatalError("ffmpeg_failed", f"ffmpeg could not make the mp4: {reason[0]}", "Make a gif or webp.")
    return done.stdout


PICTURE_NAME = re.compile(r"^template-(\d+)\.png$")
PICTURES_FOLDER = "pictures"
FONT_SIZE = 20
LAST_HELD = 6
"""How many times the last picture is shown, so that the eye can rest on it."""


def template_pictures(run: Path) -> list[tuple[int, Path]]:
    """(step, file) of the template's pictures in a training run's folder, in order of steps; empty where none are."""
    folder = run / PICTURES_FOLDER
    found = [(PICTURE_NAME.match(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(match[1]), path) for match, path in found if match)


def evolution_frames(run: Path) -> list[Image8]:
    """The template from eight sides, one frame per picture, with its step above; all frames of one size.

    Raises:
        FatalError: `run_without_pictures`, with fewer than two pictures, or `picture_unreadable`.
    """
    pictures = template_pictures(run)
    if len(pictures) < 2:
        raise FatalError(
            "run_without_pictures",
            f"{display_name(run)} has {len(pictures)} pictures of its template; an animation needs two or more",
            "Train longer, or draw more often: mmgen train ... --set log.pictures.steps=100",
        )
    try:
        read = [(step, _pixels(path)) for step, path in pictures]
    except ItemError as error:
        raise FatalError("picture_unreadable", error.message, error.hint) from error
    size = (max(image.shape[1] for _, image in read), max(image.shape[0] for _, image in read))
    last = read[-1][0]
    frames = [_frame(image, f"step {step:,} of {last:,}", size) for step, image in read]
    return frames + frames[-1:] * (LAST_HELD - 1)


def _pixels(path: Path) -> Image8:
    return np.asarray(decode_file(path).image.convert("RGB"))


def _frame(image: Image8, title: str, size: tuple[int, int]) -> Image8:
    """One picture below its title; `size` is width and height of the largest picture."""
    top = MARGIN + FONT_SIZE + GAP
    sheet = Image.new("RGB", (size[0] + 2 * MARGIN, size[1] + top + MARGIN), PAPER)
    ImageDraw.Draw(sheet).text((MARGIN, MARGIN - GAP), title, fill=INK, font=ImageFont.load_default(FONT_SIZE))
    sheet.paste(Image.fromarray(image), (MARGIN, top))
    return np.asarray(sheet)
