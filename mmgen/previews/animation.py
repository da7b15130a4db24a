"""Frames to animated files."""

import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmgen.core.errors import FatalError
from mmgen.core.files import write_alone
from mmgen.core.listing import display_name
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
