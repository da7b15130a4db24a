"""Kill or fail a command at its n-th change of a file, n = 1, 2, ...; run it again; the files must be the same.

Run with `nth_write.c` preloaded: `python every_write.py COMMAND FOLDER [STEP]` prints figures as JSON. Everything is
imported once; each run is a forked child. STEP 3 takes every third n.
"""

import ctypes
import errno
import json
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from augment_folders import write_weights
from evaluation_scenes import write_data
from fakes import FakeReconstructor, make_photos
from PIL import Image
from reid_people import TINY, market
from training_data import write_manifest, write_people

import mmgen.reconstruction.options
from mmgen.cli.main import main
from mmgen.core.files import leftovers, sha256_bytes
from mmgen.review.desk import Desk

SHIM = ctypes.CDLL(None)
TIMES = rb"seconds|cpu_seconds|finished_at|sweep_s|created|time|images_per_second|photos_per_second"
VOLATILE = re.compile(rb'"(' + TIMES + rb')": ("[^"]*"|[0-9.e+-]+|null)')
FAULTS = {"killed": 0, "ENOSPC": errno.ENOSPC, "EIO": errno.EIO}
Words = Sequence[str | Path]


def photos(folder: Path) -> Path:
    make_photos(folder / "in", ["a.png", "b.png", "s/c.png"])
    return folder / "in"


def reconstruct(folder: Path) -> Words:
    return ("reconstruct", photos(folder), "--out", folder / "out", "--workers", "1", "--min-iou", "0")


def masks(folder: Path) -> Words:
    for path in photos(folder).rglob("*.png"):
        photo = Image.new("RGBA", (64, 128), (90, 60, 30, 0))
        photo.paste((200, 90, 30, 255), (20, 20, 44, 110))
        photo.save(path)
    return ("masks", folder / "in", "--out", folder / "out", "--method", "alpha", "--workers", "1")


def export(folder: Path) -> Words:
    run(("reconstruct", photos(folder), "--out", folder / "in/meshes", "--workers", "1", "--min-iou", "0"))
    meshes = folder / "in" / "meshes"
    return ("export", meshes, "--out", folder / "out", "--format", "obj", "--format", "ply", "--workers", "1")


def gallery(folder: Path) -> Words:
    return ("gallery", export(folder)[1], "--out", folder / "out" / "g.html")


def swap(folder: Path) -> Words:
    meshes = Path(export(folder)[1])
    return ("swap", meshes / "a.glb", meshes / "b.glb", "--out", folder / "out")


def prepare(folder: Path) -> Words:
    (folder / "in" / "masks").mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (32, 64), (90, 60, 30)).save(folder / "in" / f"{name}.png")
        mask = Image.new("L", (32, 64))
        mask.paste(255, (10, 10, 22, 50))
        mask.save(folder / "in" / "masks" / f"{name}.png")
    return ("prepare", "folder", folder / "in", "--out", folder / "out", "--workers", "1")


def synth(folder: Path) -> Words:
    size = ("--identities", "1", "--views", "1", "--test-fraction", "0", "--seed", "1", "--workers", "1")
    return ("synth", folder / "out", *size)


def augment(folder: Path) -> Words:
    write_people(folder / "in" / "market", identities=3, views=2)
    weights = write_weights(folder / "in" / "tiny.safetensors")
    few = ("--turns", "0", "--samples-per-shard", "4", "--workers", "1", "--refine", "0")
    return ("augment-reid", folder / "in" / "market", "--out", folder / "out", "--weights", weights, *few)


def train(folder: Path) -> Words:
    people = write_people(folder / "in" / "people", views=2)
    few = {"steps = 8": "steps = 4", "validation = { steps = 4 }": "validation = { steps = 2 }"}
    manifest = write_manifest(folder / "in", **few)
    return ("train", manifest, "--data", people, "--out", folder / "out")


def evaluate(folder: Path) -> Words:
    data = write_data(folder / "in")
    return ("evaluate", "--data", data, "--predicted-masks", data / "masks", "--out", folder / "out", "--workers", "1")


