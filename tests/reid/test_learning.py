import math

import pytest
import torch
from reid_people import market, shards

from reid.config import AveragingConfig, LearnConfig, LossConfig, OptimiserConfig, RateSchedule
from reid.data.augmentation import Augmentation
from reid.data.batches import BatchMaker
from reid.data.labels import make_labels
from reid.data.market import read_market
from reid.data.order import BatchOrder, BatchPlan
from reid.data.pixels import PixelStore
from reid.data.shards import read_shards
from reid.errors import ReidError
from reid.features import extract_features
from reid.learner import Learner, WeightAverage, dtype_of
from reid.losses import identity_loss, symmetric_divergence, triplet_loss
from reid.models.backbones import make_backbone
from reid.models.network import ModelConfig, make_network
from reid.models.pretrained import load_backbone

TINY = ModelConfig("timm:test_resnet", 32, 16, dropout=0.3)
CPU = torch.device("cpu")


def test_identity_loss_against_its_formula():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]], requires_grad=True)
    classes, weights = torch.tensor([[0, 0], [1, 2], [2, 2]]), torch.tensor([[1.0, 0], [0.7, 0.3], [0, 0]])
    target = torch.tensor([[1.0, 0, 0], [0, 0.7, 0.3]]) * 0.9 + 0.1 / 3
    expected = -(target * logits[:2].log_softmax(1)).sum() / 2
    found = identity_loss(logits, classes, weights, 0.1)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    found.backward()
    assert not logits.grad[2].any()
    assert identity_loss(logits, classes, torch.zeros(3, 2), 0.1).item() == 0
    uniform = torch.tensor([False, False, True])
    spread = identity_loss(logits, classes, torch.tensor([[1.0, 0], [1, 0], [0, 0]]), 0.0, uniform)
    rows = torch.log_softmax(logits, dim=1)
    by_hand = -(rows[0, classes[0, 0]] + rows[1, classes[1, 0]] + rows[2].mean()) / 3
    assert spread.item() == pytest.approx(by_hand.item())


def test_triplet_loss_against_loops():
    generator = torch.Generator().manual_seed(0)
    features, person = torch.randn(8, 4, generator=generator), torch.tensor([0, 0, 0, 1, 1, 2, -1, -1])
    distance = torch.cdist(features, features)
    losses = []
    for anchor in range(6):
        positives = [distance[anchor, i] for i in range(6) if i != anchor and person[i] == person[anchor]]
        negatives = [distance[anchor, i] for i in range(6) if person[i] != person[anchor]]
        if positives:
            losses.append(max(float(max(positives) - min(negatives)) + 0.3, 0.0))
    assert triplet_loss(features, person, 0.3).item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert triplet_loss(features, torch.full((8,), -1), 0.3).item() == 0
    assert triplet_loss(features, torch.arange(8), 0.3).item() == 0
    same = torch.zeros(4, 4, requires_grad=True)
    triplet_loss(same, torch.tensor([0, 0, 1, 1]), 0.3).backward()
    assert bool(torch.isfinite(same.grad).all())


def test_divergence_is_symmetric_and_spares_the_teacher():
    one, two = (torch.randn(5, 7, requires_grad=True) for _ in range(2))
    p, q = one.softmax(1), two.softmax(1)
    expected = ((p * (p / q).log()).sum(1) + (q * (q / p).log()).sum(1)).mean()
    found = symmetric_divergence(one, two)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    found.backward()
    assert one.grad.any() and two.grad is None
    assert symmetric_divergence(one[:0], two[:0]).item() == 0


def test_schedules():
    steps = RateSchedule(warmup_share=0.1, milestones=(0.5, 0.75))
    assert [steps.factor(p) for p in (0, 0.05, 0.1, 0.49, 0.5, 0.8)] == pytest.approx([0.1, 0.55, 1, 1, 0.1, 0.01])
    cosine = RateSchedule(shape="cosine", drop=0.01)
    assert [cosine.factor(p) for p in (0, 0.5, 1)] == pytest.approx([1, 0.505, 0.01])
    with pytest.raises(ValueError, match="milestones must rise"):
        RateSchedule(milestones=(0.5, 0.2))
    with pytest.raises(ValueError, match="warmup_share must lie"):
        RateSchedule(warmup_share=1.0)


