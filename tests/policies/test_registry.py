"""The table of aggregations: names, parameters from plain data, and what other packages add."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.parameters import Range, spec
from harness.policies import registry
from harness.policies.base import Fixed
from harness.policies.fixed import MeanProbs
from harness.policies.logits import ViewLogits
from harness.policies.registry import AGGREGATIONS, aggregation_kinds, describe, make_aggregation
from tests.policies.parameters import PARAMETERS


@dataclass(frozen=True)
class Scaled(Fixed):
    """An aggregation of another package.

    With more lines that no listing shows.
    """

    kind: ClassVar[str] = "scaled"
    by: Annotated[float, Range(0, 2)] = 1.0

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """The mean of what is left after scaling."""
        return MeanProbs()(self.by * logits)


@dataclass(frozen=True)
class Learned(Scaled):
    """It learns."""

    kind: ClassVar[str] = "learned"
    learns: ClassVar[bool] = True


class NoDataclass(Fixed):
    """It forgot to be a dataclass."""

    kind: ClassVar[str] = "no_dataclass"


def theirs(logits: np.ndarray) -> np.ndarray:
    """The first view alone.

    More lines.
    """
    return MeanProbs()(logits[:1])


class FakePoint:
    """An entry point of another package."""

    def __init__(self, name: str, found: object) -> None:
        self.name, self.found = name, found

    def load(self) -> object:
        """What the package offers, or its failure."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


GOOD = [FakePoint("theirs", theirs), FakePoint("scaled", Scaled), FakePoint("mean_probs", np.max)]
BAD = [
    FakePoint("broken", ImportError("no such module")),
    FakePoint("number", 3),
    FakePoint("other_name", Scaled),
    FakePoint("no_dataclass", NoDataclass),
    FakePoint("text", str),
]


def install(monkeypatch: pytest.MonkeyPatch, points: list[FakePoint]) -> None:
    """Another package that adds aggregations."""

    def entry_points(*, group: str) -> list[FakePoint]:
        assert group == "harness.aggregations"
        return points

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.parametrize("kind", AGGREGATIONS)
def test_every_kind_is_made_from_plain_data_and_written_down_as_such(kind: str) -> None:
    """What is made has the kind, an equal twin with an equal hash, and a spec from which it is made again."""
    made = make_aggregation(kind, PARAMETERS.get(kind, {}))
    assert made == make_aggregation(kind, PARAMETERS.get(kind, {}))
    assert hash(made) == hash(make_aggregation(kind, PARAMETERS.get(kind, {})))
    plain = spec(made)
    assert plain.pop("kind") == kind == made.kind
    assert make_aggregation(kind, plain) == made
    assert made.label().startswith(kind)


@pytest.mark.parametrize("kind", AGGREGATIONS)
def test_every_kind_fits_and_predicts(kind: str) -> None:
    """Made, fitted and called, each gives a distribution, its passes, and what was learned as plain data."""
    logits = np.random.default_rng(0).standard_normal((4, 30, 3)).astype(np.float32)
    fitted = make_aggregation(kind, PARAMETERS.get(kind, {})).fit(ViewLogits.of(logits), np.arange(30) % 3)
    np.testing.assert_allclose(np.exp(fitted(logits)).sum(axis=1), 1, atol=1e-9)
    assert fitted.passes(logits).shape == (30,)
    assert bool(fitted.parameters()) == AGGREGATIONS[kind].learns


def test_the_listing_says_what_each_is() -> None:
    """Each kind has one sentence, its parameters with ranges, and whether it is fixed, learned or adaptive."""
    found = {one.kind: one for one in describe()}
    assert tuple(found) == aggregation_kinds()
    assert all(one.summary.endswith(".") and "\n" not in one.summary for one in found.values())
    assert found["mean_probs"][2:] == ("", "fixed")
    assert found["confident_vote"].parameters == "fraction=0.1 in (0, 1]"
    assert {kind for kind, one in found.items() if one.nature == "adaptive"} >= {
        "selective",
        "early_exit",
        "learned_early_exit",
        "exact_exit",
    }
    assert all(AGGREGATIONS[kind].learns for kind, one in found.items() if one.nature == "learned")
    assert not any(AGGREGATIONS[kind].learns for kind, one in found.items() if one.nature == "fixed")


