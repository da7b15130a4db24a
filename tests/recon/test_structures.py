from dataclasses import FrozenInstanceError

import pytest
import torch

from recon.structures import DEFAULT_FOCAL, Attributes, Camera, Sample, TexturedMesh
from recon.template import ellipsoid_template


def test_lengths_are_batch_sizes():
    assert len(Camera.frontal(3)) == 3
    faces, face_uv = torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3, 2)
    assert len(TexturedMesh(torch.zeros(2, 4, 3), faces, face_uv, torch.zeros(2, 3, 8, 8))) == 2
    assert len(Sample(torch.zeros(5, 3, 8, 8), torch.zeros(5, 8, 8))) == 5


def test_published_lens_is_the_default():
    assert Camera.frontal(1).focal == DEFAULT_FOCAL == 2.5
    assert Camera.frontal(1).offset_frame == "camera"


def test_records_are_frozen():
    camera = Camera.frontal(1)
    with pytest.raises(FrozenInstanceError):
        camera.focal = 1.0  # type: ignore[misc]


def test_shapes_are_held_together():
    """A texture of another batch than the vertices' is a bug, found where it is made."""
    faces, face_uv = torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3, 2)
    with pytest.raises(TypeError, match="texture"):
        TexturedMesh(torch.zeros(2, 4, 3), faces, face_uv, torch.zeros(3, 3, 8, 8))
    with pytest.raises(TypeError, match="offset"):
        Camera(torch.zeros(2), torch.zeros(2), torch.ones(2), torch.zeros(2, 3))


def test_light_and_background_are_optional():
    attributes = Attributes(Camera.frontal(1), torch.zeros(1, 4, 3), torch.zeros(1, 3, 8, 8))
    assert attributes.light is None and attributes.background is None


def attributes(batch: int, light: bool = True) -> Attributes:
    camera = Camera(*torch.rand(3, batch), torch.rand(batch, 2), focal=3.0, offset_frame="world")
    own = torch.rand(batch, 9) if light else None
    return Attributes(camera, torch.rand(batch, 5, 3), torch.rand(batch, 3, 4, 2), own)


def test_rows_are_taken_from_every_part_and_put_together_again():
    whole = attributes(3)
    order = torch.tensor([2, 0])
    some = whole.take(order)
    assert torch.equal(some.camera.offset, whole.camera.offset[order]) and torch.equal(some.light, whole.light[order])
    assert (some.camera.focal, some.camera.offset_frame, some.background) == (3.0, "world", None)
    again = Attributes.joined(whole.separated())
    assert all(torch.equal(one, two) for one, two in zip(again.tensors(), whole.tensors(), strict=True))
    assert len(list(whole.tensors())) == 7 and len(list(attributes(2, light=False).tensors())) == 6


def test_a_batch_of_one_keeps_its_dimension_and_devices_keep_what_is_no_tensor():
    sample = Sample(torch.rand(2, 3, 4, 4), torch.rand(2, 4, 4))
    assert sample.at(1).image.shape == (1, 3, 4, 4) and sample.at(1).identity is None
    moved = ellipsoid_template(level=1).to("meta")
    assert {part.device.type for part in moved.tensors()} == {"meta"}
    assert (moved.mirror_axis, moved.skin.names) == (0, ("Root",))
