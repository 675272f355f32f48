"""Kinds of data sets by name, ours and other people's."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from harness.datasets import registry
from harness.datasets.embedded import load_fashion_mini
from harness.errors import ConfigError


def install(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Makes `value` the entry point of a data set called "theirs"."""
    point = EntryPoint(name="theirs", value=value, group=registry.ENTRY_POINT_GROUP)

    def installed(*, group: str, name: str = "theirs") -> list[EntryPoint]:
        return [point] if (group, name) == (point.group, point.name) else []

    monkeypatch.setattr(registry, "entry_points", installed)


def test_unknown_kind_names_the_nearest() -> None:
    """A misspelt kind is answered with what was meant."""
    with pytest.raises(ConfigError, match="unknown data set 'cifar01': did you mean cifar10"):
        registry.load_raw("cifar01", {})


def test_unknown_option_lists_the_options() -> None:
    """An option that a loader does not take is refused with those that it takes."""
    with pytest.raises(ConfigError, match="unexpected keyword argument 'pth'; its options: path"):
        registry.load_raw("mnist", {"pth": "x"})


def test_own_kind_loads() -> None:
    """A kind of ours is its loader's data set."""
    assert registry.load_raw("fashion_mini", {}).name == "fashion_mini"


def test_installed_package_adds_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is listed and loaded like a kind of ours."""
    install(monkeypatch, "harness.datasets.embedded:load_fashion_mini")
    assert registry.dataset_kinds()[-1] == "theirs"
    assert registry.load_raw("theirs", {}).test.digest() == load_fashion_mini().test.digest()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_package:load", "cannot be loaded"),
        ("harness.datasets.registry:dataset_kinds", "expected its loader to return a RawDataset, got tuple"),
        ("builtins:dict", "expected its loader to be a function"),
        ("math:pi", "expected its loader to be a function"),
    ],
)
def test_unfit_entry_point_is_one_line(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    """A package that cannot be imported, or gives something else, is one line that names the kind."""
    install(monkeypatch, value)
    with pytest.raises(ConfigError, match=f"data set theirs: .*{said}"):
        registry.load_raw("theirs", {})


def test_importing_the_room_loads_no_heavy_package() -> None:
    """The registry brings in neither Keras, TensorFlow nor scikit-learn."""
    code = "import sys, harness.datasets.registry; print(sorted({'keras', 'tensorflow', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