@pytest.mark.parametrize(
    ("kind", "params", "says"),
    [
        ("mean_prob", {}, r"unknown aggregation 'mean_prob': did you mean .*mean_probs"),
        ("mean_probs", {"beta": 1}, "aggregation mean_probs: unknown parameter 'beta'"),
        ("anchor_probs", {}, r"aggregation anchor_probs needs beta; its parameters: beta in \[0, 1\]"),
        ("anchor_probs", {"beta": "high"}, "beta must be a number in"),
        ("anchor_probs", {"beta": 2}, r"beta must be a number in \[0, 1\], got 2"),
        ("power_mean_probs", {"power": 0}, "power must not be zero"),
        ("selective", {"share": 0.5, "aggregation": "median"}, "did you mean median_probs"),
        ("selective", {"share": 0.5, "uncertainty": "luck"}, "one of max_prob, entropy, margin"),
    ],
)
def test_what_is_wrong_is_one_line(kind: str, params: dict[str, Any], says: str) -> None:
    """An unknown name, parameter or value is answered with what would do, in one line."""
    with pytest.raises(ConfigError, match=says) as caught:
        make_aggregation(kind, params)
    assert "\n" not in str(caught.value)


def test_another_package_adds_a_class_and_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are found under their names, listed behind ours, made from plain data, and replace none of ours."""
    install(monkeypatch, [*GOOD, FakePoint("learned", Learned)])
    assert aggregation_kinds() == (*AGGREGATIONS, "learned", "scaled", "theirs")
    logits = np.random.default_rng(0).standard_normal((3, 5, 4))
    scaled = make_aggregation("scaled", {"by": 2})
    assert scaled == Scaled(2.0)
    made = make_aggregation("theirs", {})
    fitted = made.fit(ViewLogits.of(logits), np.zeros(5, np.int64))
    np.testing.assert_array_equal(fitted(logits), theirs(logits))
    np.testing.assert_array_equal(fitted.passes(logits), 3)
    assert make_aggregation("mean_probs", {}) == MeanProbs()
    assert describe()[-3:] == [
        ("learned", "It learns.", "by=1 in [0, 2]", "learned"),
        ("scaled", "An aggregation of another package.", "by=1 in [0, 2]", "fixed"),
        ("theirs", "The first view alone.", "", "fixed"),
    ]


def test_a_function_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made twice it is equal, with equal hashes; under another name it is another one; it takes no parameters."""
    install(monkeypatch, [*GOOD, FakePoint("twin", theirs)])
    one, again, twin = (make_aggregation(kind, {}) for kind in ("theirs", "theirs", "twin"))
    assert one == again
    assert hash(one) == hash(again)
    assert one != twin
    assert one != MeanProbs()
    assert (one.kind, one.label(), spec(one)) == ("theirs", "theirs", {"kind": "theirs"})
    with pytest.raises(ConfigError, match="aggregation theirs: unknown parameter 'by'"):
        make_aggregation("theirs", {"by": 1})


def test_an_unknown_name_is_compared_with_added_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest name may be another package's."""
    install(monkeypatch, GOOD)
    with pytest.raises(ConfigError, match="did you mean theirs"):
        make_aggregation("their", {})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken", "aggregation 'broken' of an installed package cannot be loaded: no such module"),
        ("number", "must be a function or an Aggregation, got int"),
        ("other_name", "must be a dataclass that derives Aggregation with kind='other_name'"),
        ("no_dataclass", "must be a dataclass that derives Aggregation"),
        ("text", "must be a dataclass that derives Aggregation"),
    ],
)
def test_a_broken_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str, says: str) -> None:
    """An entry point that cannot be used gives one clear line, and our own kinds stay usable."""
    install(monkeypatch, BAD)
    with pytest.raises(ConfigError, match=says) as caught:
        make_aggregation(name, {})
    assert "\n" not in str(caught.value)
    assert make_aggregation("mean_probs", {}) == MeanProbs()
