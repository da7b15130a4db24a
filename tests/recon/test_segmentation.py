"""The person network: folding changes nothing, its figures mean what they say, and it can learn."""

import pytest
import torch

from recon.segmentation import (
    CUTS,
    PersonNetwork,
    PersonNetworkConfig,
    expected_iou,
    folded,
    load_trunk,
    mask_loss,
    outline_iou,
)


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
    network = PersonNetwork()
    photos, _ = boxes(4)
    for _ in range(3):
        network(photos)  # running statistics that are not the initial ones
    plain = folded(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    for one, other in zip(network.eval()(photos), plain(photos), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert plain(photos).mask.shape == (4, 64, 32) and plain(photos).cut.shape == (4, len(CUTS))


def test_the_network_is_small() -> None:
    assert sum(parameter.numel() for parameter in PersonNetwork(is_folded=True).parameters()) < 990_000  # 2 MB halved


def efficientnet_state() -> dict[str, torch.Tensor]:
    """A state with the names and shapes of EfficientNet-lite0, its first eleven blocks; random values."""
    generator = torch.Generator().manual_seed(4)
    state = {}

    def add(conv: str, norm: str, shape: torch.Size) -> None:
        state[f"{conv}.weight"] = 0.2 * torch.randn(shape, generator=generator)
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = 0.5 + torch.rand(shape[0], generator=generator)

    network = PersonNetwork()
    add("_conv_stem", "_bn0", network.stem.conv.weight.shape)
    for index, block in enumerate(network.blocks):
        if block.expand is not None:
            add(f"_blocks.{index}._expand_conv", f"_blocks.{index}._bn0", block.expand.conv.weight.shape)
        add(f"_blocks.{index}._depthwise_conv", f"_blocks.{index}._bn1", block.depthwise.conv.weight.shape)
        add(f"_blocks.{index}._project_conv", f"_blocks.{index}._bn2", block.project.weight.shape)
    return state


def test_the_trunk_takes_its_norms_into_its_convolutions() -> None:
    state, network = efficientnet_state(), PersonNetwork()
    load_trunk(network, state)
    photos = torch.rand(1, 3, 32, 32)
    padded = torch.nn.functional.pad(photos, (0, 1, 0, 1))
    y = torch.nn.functional.conv2d(padded, state["_conv_stem.weight"], stride=2)
    parts = [state[f"_bn0.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    y = torch.nn.functional.batch_norm(y, *parts, eps=1e-3).clamp(0, 6)
    torch.testing.assert_close(network.stem(photos), y, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match=r"no EfficientNet-lite0: _blocks.10._bn2.bias"):
        load_trunk(network, {name: value for name, value in state.items() if name != "_blocks.10._bn2.bias"})


def test_a_few_steps_find_boxes() -> None:
    torch.manual_seed(1)
    network = PersonNetwork()
    photos, masks = boxes(4)
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
    for _ in range(20):
        answers = network(photos)
        loss = mask_loss(answers.mask, masks, torch.ones(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert outline_iou(answers.mask.detach(), masks).mean() > 0.75


def test_config_survives_a_file_and_refuses_impossible_sizes() -> None:
    config = PersonNetworkConfig(64, 32)
    assert PersonNetworkConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="photos of 30 x 64 pixels; multiples of 16"):
        PersonNetworkConfig.from_dict({"height": 64, "width": 30})


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


def test_the_loss_wants_the_truth_where_it_is_known() -> None:
    _, masks = boxes(4)
    right, wrong, all_of_them = 16 * (masks - 0.5), -16 * (masks - 0.5), torch.ones(4)
    assert float(mask_loss(right, masks, all_of_them)) < 0.01 < 1 < float(mask_loss(wrong, masks, all_of_them))
    half = torch.tensor([1.0, 0, 1, 0])
    mixed = torch.where(half[:, None, None] > 0, right, wrong)
    assert float(mask_loss(mixed, masks, half)) < 0.01


def test_an_empty_truth_does_not_divide_by_nothing() -> None:
    logits = torch.full((2, 8, 8), -30.0, requires_grad=True)
    loss = mask_loss(logits, torch.zeros(2, 8, 8), torch.ones(2))
    loss.backward()
    assert loss.item() < 1e-6 and logits.grad is not None and bool(torch.isfinite(logits.grad).all())
