"""The import arrows, read from the syntax trees, so that a violation shows even where it would work."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mmgen", "recon", "reid")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
FORBIDDEN = {"recon": {"mmgen", "reid", "click", "rich"}, "reid": {"mmgen", "recon", "click", "rich"}, "mmgen": set()}
FLOORS = {
    "mmgen": (
        ("__main__",),
        ("cli",),
        ("bench", "demo", "doctor", "review"),
        ("api",),
        ("evaluation", "reid_runs"),
        ("augment", "gallery", "mask_training", "training"),
        ("reconstruction",),
        ("datasets",),
        ("masks", "previews", "templates"),
        ("assets", "bundled", "photos", "samples"),
        ("models", "synth", "work"),
        ("core",),
    ),
    "recon": (
        ("evaluation", "predict", "training"),
        ("adversary", "fitting", "mixing"),
        ("encoders",),
        ("texturing",),
        ("prototype", "render"),
        ("camera", "losses", "template"),
        ("geometry", "skinning"),
        ("averaging", "metrics", "segmentation", "structures", "torchvision_shim"),
    ),
}
"""Packages and loose modules from the roof down. Imports go downwards only, so there is no circle of packages."""

LOOSE_MODULES = 3
"""In `mmgen/`, beside `__init__` and `__main__`."""

HEAVY = {
    *("torch", "numpy", "PIL", "trimesh", "numba", "scipy", "skimage", "cv2", "pygltflib", "safetensors", "webdataset"),
    *("jaxtyping", "rich", "recon", "reid", "timm", "torchvision", "torchreid"),
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in the tree, with the names taken from it: `a.b` and `a.b.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where the arrow points"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def runs_on_import(tree: ast.Module) -> Iterator[ast.stmt]:
    """The top-level statements, without those that only a type checker sees."""
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_arrows(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    modules = set(imports(tree))
    tops = {module.partition(".")[0] for module in modules}
    package = path.relative_to(ROOT).parts[0]
    assert not tops & FORBIDDEN[package]
    in_cli = name_of(path).startswith("mmgen/cli/")
    assert in_cli or "click" not in tops
    if not name_of(path).startswith("recon/render/numba_cuda"):
        assert not any(module == "numba.cuda" or module.startswith("numba.cuda.") for module in modules)


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_from_the_floors_below_them(package: str) -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms}
    climbs = []
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] != package or parts[1] == "__init__":
            continue
        assert parts[1] in floor_of, f"{name_of(path)}: say on which floor of {package} it is"
        for module in imports(ast.parse(path.read_text("utf-8"))):
            room = f"{module}.".split(".")[1]
            is_below = room == parts[1] or room not in floor_of or floor_of[room] > floor_of[parts[1]]
            if module.startswith(f"{package}.") and not is_below:
                climbs.append(f"{name_of(path)} imports {module}")
    assert not climbs


def test_few_modules_lie_loose() -> None:
    loose = {path.stem for path in (ROOT / "mmgen").glob("*.py")} - {"__init__", "__main__"}
    assert len(loose) <= LOOSE_MODULES, sorted(loose)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    prints = [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]
    assert not prints or name_of(path).startswith("mmgen/cli/")


@pytest.mark.parametrize("path", sorted((ROOT / "mmgen" / "cli").glob("*.py")), ids=name_of)
def test_commands_import_nothing_heavy_before_they_run(path: Path) -> None:
    statements = runs_on_import(ast.parse(path.read_text("utf-8")))
    tops = {module.partition(".")[0] for node in statements for module in imports(node)}
    assert not tops & HEAVY


def file_of(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def loaded_with(*modules: str) -> set[str]:
    """Every module that comes along when these are imported; of other people's packages the first word."""
    seen: set[str] = set()
    waiting = [module for name in modules for module in (name, *name.split(".")[:1])]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = file_of(module)
        if path is None:
            continue
        for statement in runs_on_import(ast.parse(path.read_text("utf-8"))):
            for name in imports(statement):
                parents = [name.rpartition(".")[0], name]
                waiting += [part for part in parents if part and (file_of(part) or part.split(".")[0] not in PACKAGES)]
    return {module if module.split(".")[0] in PACKAGES else module.split(".")[0] for module in seen}


def test_one_photo_pays_for_no_package_that_it_does_not_need() -> None:
    """trimesh alone takes half a second, with networkx behind it; numba waits for the first rendering."""
    loaded = loaded_with("mmgen.reconstruction.batch", "mmgen.reconstruction.fit", "mmgen.reconstruction.network")
    assert {"torch", "pygltflib", "mmgen.masks.cleaning", "recon.texturing.blend", "mmgen.templates"} <= loaded
    assert not loaded & {"trimesh", "skimage", "networkx", "numba", "cv2", "rich", "matplotlib", "timm", "torchvision"}


def test_the_checks_see_what_they_look_for() -> None:
    tree = ast.parse("import a.b\nfrom c.d import e\ndef f():\n    import g\n")
    assert set(imports(tree)) == {"a.b", "c.d.e", "g"}
    assert len(SOURCES) > 50
