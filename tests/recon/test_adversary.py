import torch

from recon.adversary import Discriminator


def test_layer_table():
    convolutions = [m for m in Discriminator().modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [16, 16, 32, 32, 48, 48, 64, 64, 64, 64, 64, 64, 48, 32, 1]
    assert all(c.bias is None for c in convolutions)
    shapes = []
    x = torch.rand(1, 4, 128, 64)
    for layer in Discriminator().layers:
        x = layer(x)
        if isinstance(layer, torch.nn.Conv2d):
            shapes.append(tuple(x.shape[2:]))
    steps = [(128, 64)] * 2 + [(64, 32)] * 2 + [(32, 16)] * 2 + [(16, 8)] * 2 + [(8, 4)] * 2 + [(4, 2)] * 2
    assert shapes == steps + [(2, 1)] * 3


def test_untrained_scores_say_nothing_and_batches_do_not_mix():
    torch.manual_seed(0)
    discriminator = Discriminator()
    images = torch.rand(3, 4, 64, 32)
    scores = discriminator(images)
    assert scores.shape == (3,)
    assert scores.abs().max() < 1e-3
    torch.testing.assert_close(discriminator(images[1:2]), scores[1:2], rtol=1e-4, atol=1e-8)


def test_gradient_penalty_can_be_differentiated_twice():
    torch.manual_seed(0)
    discriminator = Discriminator().double()
    torch.nn.init.normal_(discriminator.layers[-1].weight)
    images = torch.rand(2, 4, 64, 32, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    ((gradient.flatten(1).norm(dim=1) - 1) ** 2).mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in discriminator.parameters())
