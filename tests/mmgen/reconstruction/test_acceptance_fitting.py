"""What fitting must reach, without any learned prior: `pytest -m slow -s` on this file."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from people_photos import people_rgba, written
from PIL import Image

from mmgen.assets.glb import glb_bytes
from mmgen.photos.inputs import list_inputs
from mmgen.reconstruction.fit import FitReconstructor
from mmgen.reconstruction.options import ReconstructOptions

PEOPLE = 20
REAL = Path(__file__).parents[3].parent / "shared" / "real"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_twenty_procedural_people(tmp_path):
    pictures = people_rgba(PEOPLE)
    items = written(tmp_path / "in", {f"{n:02}.png": rgba for n, rgba in enumerate(pictures)})
    reconstructor = FitReconstructor(ReconstructOptions(masks="alpha"))
    reconstructor.reconstruct(list(reconstructor.prepare(items[0])))  # compiles, and builds what is built once
    start, results = time.process_time(), []
    for first in range(0, PEOPLE, 8):
        results += reconstructor.reconstruct(
            [one for item in items[first : first + 8] for one in reconstructor.prepare(item)]
        )
    seconds = (time.process_time() - start) / PEOPLE
    mask_iou = np.array([result.mask_iou for result in results])
    ssim = np.array([result.ssim for result in results])
    print(f"\nMaskIoU {mask_iou.mean():.4f} (lowest {mask_iou.min():.4f}), SSIM {ssim.mean():.4f} "
          f"(lowest {ssim.min():.4f}), {seconds:.2f} CPU s per image")  # fmt: skip
    assert mask_iou.mean() >= 0.93 and ssim.mean() >= 0.80
    assert seconds <= 3.0
    alone = reconstructor.reconstruct(list(reconstructor.prepare(items[PEOPLE - 1])))
    assert glb_bytes(alone[0].asset) == glb_bytes(results[-1].asset), "whatever the batch"


def test_a_real_photo(tmp_path):
    if not REAL.is_dir():
        pytest.skip(f"no real photos beside the project ({REAL.name}/ is not there)")
    rgb = np.array(Image.open(REAL / "runway.jpg").convert("RGB"))
    mask = np.array(Image.open(REAL / "runway_mask.png").convert("L"))
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(np.dstack([rgb, mask])).save(folder / "runway.png")
    reconstructor = FitReconstructor(ReconstructOptions(masks="alpha"))
    [item] = list_inputs([folder], tmp_path / "out")
    [result] = reconstructor.reconstruct(list(reconstructor.prepare(item)))
    print(f"\nrunway: MaskIoU {result.mask_iou:.4f}, SSIM {result.ssim:.4f}")
    assert result.mask_iou >= 0.93
