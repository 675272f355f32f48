"""Aggregations: hand values, invariants, SciPy as witness."""

from itertools import permutations

import numpy as np
import pytest
from scipy import special, stats

from harness.errors import ConfigError
from harness.policies import aggregation as module
from harness.policies.aggregation import AGGREGATIONS, aggregation, aggregation_names, log_softmax

EVERY = sorted(AGGREGATIONS)


def random_logits(views: int, *, examples: int = 40, classes: int = 7, scale: float = 3.0) -> np.ndarray:
    """Made-up logits `[V, n, C]` float32."""
    rng = np.random.default_rng(11)
    return (scale * rng.standard_normal((views, examples, classes))).astype(np.float32)


def logits_of(probs: list[list[float]]) -> np.ndarray:
    """Logits `[V, 1, C]` of one example whose views have these probabilities."""
    return np.log(np.array(probs))[:, None, :]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean_probs", [0.40, 0.35, 0.25]),
        ("gmean_probs", list(np.cbrt([0.030, 0.021, 0.0135]) / np.cbrt([0.030, 0.021, 0.0135]).sum())),
        ("mean_logits", list(np.cbrt([0.030, 0.021, 0.0135]) / np.cbrt([0.030, 0.021, 0.0135]).sum())),
        ("max_probs", [0.6 / 1.5, 0.6 / 1.5, 0.3 / 1.5]),
        ("median_probs", [0.5 / 1.15, 0.35 / 1.15, 0.3 / 1.15]),
        ("vote", [(2 + 0.4) / 4, (1 + 0.35) / 4, (0 + 0.25) / 4]),
    ],
)
def test_three_views_by_hand(name: str, expected: list[float]) -> None:
    """Three views of one example give the probabilities that the formula gives on paper."""
    logits = logits_of([[0.6, 0.1, 0.3], [0.5, 0.35, 0.15], [0.1, 0.6, 0.3]])
    np.testing.assert_allclose(np.exp(AGGREGATIONS[name](logits))[0], expected, rtol=1e-12)


