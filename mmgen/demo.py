"""The whole tour: bundled photos to GLBs, a contact sheet, a turntable and a gallery page."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from mmgen.assets.asset import Asset
from mmgen.assets.glb import read_glb
from mmgen.core.files import write_alone
from mmgen.core.outputs import image_bytes
from mmgen.gallery import build_gallery, collect_items
from mmgen.photos.images import read_image
from mmgen.photos.inputs import list_inputs
from mmgen.previews import SheetRow, View, contact_sheet, save_animation, sweep_frames
from mmgen.reconstruction.batch import BatchConfig, Summary, run_batch
from mmgen.reconstruction.options import default_options, job_of
from mmgen.samples import SAMPLES_FOLDER
from mmgen.work.callbacks import RunCallbacks

TURNTABLE_FRAMES = 24
TURNTABLE_SIZE = (360, 240)
TURNTABLE_FPS = 12.0


@dataclass(frozen=True)
class DemoResult:
    """What the tour made.

    Attributes:
        summary: summary of the reconstruction.
        meshes: folder of the GLBs.
        turntable: GIF of the first mesh.
    """

    summary: Summary
    meshes: Path
    contact_sheet: Path
    turntable: Path
    gallery: Path


def run_demo(out: Path, workers: int, listener: RunCallbacks) -> DemoResult:
    """Reconstruct the bundled photos into `out` and make everything that shows them.

    Args:
        out: folder to write to; what is there and still right is kept.
        listener: told about every photo, and in words what comes next.

    Raises:
        FatalError: the folder takes no files.
    """
    photos, meshes = out / "photos", out / "meshes"
    _copy_samples(photos)
    listener.note(f"reconstructing {len(list(photos.glob('*.jpg')))} photos in {photos}")
    summary = run_batch(_batch(photos, meshes, workers), listener)
    assets = [(path, read_glb(path)) for path in sorted(meshes.glob("*.glb"))]
    result = DemoResult(summary, meshes, out / "contact_sheet.png", out / "turntable.gif", out / "gallery.html")
    if not assets:
        return result
    listener.stage("pictures", 3)
    listener.note("drawing the contact sheet, a turntable and the gallery")
    rows = [_row(photos / f"{path.stem}.jpg", asset) for path, asset in assets]
    write_alone(result.contact_sheet, image_bytes(contact_sheet(rows), "PNG", optimize=True))
    listener.advanced(1)
    frames = sweep_frames(assets[0][1], "azimuth", View(), TURNTABLE_FRAMES, TURNTABLE_SIZE)
    save_animation(result.turntable, list(frames), TURNTABLE_FPS)
    listener.advanced(1)
    gallery = build_gallery("mmgen demo", collect_items(meshes))
    write_alone(result.gallery, gallery.page)
    listener.advanced(1)
    return result


def _copy_samples(photos: Path) -> None:
    photos.mkdir(parents=True, exist_ok=True)
    for source in sorted(SAMPLES_FOLDER.iterdir()):
        target = photos / source.name
        if source.suffix in (".jpg", ".png") and not (target.exists() and target.read_bytes() == source.read_bytes()):
            shutil.copyfile(source, target)


def _batch(photos: Path, meshes: Path, workers: int) -> BatchConfig:
    return BatchConfig(items=list_inputs([photos], meshes), job=job_of(default_options(), meshes), workers=workers)


def _row(photo: Path, asset: Asset) -> SheetRow:
    likeness = f"MaskIoU {asset.provenance['mask_iou']:.2f}, SSIM {asset.provenance['ssim']:.2f}"
    view = {name: float(asset.provenance["camera"][name]) for name in ("azimuth_deg", "elevation_deg")}
    return SheetRow(caption=f"{photo.stem}: {likeness}", asset=asset, photo=read_image(photo).rgb, **view)