def reid(folder: Path) -> Words:
    data = market(folder / "in", train=range(1, 5), test=range(11, 13))
    (folder / "in" / "tiny.toml").write_text(TINY.replace("steps = 6", "steps = 4"))
    return ("reid", "train", folder / "in" / "tiny.toml", "--data", data, "--out", folder / "out")


def review(folder: Path) -> Words:
    shutil.copytree(export(folder)[1], folder / "out")
    return ("decide", folder / "out")


COMMANDS: dict[str, Callable[[Path], Words]] = {
    name: made for name, made in globals().items() if callable(made) and made.__module__ == __name__
}


def decide(meshes: Path) -> int:
    """Accept the first asset as the page of `mmgen review` does, where nobody has."""
    desk = Desk(meshes, "cpu")
    entry = min(desk.entries().values(), key=lambda one: one.name)
    try:
        if entry.review is None:
            desk.decide(entry.key, entry.version, "accepted", "fine")
    except OSError:  # the page says so
        return 4
    finally:
        desk.close()
    return 0


def again(words: Words, out: Path) -> Words:
    """What a person types after a fault: the same; where a training run was begun, with --resume."""
    return (*words, "--resume") if (out / "config.toml").exists() else words


def run(words: Words, n: int = 0, error: int = 0, folder: Path | None = None) -> tuple[int, str, int]:
    """A child's exit code (negative: its signal), what it said on stderr, and its changes of files."""
    said, tell = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(said)
            os.dup2(tell, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
            signal.alarm(300)
            SHIM.fault_arm(n, error, os.fsencode(folder or ""))
            code = decide(Path(words[1])) if words[0] == "decide" else main([os.fspath(word) for word in words])
        except BaseException:
            traceback.print_exc()
        finally:
            counted = SHIM.fault_count()
            SHIM.fault_arm(0, 0, b"")
            sys.stderr.flush()
            os.write(2, f"\nchanges={counted}".encode())
            os._exit(code)
    os.close(tell)
    with open(said, "rb") as file:
        text = file.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    counted = re.search(r"changes=(\d+)$", text)
    return status, text, int(counted[1]) if counted else 0


def tree(out: Path) -> dict[str, str]:
    """Hashes of all results and records, times apart; of a training's state, which has times in it, the name alone."""
    return {
        path.relative_to(out).as_posix(): sha256_bytes(
            b"" if path.suffix == ".pt" else VOLATILE.sub(b"", path.read_bytes())
        )
        for path in sorted(out.rglob("*"))
        if path.is_file() and not {".mmgen", "tensorboard"} & {*path.parts}
    }


def tried(command: str, root: Path, step: int) -> dict[str, object]:
    """All faults of one command; every run works under the same paths."""
    work, begin = root / "work", root / "begin"
    words = COMMANDS[command](work)
    (work / "in").mkdir(parents=True, exist_ok=True)
    shutil.copytree(work, begin)
    code, said, changes = run(words, folder=work / "out")
    assert code == 0 and changes, said
    wanted, faults, count = tree(work / "out"), [], 0
    for fault, error in FAULTS.items():
        for n in range(1, changes + 1, step):
            shutil.rmtree(work)
            shutil.copytree(begin, work)
            code, said, _ = run(words, n, error, work / "out")
            count += 1
            if error and (code not in (0, 3, 4) or "Traceback" in said or "a bug" in said):
                faults.append(f"{fault} at {n}: exit {code}: {said[-1500:]}")
            code, said, _ = run(again(words, work / "out"))
            there = tree(work / "out")
            odd = sorted(name for name in {*there, *wanted} if there.get(name) != wanted.get(name))
            left = [path.name for path in leftovers(work / "out")]
            if code or odd or left:
                faults.append(
                    f"again after {fault} at {n}: exit {code}: other {odd[:8]}, left {left[:3]}: {said[-900:]}"
                )
    return {"command": command, "changes": changes, "tried": count, "faults": faults}


if __name__ == "__main__":
    mmgen.reconstruction.options.build_reconstructor = lambda options: FakeReconstructor(0.0)
    place = Path(sys.argv[2]).resolve()
    place.mkdir(parents=True)
    print(json.dumps(tried(sys.argv[1], place, int(sys.argv[3]) if len(sys.argv) > 3 else 1), indent=1))
