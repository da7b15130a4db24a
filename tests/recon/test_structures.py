from dataclasses import FrozenInstanceError

import pytest
import torch

from recon.structures import DEFAULT_FOCAL, Attributes, Camera, Sample, TexturedMesh


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
