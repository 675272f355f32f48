"""The registry makes transforms from plain data and refuses what is wrong, in one line."""

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.parameters import Range, spec
from harness.transforms import registry
from harness.transforms.base import Transform
from harness.transforms.geometric import Rotate, Shift


@dataclass(frozen=True)
class Negative(Transform):
    """A transform of somebody else's package."""

    levels: tuple[float, float] = (0.0, 255.0)
    amount: Annotated[float, Range(0, 1)] = 1.0
    kind: ClassVar[str] = "negative"

    def __call__(self, images: np.ndarray, _indices: np.ndarray, /) -> np.ndarray:
        """The negative."""
        return self.levels[1] - images


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers `negative` and one that offers something else."""
    points = {
        "negative": EntryPoint("negative", f"{__name__}:Negative", registry.GROUP),
        "broken": EntryPoint("broken", "no_such_module:Thing", registry.GROUP),
        "alias": EntryPoint("alias", f"{__name__}:Negative", registry.GROUP),
    }
    monkeypatch.setattr(registry, "_plugins", lambda: points)


def test_makes_what_was_asked() -> None:
    """Kind and parameters give the transform that the class gives."""
    assert registry.make_transform("rotate", {"degrees": 10, "fill": "reflect"}) == Rotate(10.0, fill="reflect")


def test_whole_numbers_and_floats_are_one() -> None:
    """10 and 10.0, 0 and -0.0, NumPy's and Python's: equal transforms with equal specs."""
    ten = [Rotate(10), Rotate(10.0), Rotate(np.float64(10)), registry.make_transform("rotate", {"degrees": 10})]
    assert len(set(ten)) == 1
    assert len({repr(spec(transform)) for transform in ten}) == 1
    assert repr(spec(Shift(1, -0.0))) == repr(spec(Shift(1, 0)))


def test_spec_holds_every_parameter() -> None:
    """Interpolation and fill are part of what a view is, also where they are defaults."""
    assert spec(Rotate(10)) == {
        "kind": "rotate",
        "degrees": 10.0,
        "interpolation": "bilinear",
        "fill": "edge",
        "fill_value": 0.0,
    }


@pytest.mark.parametrize(
    ("kind", "params", "label"),
    [
        ("rotate", {"degrees": 10.0}, "rotate(10)"),
        ("rotate", {"degrees": 7.25, "fill": "reflect"}, "rotate(7.25,fill=reflect)"),
        ("rotate", {"degrees": 1.23456789}, "rotate(1.23456789)"),
        ("shift", {"dx": 1}, "shift(dx=1)"),
        ("horizontal_flip", {}, "horizontal_flip"),
        ("random_flip", {"copy": 3}, "random_flip(copy=3)"),
        ("random_affine", {"horizontal_flip": True}, "random_affine(horizontal_flip=true)"),
        ("crop", {"position": "center", "fraction": 0.875}, "crop(center,0.875)"),
    ],
)
def test_labels_are_short_and_tell_apart(kind: str, params: dict[str, Any], label: str) -> None:
    """Required parameters, then what differs from its default."""
    assert registry.make_transform(kind, params).label() == label


@pytest.mark.parametrize(
    ("kind", "params", "said"),
    [
        ("rotat", {"degrees": 1}, "unknown transform 'rotat': did you mean rotate"),
        ("rotate", {"degree": 1}, "transform rotate: unknown parameter 'degree': did you mean degrees"),
        ("rotate", {}, "transform rotate needs degrees; its parameters: degrees in (-180, 180], interpolation="),
        ("rotate", {"degrees": "10"}, "transform rotate: degrees must be a number in (-180, 180], got '10'"),
        ("rotate", {"degrees": True}, "degrees must be a number in (-180, 180], got True"),
        ("rotate", {"degrees": None}, "degrees must be a number in (-180, 180], got None"),
        ("rotate", {"degrees": 270}, "degrees must be a number in (-180, 180], got 270"),
        ("rotate", {"degrees": float("nan")}, "degrees must be a number in (-180, 180], got nan"),
        ("rotate", {"degrees": object}, "degrees must be a number in (-180, 180], got <class 'object'>"),
        ("rotate", {"degrees": 1, "fill": "nearest"}, "fill must be one of constant, edge, reflect, wrap"),
        ("rotate90", {"turns": 4}, "turns must be an integer in [0, 3], got 4"),
        ("rotate90", {"turns": 1.5}, "turns must be an integer in [0, 3], got 1.5"),
        ("random_flip", {"horizontal": "yes"}, "horizontal must be true or false, got 'yes'"),
        ("random_flip", {"seed": -1}, "seed must be an integer in [0, 4294967295], got -1"),
        ("pad_crop", {"pad": 1, "dx": 2, "dy": 0}, "transform pad_crop: dx and dy must lie within -1..1"),
    ],
)
def test_refuses_in_one_line(kind: str, params: dict[str, Any], said: str) -> None:
    """The message names the kind, the parameter, what was given and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        registry.make_transform(kind, params)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("plugin")
def test_transforms_of_other_packages_are_found() -> None:
    """An entry point's class is made, checked and described like our own; a list stands for a tuple."""
    made = registry.make_transform("negative", {"levels": [0, 200]})
    assert made == Negative((0.0, 200.0))
    assert spec(made) == {"kind": "negative", "levels": [0.0, 200.0], "amount": 1.0}
    with pytest.raises(ConfigError, match=r"amount must be a number in \[0, 1\], got 2"):
        registry.make_transform("negative", {"amount": 2})


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(("kind", "said"), [("broken", "cannot be imported"), ("alias", "kind='alias'")])
def test_broken_packages_are_named(kind: str, said: str) -> None:
    """A package that cannot be used is named with the place that it points to."""
    with pytest.raises(ConfigError, match=said):
        registry.make_transform(kind, {})


def test_describe_lists_every_kind_with_its_parameters() -> None:
    """Name, parameters with ranges and defaults, and whether colour is needed."""
    listed = {kind: (text, needs_rgb) for kind, text, needs_rgb in registry.describe()}
    assert set(registry.TRANSFORMS) <= set(listed)
    assert listed["saturation"] == ("factor in [0, inf)", True)
    assert listed["rotate90"] == ("turns in [0, 3]", False)
    assert listed["crop"][0].startswith(
        "position (center|top_left|top_right|bottom_left|bottom_right), fraction in (0, 1]"
    )


def test_listing_loads_neither_scipy_nor_tensorflow() -> None:
    """`harness list` answers at once because the heavy packages stay unread."""
    code = (
        "import sys, harness.views, harness.transforms.registry as r; r.describe();"
        "sys.exit(any(name in sys.modules for name in ('scipy', 'tensorflow', 'keras', 'PIL')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
