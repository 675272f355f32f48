"""Greedy policy search: the original code's choices, brute force, budgets that are beginnings, ties."""

from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, special

from harness.parameters import make
from harness.policies.greedy import Gps, GreedyMean, greedy_path
from harness.policies.linear import WeightedMeans
from harness.policies.linear_temperatures import Criterion, calibrate_linear
from harness.policies.logits import ViewLogits
from harness.policies.weighted import WeightedMean

CRITERIA: tuple[Criterion, ...] = ("nll_calibrated", "nll", "accuracy")
GOLDEN = np.load(Path(__file__).parent / "golden" / "gps.npz")


def drawn(views: int, examples: int, classes: int, *, seed: int = 0) -> tuple[ViewLogits, np.ndarray]:
    """Logits of views of unlike quality, and labels."""
    rng = np.random.default_rng(seed)
    base = 2 * rng.standard_normal((examples, classes))
    labels = (base + rng.gumbel(size=base.shape)).argmax(axis=1)
    noise = rng.uniform(0.5, 3, (views, 1, 1)) * rng.standard_normal((views, examples, classes))
    return ViewLogits.of((base + noise).astype(np.float32)), labels


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("case", range(8))
def test_the_original_chooses_the_same_views(case: int, criterion: Criterion) -> None:
    """All five choices of the published code, for each criterion."""
    logits = ViewLogits.of(GOLDEN["logits"][case])
    found = greedy_path(logits, GOLDEN["labels"][case].astype(np.int64), steps=5, criterion=criterion)
    assert found == tuple(GOLDEN[criterion][case].tolist())


@pytest.mark.parametrize("case", range(8))
def test_the_original_fits_the_same_temperatures(case: int) -> None:
    """Those of the published code at every step within 0.001 of their value."""
    chosen, labels = GOLDEN["nll_calibrated"][case], GOLDEN["labels"][case].astype(np.int64)
    weights = np.array([np.bincount(chosen[:steps], minlength=6) / steps for steps in range(1, 6)])
    policies = WeightedMeans("probs", weights)
    found = calibrate_linear(policies, ViewLogits.of(GOLDEN["logits"][case]), labels=labels)
    np.testing.assert_allclose(found.temperatures, GOLDEN["temperatures"][case], rtol=1e-3)


def plain_score(log_probs: np.ndarray, labels: np.ndarray, criterion: Criterion) -> float:
    """A candidate's score by SciPy alone."""

    def log_likelihood(temperature: float) -> float:
        return float(special.log_softmax(log_probs / temperature, axis=1)[np.arange(len(labels)), labels].mean())

    if criterion == "accuracy":
        return float((log_probs.argmax(axis=1) == labels).mean())
    if criterion == "nll":
        return log_likelihood(1.0)
    return -float(optimize.minimize_scalar(lambda t: -log_likelihood(t), bounds=(0.01, 100), method="bounded").fun)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("seed", [0, 1])
def test_brute_force_chooses_the_same(criterion: Criterion, seed: int) -> None:
    """The definition, one candidate at a time, in log space by SciPy."""
    logits, labels = drawn(5, 120, 4, seed=seed)
    views = special.log_softmax(logits.stacked().astype(np.float64), axis=2)
    chosen: list[int] = []
    for _ in range(6):
        means = [special.logsumexp(views[[*chosen, view]], axis=0) - np.log(len(chosen) + 1) for view in range(5)]
        chosen.append(int(np.argmax([plain_score(mean, labels, criterion) for mean in means])))
    assert greedy_path(logits, labels, steps=6, criterion=criterion) == tuple(chosen)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_beginnings_are_the_policies_of_smaller_budgets(criterion: Criterion) -> None:
    """A search of three steps is the beginning of one of eight."""
    logits, labels = drawn(6, 150, 3)
    assert greedy_path(logits, labels, steps=8, criterion=criterion)[:3] == greedy_path(
        logits, labels, steps=3, criterion=criterion
    )


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_first_of_equal_views_wins(criterion: Criterion) -> None:
    """Copies of views are never chosen before the views themselves, at no step."""
    logits, labels = drawn(4, 200, 5, seed=3)
    twice = ViewLogits((*logits.views, *logits.views, *logits.views))
    expected = greedy_path(logits, labels, steps=7, criterion=criterion)
    assert len(set(expected)) > 1
    assert greedy_path(twice, labels, steps=7, criterion=criterion) == expected


def test_a_view_may_be_chosen_again() -> None:
    """One good view among views that are surely wrong: it is chosen every time, and costs one pass."""
    labels = np.arange(90) % 3
    of_label = np.eye(3, dtype=np.float32)[labels]
    logits = np.stack([-6 * of_label, -5 * of_label, 3 * of_label, -4 * of_label])
    fitted = Gps(3).fit(ViewLogits.of(logits), labels)
    assert (fitted.chosen, fitted.weights) == ((2, 2, 2), (0.0, 0.0, 1.0, 0.0))
    assert fitted.passes(logits).tolist() == [1] * 90


def test_the_fit_is_a_weighted_mean_of_probabilities() -> None:
    """Weights are how often a view was chosen over the steps; the record holds them and the order of choice."""
    logits, labels = drawn(5, 200, 4)
    fitted = Gps(6).fit(logits, labels)
    assert isinstance(fitted, GreedyMean)
    counts = np.bincount(fitted.chosen, minlength=5)
    np.testing.assert_allclose(fitted.weights, counts / 6)
    raw = logits.stacked()
    np.testing.assert_array_equal(fitted(raw), WeightedMean("probs", fitted.weights)(raw))
    mean = special.softmax(raw.astype(np.float64), axis=2)[list(fitted.chosen)].mean(axis=0)
    np.testing.assert_allclose(np.exp(fitted(raw)), mean, atol=1e-12)
    assert fitted.parameters()["chosen"] == list(fitted.chosen)
    assert fitted.parameters()["weights"] == list(fitted.weights)
    assert fitted.passes(raw).tolist() == [np.count_nonzero(counts)] * 200


def test_parameters_have_ranges() -> None:
    """The budget is at least one, and the criterion one of three."""
    assert make(Gps, {"budget": 4}, noun="aggregation") == Gps(4, "nll_calibrated")
    assert Gps(4).label() == "gps(4)"
    with pytest.raises(ValueError, match="budget must be an integer"):
        Gps(0)
    with pytest.raises(ValueError, match="criterion must be one of"):
        Gps(1, "loss")  # type: ignore[arg-type]
