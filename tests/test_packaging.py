"""The wheel works from any directory, with everything that it needs inside."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytest.importorskip("hatchling")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return file


def test_what_is_inside(wheel: Path) -> None:
    """The configuration, the embedded data with its notice, and the licence are in the wheel; no test is."""
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {path.relative_to(ROOT).as_posix() for path in (ROOT / "conf").rglob("*.yaml")}
    assert {f"harness/{name}" for name in source} <= names
    assert {"harness/datasets/data/fashion_mini.npz", "harness/datasets/data/NOTICE", "harness/cli.py"} <= names
    assert {"harness/page/page.html.j2", "harness/page/page.css", "harness/page/page.js"} <= names
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert [name for name in names if "test" in name.split("/")[0] or name.endswith((".pyc", ".db"))] == []
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"harness"}


def test_installed_and_used_from_a_foreign_directory(wheel: Path, tmp_path: Path) -> None:
    """Installed without this checkout, the command lists, plans and runs a job in a folder that knows nothing of it."""
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # Dependencies come from here, the harness itself does not: its editable finder is not among plain paths.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("HARNESS_", "MLFLOW_", "PYTHON"))}
    environment = {**keep, "PYTHONPATH": os.pathsep.join([str(site), *libraries])}

    def run(*arguments: str) -> str:
        code = "import sys; from harness.cli import main; import harness; print(harness.__file__); sys.exit(main())"
        done = subprocess.run(
            [sys.executable, "-S", "-c", code, *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        where, _, text = done.stdout.partition("\n")
        assert Path(where).is_relative_to(site)
        return text

    assert (site / "bin" / "harness").is_file()
    assert "suite/standard" in run("list", "suites")
    assert "forward passes  86" in run("plan", "tracking=none")
    small = ["dataset.limit_test=40", "training.epochs=1", "tta=hflip", "evaluation.resamples=200", "tracking=none"]
    assert "models trained: 1, forward passes run: 4" in run("run", *small)
    assert "models trained: 0, forward passes run: 0" in run("run", *small)
    assert {path.name for path in work.iterdir()} == {".harness", "results"}
