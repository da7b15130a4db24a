"""The mask network: folding changes nothing, its figures mean what they say, and it can learn."""

import pytest
import torch

from recon.segmentation import (
    MaskNetwork,
    MaskNetworkConfig,
    expected_iou,
    folded,
    judge_loss,
    mask_loss,
    outline_iou,
)

TINY = MaskNetworkConfig(64, 32, (8, 8, 12, 16))


def boxes(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Bright boxes on dark noise, and where they are."""
    generator = torch.Generator().manual_seed(seed)
    photos = 0.3 * torch.rand(count, 3, 64, 32, generator=generator)
    masks = torch.zeros(count, 64, 32)
    for index in range(count):
        top, left = (int(torch.randint(2, high, (), generator=generator)) for high in (30, 14))
        masks[index, top : top + 24, left : left + 10] = 1
    return torch.where(masks[:, None] > 0, photos + 0.6, photos), masks


def test_folding_keeps_the_function_and_drops_the_norms() -> None:
    torch.manual_seed(0)
    network = MaskNetwork(TINY)
    photos, _ = boxes(8)
    for _ in range(3):
        network(photos)  # running statistics that are not the initial ones
    torch.nn.init.normal_(network.place)
    plain = folded(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    for one, other in zip(network.eval()(photos), plain(photos), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert plain(photos)[0].shape == (8, 64, 32)


def test_the_default_is_small() -> None:
    plain = MaskNetwork(MaskNetworkConfig(), is_folded=True)
    assert sum(parameter.numel() for parameter in plain.parameters()) < 990_000  # 2 MB in half precision


def test_a_few_steps_find_boxes() -> None:
    torch.manual_seed(1)
    network = MaskNetwork(TINY)
    photos, masks = boxes(8)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2)
    for _ in range(25):
        logits, apply_quality_gate = network(photos)
        loss = mask_loss(logits, masks) + judge_loss(apply_quality_gate, logits, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    overlaps = outline_iou(logits.detach(), masks)
    assert overlaps.mean() > 0.8
    torch.testing.assert_close(torch.sigmoid(apply_quality_gate.detach()), overlaps, atol=0.25, rtol=0)


def test_config_survives_a_file_and_refuses_impossible_sizes() -> None:
    assert MaskNetworkConfig.from_dict({**TINY.to_dict(), "widths": [8, 8, 12, 16]}) == TINY
    with pytest.raises(ValueError, match="photos of 30 x 64 pixels; multiples of 32"):
        MaskNetworkConfig.from_dict({**TINY.to_dict(), "width": 30})
    with pytest.raises(ValueError, match="four from 1 to 1024"):
        MaskNetworkConfig.from_dict({**TINY.to_dict(), "widths": [4, 6, 8]})


def test_expected_iou_is_the_mean_over_truths_drawn_from_the_chances() -> None:
    torch.manual_seed(2)
    logits = 3 * torch.randn(1, 40, 40)
    inside = logits >= 0
    truths = torch.rand(400, 40, 40) < torch.sigmoid(logits)
    drawn = (inside & truths).sum(dim=(1, 2)) / (inside | truths).sum(dim=(1, 2))
    assert float(expected_iou(logits)[0]) == pytest.approx(float(drawn.mean()), abs=0.005)
    assert float(expected_iou(torch.full((1, 8, 8), -9.0))[0]) == 0


def test_outline_iou_of_empty_answers() -> None:
    nothing, something = torch.full((1, 4, 4), -1.0), torch.ones(1, 4, 4)
    assert outline_iou(torch.cat((nothing, nothing, something)), torch.stack(
        (torch.zeros(4, 4), torch.ones(4, 4), torch.tensor([[1.0, 0, 0, 0]] * 4))
    )).tolist() == [1.0, 0.0, 0.25]  # fmt: skip


def test_losses_want_the_truth() -> None:
    _, masks = boxes(4)
    right, wrong = 16 * (masks - 0.5), -16 * (masks - 0.5)
    assert float(mask_loss(right, masks)) < 0.01 < 1 < float(mask_loss(wrong, masks))
    high, low = torch.full((4,), 5.0), torch.full((4,), -5.0)
    assert judge_loss(high, right, masks) < 0.1 < judge_loss(low, right, masks)
    empty = torch.zeros_like(masks)
    assert judge_loss(low, -torch.ones_like(masks), empty) < 0.1  # an empty answer is right, and no mask to use


def test_an_empty_truth_does_not_divide_by_nothing() -> None:
    logits = torch.full((2, 8, 8), -30.0, requires_grad=True)
    loss = mask_loss(logits, torch.zeros(2, 8, 8))
    loss.backward()
    assert loss.item() < 1e-6 and logits.grad is not None and bool(torch.isfinite(logits.grad).all())
