"""Temperature scaling: recovered temperatures, SciPy and a grid as witnesses, both ends of the range."""

import numpy as np
import pytest
from scipy import optimize, special

from harness import calibration
from harness.calibration import (
    T_MAX,
    T_MIN,
    apply_temperature,
    calibrated_nll,
    calibrated_scores,
    fit_temperature,
    newton_temperatures,
)


def drawn(temperature: float, *, examples: int = 4000, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities, and labels drawn from them after `temperature`."""
    rng = np.random.default_rng(5)
    log_probs = special.log_softmax(2 * rng.standard_normal((examples, classes)), axis=1)
    truth = special.softmax(log_probs / temperature, axis=1)
    labels = (truth.cumsum(axis=1) < rng.random((examples, 1))).sum(axis=1)
    return log_probs, labels


def mean_nll(log_probs: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The objective by SciPy."""
    scaled = special.log_softmax(log_probs / temperature, axis=1)
    return -float(scaled[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_agrees_with_scipy_and_a_grid(temperature: float) -> None:
    """The fit is SciPy's bounded minimum, no temperature of a fine grid is better, and it is near the true one."""
    log_probs, labels = drawn(temperature)
    found = fit_temperature(log_probs, labels)
    theirs = optimize.minimize_scalar(
        lambda t: mean_nll(log_probs, labels, t), bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}
    ).x
    assert found == pytest.approx(theirs, rel=1e-5)
    grid = min(mean_nll(log_probs, labels, t) for t in np.geomspace(0.05, 20, 1500))
    assert mean_nll(log_probs, labels, found) <= grid
    assert found == pytest.approx(temperature, rel=0.1)


def test_the_slope_is_zero_at_the_fit() -> None:
    """The derivative of the NLL with respect to the temperature vanishes, by central differences."""
    log_probs, labels = drawn(1.7)
    t = fit_temperature(log_probs, labels)
    slope = (mean_nll(log_probs, labels, t + 1e-4) - mean_nll(log_probs, labels, t - 1e-4)) / 2e-4
    assert abs(slope) < 1e-8


def test_all_right_says_nothing_of_certainty() -> None:
    """Where every example is right, sharper is always better and there is no optimum: the temperature stays at 1."""
    log_probs, _ = drawn(1.0)
    labels = log_probs.argmax(axis=1)
    assert fit_temperature(log_probs, labels) == 1.0
    labels[0] = log_probs[0].argmin()
    assert T_MIN <= fit_temperature(log_probs, labels) != 1.0


def test_worse_than_chance_gives_the_upper_end() -> None:
    """Where every example is as wrong as can be, softer is always better: the upper bound."""
    log_probs, _ = drawn(1.0)
    assert fit_temperature(log_probs, log_probs.argmin(axis=1)) == T_MAX


def test_uniform_predictions_are_left_without_a_crash() -> None:
    """No temperature changes a uniform prediction: the fit stays in its range and the NLL is log C."""
    log_probs, labels = np.full((10, 4), -np.log(4)), np.arange(10) % 4
    t = fit_temperature(log_probs, labels)
    assert T_MIN <= t <= T_MAX
    np.testing.assert_allclose(calibrated_nll(log_probs, labels, temperature=t), np.log(4))


def test_one_example_is_enough() -> None:
    """A single example gives a temperature in the range."""
    assert T_MIN <= fit_temperature(np.log([[0.2, 0.8]]), np.array([0])) <= T_MAX


def test_large_logits_are_scaled_back() -> None:
    """Large logits are scaled back: the fit of 50 * l is 50 times the fit of l; beyond the range it is the bound."""
    log_probs, labels = drawn(1.0)
    assert fit_temperature(50 * log_probs, labels) == pytest.approx(50 * fit_temperature(log_probs, labels), rel=1e-6)
    assert fit_temperature(1e4 * log_probs, labels) == T_MAX


def test_order_of_examples_does_not_matter() -> None:
    """Shuffled examples have the same temperature."""
    log_probs, labels = drawn(1.5)
    order = np.random.default_rng(0).permutation(len(labels))
    assert fit_temperature(log_probs[order], labels[order]) == pytest.approx(fit_temperature(log_probs, labels))


def test_apply_is_scipy_softmax_and_keeps_the_order() -> None:
    """softmax(log_probs / T) by SciPy; the predicted class stays."""
    log_probs, _ = drawn(1.0)
    found = apply_temperature(log_probs, 3.0)
    np.testing.assert_allclose(found, special.log_softmax(log_probs / 3.0, axis=1), atol=1e-12)
    np.testing.assert_array_equal(found.argmax(1), log_probs.argmax(1))


def test_temperature_one_changes_nothing() -> None:
    """T = 1 returns the log-probabilities."""
    log_probs, _ = drawn(1.0)
    np.testing.assert_allclose(apply_temperature(log_probs, 1.0), log_probs, atol=1e-13)


def test_example_nll_is_that_of_the_applied_temperature() -> None:
    """Blocks change nothing: the NLL of every example is that of the whole array after temperature."""
    log_probs, labels = drawn(1.0, examples=50_000)
    expected = -apply_temperature(log_probs, 1.3)[np.arange(len(labels)), labels]
    np.testing.assert_allclose(calibrated_nll(log_probs, labels, temperature=1.3), expected, atol=1e-13)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_is_above_zero(temperature: float) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="above zero"):
        apply_temperature(np.log([[0.5, 0.5]]), temperature)


def derivatives_of(log_probs: np.ndarray, labels: np.ndarray):  # type: ignore[no-untyped-def]
    """The mean NLL of policies `[P, N, C]` at b, its slope and its curvature, by their definitions with SciPy."""

    def found(which: np.ndarray, b: np.ndarray) -> np.ndarray:
        scaled = b[:, None, None] * log_probs[which]
        probs, chosen = special.softmax(scaled, axis=2), np.arange(len(labels))
        mean = (probs * log_probs[which]).sum(axis=2)
        square = (probs * log_probs[which] ** 2).sum(axis=2)
        nll = -special.log_softmax(scaled, axis=2)[:, chosen, labels]
        parts = (nll, mean - log_probs[which][:, chosen, labels], square - mean**2)
        return np.stack([part.mean(axis=1) for part in parts])

    return found


@pytest.mark.parametrize("start", [0.01, 1.0, 3.0, 100.0])
def test_newton_for_many_agrees_with_each_by_itself(start: float) -> None:
    """Temperatures of many policies at once are those of `fit_temperature`, from any start, both ends included."""
    base, labels = drawn(1.3, examples=400)
    right = base.argmax(axis=1)
    log_probs = np.stack([0.02 * base, 0.3 * base, base, 4 * base, 60 * base, 200 * base, -base])
    labels[:200] = right[:200]
    found, nll = newton_temperatures(derivatives_of(log_probs, labels), start=np.full(7, start))
    expected = [fit_temperature(values, labels) for values in log_probs]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert expected[-2:] == [T_MAX, T_MAX]
    for place, values in enumerate(log_probs):
        assert nll[place] == pytest.approx(mean_nll(values, labels, expected[place]), rel=1e-9)


def test_newton_at_the_sharp_end_and_where_the_nll_is_flat() -> None:
    """The lower end where sharper never stops helping; the upper end where no temperature changes anything."""
    base, _ = drawn(1.0, examples=50)
    log_probs = np.stack([0.001 * base, np.full_like(base, -np.log(6))])
    found, nll = newton_temperatures(derivatives_of(log_probs, base.argmax(axis=1)), start=np.ones(2))
    np.testing.assert_allclose(found, [T_MIN, T_MAX])
    assert nll[1] == pytest.approx(np.log(6))


def test_newton_asks_only_for_what_is_left() -> None:
    """Policies that are done are not asked for again, and none needs many steps."""
    base, labels = drawn(1.3, examples=400)
    log_probs, asked = np.stack([base, 0.1 * base]), list[int]()
    derivatives = derivatives_of(log_probs, labels)

    def counted(which: np.ndarray, b: np.ndarray) -> np.ndarray:
        asked.append(len(which))
        found: np.ndarray = derivatives(which, b)
        return found

    newton_temperatures(counted, start=np.array([fit_temperature(base, labels), 1.0]))
    assert asked[0] == 2
    assert asked[1:] == [1] * len(asked[1:])
    assert 2 < len(asked) < 12


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many examples are worked on at once, the fit is the same."""
    log_probs, labels = drawn(1.7, examples=300)
    whole = fit_temperature(log_probs, labels)
    nll = calibrated_nll(log_probs, labels, temperature=2.0)
    monkeypatch.setattr(calibration, "_BLOCK", 50)
    assert fit_temperature(log_probs, labels) == pytest.approx(whole, rel=1e-9)
    np.testing.assert_array_equal(calibrated_nll(log_probs, labels, temperature=2.0), nll)
    assert fit_temperature(log_probs, log_probs.argmax(axis=1)) == 1.0


def test_confidence_after_temperature_is_the_largest_probability() -> None:
    """By SciPy's softmax, over several blocks."""
    log_probs, labels = drawn(1.5, examples=100_000)
    nll, confidence = calibrated_scores(log_probs, labels, temperature=1.7)
    probs = special.softmax(log_probs / 1.7, axis=1)
    np.testing.assert_allclose(confidence, probs.max(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(nll, calibrated_nll(log_probs, labels, temperature=1.7))