def test_settings_that_cannot_be_are_refused():
    for make, message in (
        (lambda: LossConfig(smoothing=1.0), "smoothing and divergence_start"),
        (lambda: LossConfig(margin=-1.0), "must not be negative"),
        (lambda: OptimiserConfig(learning_rate=-1.0), "must not be negative"),
        (lambda: AveragingConfig(decay=1.0), "decay must lie"),
        (lambda: AveragingConfig(evaluate=True), "evaluate needs a decay"),
        (lambda: LearnConfig(virtual_labels="unlabeled"), "the averaged network is the teacher"),
        (lambda: ModelConfig(height=8), "height and width must lie"),
        (lambda: ModelConfig(last_stride=3), "last_stride must be 1 or 2"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    return (*read_market(market(root / "m")).train, *read_shards(shards(root / "s")))


def _maker(photos, config, seed=0, plan=None):
    labels = make_labels(photos, config.virtual_labels)
    plan = plan or BatchPlan(photos=8, per_identity=2, virtual_share=0.5, seed=seed)
    second = config.virtual_labels == "unlabeled"
    return BatchMaker(
        PixelStore(photos, TINY.size, threads=1),
        labels,
        BatchOrder(photos, plan),
        Augmentation(pad_px=2),
        seed=seed,
        per_identity=plan.per_identity,
        with_second_look=second,
    )


FULL = LearnConfig(LossConfig(0.1, triplet=1.0), OptimiserConfig("adam", 1e-3, 1.0), AveragingConfig(0.9))


@pytest.mark.parametrize("mode", ["classes", "parents", "uniform", "unlabeled"])
def test_every_label_mode_learns(photos, mode):
    config = LearnConfig(FULL.loss, FULL.optimiser, FULL.averaging, mode)
    maker = _maker(photos, config)
    learner = Learner(make_network(TINY, len(maker.labels.names), 0), config, 0, CPU)
    losses = [learner.step(maker.make(step % 4), step, 0.5) for step in range(24)]
    assert ("divergence" in losses[0]) == (mode == "unlabeled")
    first, last = (sum(float(row["identity"]) for row in part) for part in (losses[:4], losses[-4:]))
    assert last < 0.9 * first


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_a_resumed_run_goes_on_bit_for_bit(photos, kind):
    config = LearnConfig(FULL.loss, OptimiserConfig(kind, 1e-2), FULL.averaging)
    maker = _maker(photos, config)

    def learner():
        return Learner(make_network(TINY, len(maker.labels.names), 0), config, 0, CPU)

    straight, first, second = learner(), learner(), learner()
    for step in range(4):
        straight.step(maker.make(step), step, step / 4)
    for step in range(2):
        first.step(maker.make(step), step, step / 4)
    second.load_state_dict(first.state_dict())
    torch.manual_seed(12345)
    for step in range(2, 4):
        second.step(maker.make(step), step, step / 4)
    for ours, theirs in ((straight.network, second.network), (straight.average.network, second.average.network)):
        other = theirs.state_dict()
        assert all(torch.equal(value, other[name]) for name, value in ours.state_dict().items())


def test_a_broken_loss_stops_and_names_its_terms(photos):
    maker = _maker(photos, FULL)
    learner = Learner(make_network(TINY, 9, 0), FULL, 0, CPU)
    with torch.no_grad():
        learner.network.classifier.weight.fill_(math.nan)
    with pytest.raises(ReidError, match="the loss of step 5 is not finite: identity nan, triplet"):
        learner.step(maker.make(0), 5, 0.0)


def test_reduced_precision_stays_near(photos):
    maker = _maker(photos, FULL)
    losses = []
    for precision in ("float32", "bfloat16"):
        config = LearnConfig(FULL.loss, FULL.optimiser, FULL.averaging, precision=precision)
        learner = Learner(make_network(TINY, 9, 0), config, 0, CPU)
        losses.append(float(learner.step(maker.make(0), 0, 0.5)["loss"]))
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.05)
    assert dtype_of("auto", CPU) is torch.float32


def test_the_average_follows_weights_and_statistics():
    network = torch.nn.BatchNorm1d(3)
    average = WeightAverage(network, 0.9)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.running_mean.fill_(5.0)
    average.follow(network, step=0)
    assert average.network.weight[0].item() == pytest.approx(
        1 + 0.9
    )  # the first steps forget quickly: 1/10 of the past
    for step in range(1, 300):
        average.follow(network, step)
    assert average.network.running_mean[0].item() == pytest.approx(5.0)
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_features_are_mirror_proof_and_of_length_one(photos):
    network = make_network(TINY, 4, 0).train()
    store = PixelStore(photos[:5], TINY.size, threads=1)
    found = extract_features(network, store, CPU)
    assert network.training and found.shape == (5, network.neck.num_features)
    assert (found**2).sum(1) == pytest.approx(1, abs=1e-5)
    images = torch.randn(3, 3, 32, 16)
    network.eval()
    assert torch.allclose(network.features(images), network.features(images.flip(3)), atol=1e-5)


def test_networks_of_the_paper_have_their_sizes():
    ibn = make_backbone("resnet50-ibn", (64, 32), last_stride=1).eval()
    norms = [module for module in ibn.modules() if isinstance(module, torch.nn.InstanceNorm2d)]
    assert len(norms) == 13
    assert ibn.network.featuremaps(torch.zeros(1, 3, 64, 32)).shape == (1, 2048, 4, 2)
    osnet = make_backbone("osnet-x0.25", (64, 32)).eval()
    assert osnet(torch.zeros(2, 3, 64, 32)).shape == (2, 128)
    with pytest.raises(ReidError, match=r"the last stride of osnet-x0.25 cannot be changed"):
        make_backbone("osnet-x0.25", (64, 32), last_stride=1)
    with pytest.raises(ReidError, match="there is no model 'resnet51'"):
        make_backbone("resnet51", (64, 32))
    with pytest.raises(ReidError, match="timm has no network 'nothing'"):
        make_backbone("timm:nothing", (64, 32))


def test_plain_resnet_weights_leave_the_instance_norms_of_ibn_random():
    """The trap of torchreid's "pretrained" ibn: 93 tensors of plain ResNet-50 do not fit, and now somebody says so."""
    ibn = make_backbone("resnet50-ibn", (64, 32))
    other = make_backbone("resnet50-ibn", (64, 32)).network.state_dict()
    tensors = {f"module.{name}": value for name, value in other.items()}
    whole = load_backbone(ibn, {**tensors, "module.fc.weight": torch.zeros(2, 2)}, "ibn.pth")
    assert not whole.missing and whole.unused == ("fc.weight",)
    assert str(whole).endswith("tensors loaded, 1 unused")
    assert torch.equal(ibn.network.conv1.weight, other["conv1.weight"])
    halves = {name: value for name, value in tensors.items() if ".IN." not in name and ".BN." not in name}
    part = load_backbone(ibn, halves, "resnet50.pth")
    assert len(part.missing) == 13 * 6 and "78 missing (" in str(part)
    with pytest.raises(ReidError, match=r"x.pth fits only 1 of"):
        load_backbone(ibn, {"conv1.weight": other["conv1.weight"]}, "x.pth")


def test_a_transformer_of_timm_takes_the_photos_shape():
    network = make_network(ModelConfig("timm:test_vit", 64, 32), 3, 0).eval()
    assert network(torch.zeros(2, 3, 64, 32)).logits.shape == (2, 3)


def test_networks_depend_on_their_seed_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, two = (make_network(TINY, 3, seed).classifier.weight for seed in (5, 5))
    assert torch.equal(one, two) and not torch.equal(one, make_network(TINY, 3, 6).classifier.weight)
    assert torch.equal(before, torch.random.get_rng_state())
