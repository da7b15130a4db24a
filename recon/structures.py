"""Conventions, and the frozen records of tensors that travel between modules: copied, cut and joined as batches.

**World frame.** Right-handed, +x right, +y up, +z towards the camera at azimuth 0. People stand along +y and face +z.
Lengths are in template units (a person is about 1.8 high) inside `recon`; files are in metres.

**Camera frame.** Camera at the origin looking along -z, +x right in the image, +y up. Larger z is nearer.

**NDC.** x and y in [-1, 1], x right, y **up**. The centre of pixel (row i, column j) of an H x W image is
`((2j + 1 - W) / W, (H - 1 - 2i) / H)`. The projection has square pixels: `x_ndc = focal * (H / W) * x / -z`,
`y_ndc = focal * y / -z`; there is no near or far clipping.

**Images.** [B, 3, H, W], RGB, 0..1, row 0 at the top. **Masks.** [B, H, W], 0..1, 1 = person.

**Texture.** [B, 3, Ht, Wt]; u grows to the right, v grows **up** (v = 1 is the upper edge of row 0). The lower half of
the map (v in 0..0.5) is the front of the body, head up; the upper half (v in 0.5..1) is the back, feet up. v wraps
around: the soles join v = 0 to v = 1. u does not wrap.

**Light.** [B, 9] spherical-harmonic coefficients in the camera frame; see `recon.render.scene`.

Shape letters: B batch, V vertices, F faces, E edges, H height, W width, C channels.

Source of the conventions: 3D Magic Mirror (arXiv 2204.13096) and its renderer, DIB-R.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

DEFAULT_FOCAL = 2.5
"""1 / tan(half the vertical field of view): about 43.6 degrees of view."""

OffsetFrame = Literal["camera", "world"]

Record = TypeVar("Record", bound="TensorRecord")
Rows = TypeVar("Rows", bound="Batched")


class TensorRecord:
    """A dataclass with tensors, or with records of them; fields of other kinds stay as they are."""

    def _parts(self) -> Iterator[tuple[str, Any]]:
        for field in fields(self):  # type: ignore[arg-type]
            if isinstance(value := getattr(self, field.name), Tensor | TensorRecord):
                yield field.name, value

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor, in the order of the fields."""
        for _, part in self._parts():
            yield from part.tensors() if isinstance(part, TensorRecord) else (part,)

    def mapped(self: Record, change: Callable[[Tensor], Tensor]) -> Record:
        """The record with every tensor changed."""
        changed = {
            name: part.mapped(change) if isinstance(part, TensorRecord) else change(part)
            for name, part in self._parts()
        }
        return replace(self, **changed)  # type: ignore[type-var]

    def to(self: Record, device: torch.device | str) -> Record:
        """Copy to a device."""
        ahead = torch.device(device).type == "cuda"
        return self.mapped(lambda values: values.to(device, non_blocking=ahead))


class Batched(TensorRecord):
    """A record whose tensors all have one row per photo."""

    def take(self: Rows, rows: slice | Tensor) -> Rows:
        """Some of the rows."""
        return self.mapped(lambda values: values[rows])

    def at(self: Rows, index: int) -> Rows:
        """One row as a batch of one."""
        return self.take(slice(index, index + 1))

    def separated(self: Rows) -> list[Rows]:
        """Batches of one."""
        return [self.at(index) for index in range(len(next(self.tensors())))]

    @classmethod
    def joined(cls: type[Rows], batches: Sequence[Rows]) -> Rows:
        """One batch out of several that have the same parts; what is no tensor is taken from the first."""
        together = {
            name: type(part).joined([getattr(batch, name) for batch in batches])
            if isinstance(part, Batched)
            else torch.cat([getattr(batch, name) for batch in batches])
            for name, part in batches[0]._parts()
        }
        return replace(batches[0], **together)  # type: ignore[type-var]


@dataclass(frozen=True)
class Camera(Batched):
    """A batch of orbit cameras around the world origin.

    Attributes:
        azimuth_deg: [B]; 0 looks at the front, positive moves the camera towards +x.
        elevation_deg: [B], between -90 and 90; positive lifts the camera.
        distance: [B], template units, > 0, from the origin.
        offset: [B, 2]. With `offset_frame` "camera" (default) the body moves by (x, y) in the camera frame: right and
            up in the image at any azimuth. With "world" the camera looks at the world point (x, y, 0), as published:
            positive x moves the body left at azimuth 0, right at 180, and hardly at all at 90.
        focal: 1 / tan(fovy / 2), shared by the batch.
        offset_frame: how `offset` is read.
    """

    azimuth_deg: Float[Tensor, " B"]
    elevation_deg: Float[Tensor, " B"]
    distance: Float[Tensor, " B"]
    offset: Float[Tensor, "B 2"]
    focal: float = DEFAULT_FOCAL
    offset_frame: OffsetFrame = "camera"

    @staticmethod
    def frontal(batch: int, distance: float = 4.0, **tensor_options: object) -> "Camera":
        """`batch` cameras straight in front at one distance."""
        zeros = torch.zeros(batch, **tensor_options)  # type: ignore[call-overload]
        return Camera(zeros, zeros.clone(), torch.full_like(zeros, distance), zeros.new_zeros(batch, 2))

    def turned(self, azimuth_deg: float | Float[Tensor, " B"]) -> "Camera":
        """The same cameras moved around the body by `azimuth_deg` degrees."""
        return replace(self, azimuth_deg=self.azimuth_deg + azimuth_deg)

    def __len__(self) -> int:
        return self.azimuth_deg.shape[0]


@dataclass(frozen=True)
class Attributes(Batched):
    """What explains one photo each: the four causes of the paper (section 3), plus the optional background.

    Attributes:
        offsets: [B, V, 3] vertex offsets from the template, template units.
        texture: [B, 3, Ht, Wt], 0..1.
        light: [B, 9] spherical harmonics, or None for unlit (the light is in the texture).
        background: [B, 3, H, W], 0..1, or None.
    """

    camera: Camera
    offsets: Float[Tensor, "B V 3"]
    texture: Float[Tensor, "B 3 Ht Wt"]
    light: Float[Tensor, "B 9"] | None = None
    background: Float[Tensor, "B 3 H W"] | None = None


@dataclass(frozen=True)
class TexturedMesh:
    """A batch of meshes that share faces and texture coordinates.

    Attributes:
        vertices: [B, V, 3] world frame.
        faces: [F, 3] vertex indices, counter-clockwise seen from outside.
        face_uv: [F, 3, 2] texture coordinates per face corner; v may leave 0..1 and then wraps.
        texture: [B, 3, Ht, Wt], 0..1.
    """

    vertices: Float[Tensor, "B V 3"]
    faces: Int[Tensor, "F 3"]
    face_uv: Float[Tensor, "F 3 2"]
    texture: Float[Tensor, "B 3 Ht Wt"]

    def __len__(self) -> int:
        return self.vertices.shape[0]


@dataclass(frozen=True)
class Sample(Batched):
    """A batch of photos.

    Attributes:
        image: [B, 3, H, W], RGB, 0..1, with its real background.
        mask: [B, H, W], 0..1, 1 = person.
        identity: [B] integer identity labels, or None where unknown.
    """

    image: Float[Tensor, "B 3 H W"]
    mask: Float[Tensor, "B H W"]
    identity: Int[Tensor, " B"] | None = None

    def __len__(self) -> int:
        return self.image.shape[0]
