"""Trains the bundled mask network, and measures it.

    mmgen synth crowd --identities 400 --views 6 --height 256 --seed 41
    python -m mmgen.mask_training.build_network --data crowd/bounding_box_train --out network.safetensors
    python -m mmgen.mask_training.build_network --evaluate crowd/bounding_box_test --network network.safetensors

Training goes on from its checkpoint after an interruption. People are only those of `--data`; backgrounds are drawn
and have nothing to do with them; the measurement takes backgrounds of other families and real photos without people.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import torch

from mmgen.core.files import sha256_file
from mmgen.core.version import __version__
from mmgen.mask_training.measuring import measure
from mmgen.mask_training.scenes import Scenes, joined, load_bank
from mmgen.mask_training.scenes.backgrounds import TRAINING_FAMILIES
from mmgen.mask_training.training import Course, Progress, train
from mmgen.masks.network import NETWORK_FILE, read_network, write_network
from recon.segmentation import MaskNetworkConfig, folded

SENSOR_STRENGTH = 0.8


def build(args: argparse.Namespace) -> None:
    """Train and write the network."""
    config = MaskNetworkConfig()
    size = (config.height, config.width)
    bank = joined([load_bank(folder, size, args.limit) for folder in args.data])
    _tell({"people": len(bank)})
    scenes = Scenes(bank, TRAINING_FAMILIES, size, strength=SENSOR_STRENGTH)
    course = Course(args.steps, learning_rate=args.learning_rate, seed=args.seed)
    checkpoint = args.checkpoint or args.out.with_suffix(".pt")
    started = time.process_time()

    def report(progress: Progress) -> None:
        seconds = time.process_time() - started
        _tell({"step": progress.step, "loss": progress.loss, "iou": progress.iou, "cpu_seconds": seconds})

    network = train(scenes, config, course, checkpoint, report, args.init)
    about = {
        "trained_on": "people of `mmgen synth` before drawn backgrounds; no photos",
        "training": {
            "pictures": len(bank),
            "steps": course.steps,
            "batch": course.batch,
            "learning_rate": course.learning_rate,
            "seed": course.seed,
            "continued": args.init is not None,
        },
        "versions": {"mmgen": __version__},
    }
    write_network(args.out, folded(network), about)
    _tell({"out": str(args.out), "bytes": args.out.stat().st_size, "sha256": sha256_file(args.out)})


def evaluate(args: argparse.Namespace) -> None:
    """Print IoU per case, and the time per crop, as JSON; write a picture of the cases on request."""
    network = read_network(args.network)
    bank = load_bank(args.evaluate, (network.config.height, network.config.width), args.limit)
    _tell(measure(network, bank, args.scenes, args.seed, args.picture))


def _tell(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--data", type=Path, nargs="+", help="train on the people of these folders")
    task.add_argument("--evaluate", type=Path, metavar="DATA", help="measure on the people of this folder")
    parser.add_argument("--out", type=Path, default=NETWORK_FILE, help="network to write")
    parser.add_argument("--checkpoint", type=Path, help="default: --out with the suffix .pt")
    parser.add_argument("--init", type=Path, help="checkpoint of another course, or network, to begin with")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--network", type=Path, default=NETWORK_FILE, help="network to measure")
    parser.add_argument("--scenes", type=int, default=200, help="scenes per case")
    parser.add_argument("--picture", type=Path, help="PNG to write: scenes of every case with the outlines found")
    parser.add_argument("--limit", type=int, help="at most so many pictures, spread evenly")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    arguments = _parser().parse_args()
    (build if arguments.data else evaluate)(arguments)
