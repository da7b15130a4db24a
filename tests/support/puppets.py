"""Drawn puppets with their mask in the alpha channel, and cheap options to reconstruct them."""

from pathlib import Path

from PIL import Image, ImageDraw

from mmgen.reconstruction.options import ReconstructOptions

OPTIONS = ReconstructOptions(texture_size=(32, 16), refine_steps=2, masks="alpha", height_m=1.6, height_source="given")


def draw_people(folder: Path, count: int) -> None:
    """Puppets of different girth and colour, the mask in the alpha channel."""
    folder.mkdir()
    for number in range(count):
        mask = Image.new("L", (64, 128))
        brush = ImageDraw.Draw(mask)
        girth = 8 + 2 * number
        brush.ellipse((25, 8, 39, 26), fill=255)
        brush.rectangle((32 - girth, 26, 32 + girth, 75), fill=255)
        brush.rectangle((32 - girth, 75, 30, 120), fill=255)
        brush.rectangle((34, 75, 32 + girth, 120), fill=255)
        photo = Image.new("RGB", mask.size, (40 * number, 90, 200 - 30 * number))
        photo.putalpha(mask)
        photo.save(folder / f"{number}.png")
