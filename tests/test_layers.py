"""Who may import whom: the design's layers, read from the source."""

import ast
from functools import lru_cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "harness"

LEVELS = {
    # The ground is values and errors.
    "": 0, "errors": 0, "types": 1, "fingerprint": 1, "files": 1, "backend": 1, "parameters": 1, "logspace": 1,
    "blas": 1, "machine": 1, "json_output": 1, "quantities": 1,
    "dotted_keys": 1,
    # A room knows the ground and the lower rooms.
    "run_conditions": 2, "transforms": 2, "views": 3, "corruptions": 3,
    "intervals": 3, "significance": 3, "calibration": 3, "reliability": 3, "rejection": 3,
    "variance": 4, "reliability_intervals": 4, "literature": 4,
    "datasets": 4, "models": 4, "metrics": 4, "store": 4, "policies": 4, "conformal": 4, "diagnostics": 5, "graph": 5,
    # The middle is what brings rooms together.
    "inference": 5, "training": 5, "plan": 5, "model_source": 6, "trained_source": 7, "checkpoint_source": 7,
    # The spine is the numbers and the choice.
    "firewall": 5, "prediction": 5, "cross_fitting": 6, "selection": 7, "evaluation": 8,
    # The edges are what is written down and shown, and what comes in.
    "records": 10, "pareto": 11, "findings": 11,
    "search_findings": 12, "judgement": 13,
    "record_files": 11, "tolerances": 11, "config": 11, "terminal": 11, "contact_sheet": 11,
    "report": 12, "seed_groups": 12, "combination": 13, "progress": 12, "upkeep": 12,
    "latency_record": 12, "latency": 13,
    "reproduction_numbers": 12, "reproduction_facts": 12, "reproduction": 13, "reproduction_report": 14,
    "gallery": 12, "hardest": 12, "frames": 13, "charts": 13, "page": 14, "doctor": 14, "logged_config": 12,
    "tracking": 13, "build": 13, "compose": 13, "job_record": 14, "job_lookup": 14, "arguments": 14,
    # The programs.
    "runner": 15, "export": 16, "commands": 17, "cli": 18, "__main__": 19,
}  # fmt: skip
SAME_ROOM = {"augmentation": "models"}  # a room of the training, kept at the top for those who look for it
DOORS = {
    "mlflow": ("tracking",),
    "sqlalchemy": ("tracking",),
    "matplotlib": (),
    "altair": ("charts",),
    "vl_convert": ("charts.files",),
    "jinja2": ("page.page",),
    "argcomplete": ("commands.completion",),
    "hydra": ("compose",),
    "omegaconf": ("compose",),
    "tensorflow": ("backend",),
    "keras": ("backend", "datasets.official"),  # there for what keras.datasets downloads, when it is asked to
    "tf2onnx": ("export.onnx_file",),
    "onnx": ("export.onnx_file",),
    "onnxruntime": ("export.onnx_file",),
    "pandas": ("frames", "tracking"),
}


@lru_cache(maxsize=1)
def imports() -> dict[str, set[str]]:
    """For each module (`datasets.npz`), the modules it imports anywhere, those loaded when first needed included."""
    files = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
    return {name.removesuffix("__init__").rstrip("."): _imported(file) for name, file in files.items()}


def _imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {_module(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            found |= {item.value for item in node.args if isinstance(item, ast.Constant) and "." in str(item.value)}
    return found


def _module(source: str, name: str) -> str:
    folder = PACKAGE.parent.joinpath(*source.split("."))
    return f"{source}.{name}" if (folder / f"{name}.py").is_file() or (folder / name).is_dir() else source


def own(name: str) -> list[str]:
    """What a module imports of this package, without the package's name."""
    return [item.partition(".")[2] for item in sorted(imports()[name]) if item.split(".")[0] == "harness"]


def room(name: str) -> str:
    """The room of a module: `datasets` of `datasets.npz`."""
    top = name.split(".")[0]
    return SAME_ROOM.get(top, top)


@pytest.mark.parametrize("name", sorted(imports()))
def test_imports_go_downward(name: str) -> None:
    """A module imports modules of lower levels, or of its own room; two rooms of one level know nothing of each other.

    The levels are `LEVELS`: ground, rooms, middle, spine, edges, programs. A new module needs a place there.
    """
    wrong = [item for item in own(name) if room(item) != room(name) and LEVELS[room(item)] >= LEVELS[room(name)]]
    assert wrong == []


def test_no_import_cycle() -> None:
    """No module imports itself through others, counting what is imported only when first needed."""
    graph = {name: own(name) for name in imports()}
    while graph:
        free = [name for name, needed in graph.items() if not any(item in graph and item for item in needed)]
        assert free, f"a cycle among {sorted(graph)}"
        graph = {name: needed for name, needed in graph.items() if name not in free}


@pytest.mark.parametrize("package", sorted(DOORS))
def test_one_door_for_each_outside_package(package: str) -> None:
    """Each of these packages is imported by the modules of its door only, so that it can be replaced there."""
    users = {name for name, found in imports().items() if package in {item.split(".")[0] for item in found}}
    assert {name for name in users if not any((name + ".").startswith(f"{door}.") for door in DOORS[package])} == set()


def test_configuration_stops_at_the_edges() -> None:
    """Below the edges functions take values, never the configuration: what can be tested can be called."""
    users = {name for name in imports() if "config" in own(name)}
    edges = {"build", "compose", "job_record", "logged_config", "runner", "export", "commands"}
    assert {room(name) for name in users} == edges


def test_every_room_has_a_name_of_its_own() -> None:
    """No module is called utils, helpers or common: everything has a room."""
    assert {name.split(".")[-1] for name in imports()} & {"utils", "util", "helpers", "common", "misc"} == set()


def test_package_files_hold_no_code() -> None:
    """An `__init__.py` holds a docstring (the top one its version too), so that importing a room loads nothing else."""
    for file in PACKAGE.rglob("__init__.py"):
        allowed = 2 if file.parent == PACKAGE else 1
        if file.parent.name != "tracking":
            assert len(ast.parse(file.read_text(encoding="utf-8")).body) <= allowed, file
