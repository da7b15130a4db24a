import pytest
import torch
from reid_people import market, shards

from reid.data.market import read_market
from reid.data.photos import Dataset
from reid.data.shards import read_shards
from reid.errors import ReidError
from reid.models.backbones import load_module
from reid.torchreid_adapter import register_with_torchreid


@pytest.fixture
def dataset(tmp_path):
    return read_market(market(tmp_path / "m"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torchreid's own, and those of the logger that it opens
def test_torchreid_trains_and_searches_on_our_photos(dataset, tmp_path):
    register_with_torchreid("people-3d", dataset, read_shards(shards(tmp_path / "s")))
    torchreid = load_module("torchreid")
    manager = torchreid.data.ImageDataManager(
        sources="people-3d", height=64, width=32, batch_size_train=17, batch_size_test=16, workers=0, use_gpu=False
    )
    assert (manager.num_train_pids, manager.num_train_cams) == (6 + 3, 3 + 1)
    network = torchreid.models.build_model("osnet_x0_25", manager.num_train_pids, pretrained=False)
    before = network.classifier.weight.detach().clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 1)
    engine = torchreid.engine.ImageSoftmaxEngine(manager, network, optimiser, scheduler=schedule, use_gpu=False)
    engine.run(save_dir=str(tmp_path / "log"), max_epoch=1, print_freq=1)
    assert not torch.equal(before, network.classifier.weight)
    assert list((tmp_path / "log").rglob("model.pth*"))


def test_registering_needs_a_new_name_and_all_parts(dataset):
    register_with_torchreid("people", dataset)
    with pytest.raises(ReidError, match="torchreid has a data set 'people' already"):
        register_with_torchreid("people", dataset)
    with pytest.raises(ReidError, match="the data set has no query photos"):
        register_with_torchreid("other", Dataset(dataset.train, (), dataset.gallery))