def test_median_of_an_even_number_of_views_by_hand() -> None:
    """With four views the median is the mean of the two middle probabilities, class by class."""
    logits = logits_of([[0.1, 0.9], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    np.testing.assert_allclose(np.exp(AGGREGATIONS["median_probs"](logits))[0], [0.4, 0.6], rtol=1e-12)


def test_ordinary_logits_agree_with_scipy_and_numpy() -> None:
    """At ordinary sizes the log-space results equal the plain formulas on SciPy's softmax."""
    logits = random_logits(5)
    probs = special.softmax(logits.astype(np.float64), axis=-1)

    def normalised(values: np.ndarray) -> np.ndarray:
        return values / values.sum(axis=-1, keepdims=True)

    witnesses = {
        "mean_probs": probs.mean(axis=0),
        "mean_logits": special.softmax(logits.astype(np.float64).mean(axis=0), axis=-1),
        "gmean_probs": normalised(stats.gmean(probs, axis=0)),
        "max_probs": normalised(probs.max(axis=0)),
        "median_probs": normalised(np.median(probs, axis=0)),
    }
    for name, expected in witnesses.items():
        np.testing.assert_allclose(np.exp(AGGREGATIONS[name](logits)), expected, rtol=1e-10, err_msg=name)


def test_mean_of_logits_is_geometric_mean_of_probabilities() -> None:
    """`mean_logits` and `gmean_probs` are one distribution, whatever constants the logits carry."""
    logits = random_logits(4) + np.arange(4, dtype=np.float32)[:, None, None] * 3
    np.testing.assert_allclose(AGGREGATIONS["mean_logits"](logits), AGGREGATIONS["gmean_probs"](logits), atol=1e-6)


def test_mean_of_logits_is_not_mean_of_probabilities() -> None:
    """The two spaces differ: one view that is almost certain wins by its logits, not by its probabilities."""
    logits = logits_of([[0.0001, 0.9999], [0.8, 0.2], [0.8, 0.2]])
    assert np.argmax(AGGREGATIONS["mean_probs"](logits)) == 0
    assert np.argmax(AGGREGATIONS["mean_logits"](logits)) == 1


@pytest.mark.parametrize("name", [name for name in EVERY if name != "vote"])
def test_one_view_is_its_own_log_softmax(name: str) -> None:
    """With one view there is nothing to aggregate."""
    logits = random_logits(1)
    expected = special.log_softmax(logits[0].astype(np.float64), axis=-1)
    np.testing.assert_allclose(AGGREGATIONS[name](logits), expected, atol=1e-12)


def test_one_view_keeps_its_winner_under_vote() -> None:
    """A vote of one view has that view's winner."""
    logits = random_logits(1)
    np.testing.assert_array_equal(AGGREGATIONS["vote"](logits).argmax(-1), logits[0].argmax(-1))


@pytest.mark.parametrize("name", EVERY)
def test_order_of_views_changes_nothing(name: str) -> None:
    """Any order of the views gives the same result within float rounding."""
    logits = random_logits(4)
    expected = AGGREGATIONS[name](logits)
    for order in permutations(range(4)):
        np.testing.assert_allclose(AGGREGATIONS[name](logits[list(order)]), expected, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_repeating_every_view_changes_no_mean(name: str) -> None:
    """All views given twice: no mean, maximum or median moves, and the vote keeps its winner."""
    logits = random_logits(3)
    once, twice = AGGREGATIONS[name](logits), AGGREGATIONS[name](np.concatenate([logits, logits]))
    if name == "vote":
        np.testing.assert_array_equal(once.argmax(-1), twice.argmax(-1))
    else:
        np.testing.assert_allclose(twice, once, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_finite_distributions_at_extreme_logits(name: str, dtype: type) -> None:
    """Logits of +-1e4 and of the largest float32 give finite log-probabilities whose rows sum to one."""
    for scale in (1.0, 1e4, 1e30):
        found = AGGREGATIONS[name](random_logits(3, scale=scale).astype(dtype))
        assert found.dtype == np.float64
        assert np.isfinite(found).all()
        np.testing.assert_allclose(np.exp(found).sum(-1), 1.0, atol=1e-9)


def test_nothing_underflows() -> None:
    """A class that every view puts at e^-20000 keeps its logarithm, where probabilities would be zero."""
    logits = np.tile(np.array([1e4, -1e4, -1.5e4]), (3, 1, 1))
    for name in EVERY:
        extra = np.log(4) if name == "vote" else 0.0
        found = AGGREGATIONS[name](logits)[0]
        np.testing.assert_allclose(found[1:], [-20000 - extra, -25000 - extra], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", EVERY)
def test_a_number_added_to_all_logits_of_a_view_changes_nothing(name: str) -> None:
    """Logits are defined up to a constant per view and example; so is every aggregation of them."""
    logits = random_logits(3).astype(np.float64)
    moved = logits + np.array([1.0, -7.0, 40.0])[:, None, None]
    np.testing.assert_allclose(AGGREGATIONS[name](moved), AGGREGATIONS[name](logits), atol=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_examples_do_not_see_each_other(name: str) -> None:
    """An example's result is the same alone as in company."""
    logits = random_logits(3)
    together = AGGREGATIONS[name](logits)
    for i in range(5):
        np.testing.assert_allclose(AGGREGATIONS[name](logits[:, i : i + 1])[0], together[i], atol=1e-14)


def test_vote_winner_is_the_plurality() -> None:
    """The winner has the most votes, and among classes with equally many the highest mean probability."""
    logits = random_logits(6, examples=300, classes=4, scale=1.0)
    votes = np.stack([(logits.argmax(-1) == c).sum(0) for c in range(4)], axis=1)
    probs = special.softmax(logits.astype(np.float64), axis=-1).mean(0)
    most = votes == votes.max(axis=1, keepdims=True)
    assert (most.sum(axis=1) > 1).sum() > 20, "the case needs ties"
    expected = np.where(most, probs, -1.0).argmax(axis=1)
    np.testing.assert_array_equal(AGGREGATIONS["vote"](logits).argmax(-1), expected)


def test_vote_overrules_a_louder_minority() -> None:
    """Two faint votes beat one certain one."""
    logits = logits_of([[0.51, 0.49, 0.0001], [0.51, 0.49, 0.0001], [0.0001, 0.0001, 0.9998]])
    assert np.argmax(AGGREGATIONS["vote"](logits)) == 0


def test_log_softmax_keeps_small_differences_between_large_logits() -> None:
    """A difference of one between logits of 1e8 is not lost."""
    found = log_softmax(np.array([1e8, 1e8 - 1.0]))
    np.testing.assert_allclose(found, special.log_softmax([1.0, 0.0]), rtol=1e-12)


def test_unknown_name_lists_the_nearest() -> None:
    """A misspelt aggregation is answered with the nearest names in one line."""
    with pytest.raises(ConfigError, match=r"did you mean .*mean_probs") as caught:
        aggregation("mean_prob")
    assert "\n" not in str(caught.value)


class FakePoint:
    """An entry point of another package."""

    def __init__(self, name: str, found: object) -> None:
        self.name, self.found = name, found

    def load(self) -> object:
        """What the package offers, or its failure."""
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package that adds aggregations."""
    points = [
        FakePoint("theirs", np.mean),
        FakePoint("broken", ImportError("no such module")),
        FakePoint("number", 3),
        FakePoint("mean_probs", np.max),
    ]

    def entry_points(*, group: str, name: str | None = None) -> list[FakePoint]:
        assert group == "harness.aggregations"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(module, "entry_points", entry_points)


@pytest.mark.usefixtures("installed")
def test_another_package_adds_an_aggregation() -> None:
    """An entry point is found under its name, is listed, and cannot replace one of ours."""
    assert aggregation("theirs") is np.mean
    assert aggregation("mean_probs") is AGGREGATIONS["mean_probs"]
    assert aggregation_names() == (*AGGREGATIONS, "broken", "number", "theirs")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "says"), [("broken", "no such module"), ("number", "must be a function, got int")])
def test_a_broken_package_is_named(name: str, says: str) -> None:
    """An entry point that cannot be loaded or is no function gives one clear line."""
    with pytest.raises(ConfigError, match=says):
        aggregation(name)
