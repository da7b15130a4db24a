import copy

import torch

from recon.training.precision import has_bfloat16, use_bfloat16


def test_processors_without_matrix_tiles_keep_float32(monkeypatch):
    cpu = torch.device("cpu")
    for found, expected in (({"amx_bf16": True}, True), ({"amx_bf16": False, "avx512_bf16": True}, False), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=found: found, raising=False)
        assert has_bfloat16(cpu) is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert has_bfloat16(cpu) is False


def test_convolutions_compute_in_bfloat16_and_results_are_float32(make_tiny, ellipses):
    learner = make_tiny()
    exact = learner.encoder.eval()(ellipses.sample)
    kinds = set()
    use_bfloat16(learner.encoder)
    convolution = learner.encoder.camera.trunk.eighth[0]
    convolution.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    rounded = learner.encoder(ellipses.sample)
    assert kinds == {torch.bfloat16}
    for value in (rounded.offsets, rounded.texture, rounded.light, rounded.camera.azimuth_deg, rounded.camera.offset):
        assert value.dtype == torch.float32
    torch.testing.assert_close(rounded.texture, exact.texture, atol=0.05, rtol=0.05)
    assert not torch.is_autocast_enabled("cpu")


def test_copies_use_their_own_weights(make_tiny, ellipses):
    learner = make_tiny()
    use_bfloat16(learner.encoder)
    learner.encoder.eval()
    other = copy.deepcopy(learner.encoder)
    before = other(ellipses.sample).camera.distance
    with torch.no_grad():
        for parameter in learner.encoder.parameters():
            parameter.add_(0.1)
    assert torch.equal(other(ellipses.sample).camera.distance, before)
    assert list(other.state_dict()) == list(learner.encoder.state_dict())


def test_training_works(make_tiny, step):
    from recon.losses import LOSS_PRESETS

    learner = make_tiny()
    use_bfloat16(learner.encoder)
    assert step(learner, LOSS_PRESETS["small"]).applied
