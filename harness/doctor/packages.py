"""Versions of Python and of what the harness needs, against what it asks for."""

import importlib.metadata
import platform
import sys
from collections.abc import Iterator

from packaging.requirements import Requirement

from harness.doctor.check import Check

DISTRIBUTION = "tta-harness"
MIN_PYTHON = (3, 11)
TELLING = ("keras", "mlflow", "hydra-core", "numpy", "scipy", "pandas", "pillow", "pyarrow", "scikit-learn", "altair")
"""Packages whose versions are said even where nothing is wrong with them."""


def check_packages() -> list[Check]:
    """Python, the harness, and each package that is missing or of a version that does not fit."""
    here = f"{platform.python_version()} at {sys.executable}"
    old = sys.version_info < MIN_PYTHON
    python = Check("python", "problem" if old else "ok", here, "Python 3.11 or newer is needed" if old else "")
    found = {name: text for name in (DISTRIBUTION, *TELLING) if (text := version(name))}
    return [python, Check("packages", "ok", ", ".join(f"{name} {text}" for name, text in found.items())), *_unfit()]


def version(name: str) -> str | None:
    """The installed version of a distribution, None where there is none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _unfit() -> Iterator[Check]:
    for requirement in _requirements():
        name, installed = requirement.name, version(requirement.name)
        wanted = f"{name}{requirement.specifier}"
        if installed is None:
            yield Check(name, "problem", f"not installed, {wanted} is needed", f"pip install '{wanted}'")
        elif not requirement.specifier.contains(installed, prereleases=True):
            yield Check(name, "problem", f"{installed} is installed, {wanted} is needed", f"pip install '{wanted}'")


def _requirements() -> list[Requirement]:
    """What the installed harness needs whatever the extras; none where it is not installed but on the path."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
