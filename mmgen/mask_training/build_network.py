"""Trains the bundled person network, and measures it; interrupted, it goes on where its checkpoint stands.

    python -m mmgen.mask_training.build_network manifests/person-network.toml --people PEOPLE --nobody CLOTHES
        --avatars AVATARS --trunk efficientnet-lite0.pth --cache CACHE --out network.safetensors

PEOPLE has `photos/`, `labels/NAME.png` (0 is background) and `split.csv`; CLOTHES has `photos/` and `split.csv`;
AVATARS has rigged GLBs. `--measure` reads the `val` splits and the avatars held out. One thread.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import torch

from mmgen.core.files import sha256_file
from mmgen.core.version import __version__
from mmgen.mask_training.folders import Folders
from mmgen.mask_training.manifest import PersonManifest, read_person_manifest
from mmgen.mask_training.training import Progress, Run, train
from mmgen.masks.network import NETWORK_FILE
from mmgen.masks.network_file import read_network, write_network
from recon.segmentation import PersonNetwork, PersonNetworkConfig, folded

FOLDERS = ("people", "nobody", "avatars", "teacher", "facings", "generated", "things", "cache")


def build(manifest: PersonManifest, folders: Folders, trunk: Path | None, out: Path) -> None:
    """Train and write the network, the averaged one of every report in between."""

    def report(progress: Progress, network: PersonNetwork) -> None:
        _tell({"step": progress.step, "cpu_seconds": round(progress.cpu_seconds), **progress.figures})
        _write(out, network, manifest, progress.step, folders)

    run = Run(out.with_suffix(".pt"), report, seed=manifest.seed)
    train(folders.training_sources(manifest), manifest.stages, run, trunk)
    _tell({"out": str(out), "bytes": out.stat().st_size, "sha256": sha256_file(out)})


def _write(out: Path, network: PersonNetwork, manifest: PersonManifest, step: int, folders: Folders) -> None:
    last = manifest.stages[-1]
    used = sorted(name for name in FOLDERS if name != "cache" and getattr(folders, name) is not None)
    about = {"about": manifest.about, "steps": step, "seed": manifest.seed, "data": used, "mmgen": __version__}
    write_network(out, folded(network), PersonNetworkConfig(last.height, last.width), about)


def _tell(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    for name in FOLDERS:
        parser.add_argument(f"--{name}", type=Path, required=name in ("people", "nobody"))
    parser.add_argument("--trunk", type=Path, help="an EfficientNet-lite0 state to begin with")
    parser.add_argument("--out", type=Path, default=NETWORK_FILE, help="network to write or to measure")
    parser.add_argument("--measure", action="store_true", help="measure --out instead of training it")
    parser.add_argument("--sheet", type=Path, help="with --measure: PNG of the worst outlines")
    return parser


def main() -> None:
    """Train or measure."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options = _parser().parse_args()
    manifest = read_person_manifest(options.manifest)
    folders = Folders(**{name: getattr(options, name) for name in FOLDERS})
    if options.measure:
        from mmgen.mask_training.measuring import measure

        _tell(measure(read_network(options.out), folders, manifest, options.sheet))
    else:
        build(manifest, folders, options.trunk, options.out)


if __name__ == "__main__":
    main()
