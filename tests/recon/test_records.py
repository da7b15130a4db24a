"""Records of tensors: rows, batches put together, nested records, and what is no tensor."""

import torch

from recon.structures import Attributes, Camera, Sample
from recon.template import ellipsoid_template


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
