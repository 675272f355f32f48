"""Many weighted means at once: each equals the policy by itself, ties, extremes and temperatures included."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import optimize, special

from harness.calibration import T_MAX, calibrated_nll, fit_temperature
from harness.policies import odds
from harness.policies.linear import WeightedMeans, linear_nll, score_linear
from harness.policies.linear_temperatures import calibrate_linear, criterion_scores
from harness.policies.logits import ViewLogits
from harness.policies.weighted import Space

SPACES: tuple[Space, ...] = ("probs", "logits")


def drawn(views: int, examples: int, classes: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of views that are right more often than chance, and labels."""
    rng = np.random.default_rng(seed)
    base = 2 * rng.standard_normal((examples, classes))
    labels = (base + rng.gumbel(size=base.shape)).argmax(axis=1)
    return (1.5 * base + rng.standard_normal((views, examples, classes))).astype(np.float32), labels


def some_weights(policies: int, views: int, *, seed: int = 0, plain: bool = True) -> np.ndarray:
    """Means of random subsets, or weights of any sign that sum to one."""
    rng = np.random.default_rng(seed)
    if not plain:
        weights = rng.standard_normal((policies, views))
        weights[:, 0] += 1 - weights.sum(axis=1)
        return weights
    kept = rng.random((policies, views)) < 0.5
    kept[np.arange(policies), rng.integers(views, size=policies)] = True
    return kept / kept.sum(axis=1, keepdims=True)


def one_by_one(policies: WeightedMeans, logits: np.ndarray) -> Sequence[np.ndarray]:
    """Log-probabilities of each policy by itself."""
    return [policies.policy(place)(logits) for place in range(len(policies))]


def with_ties() -> tuple[np.ndarray, np.ndarray]:
    """Random logits among which are equal classes, equal logits, and views that are each other with classes swapped."""
    logits, labels = drawn(6, 400, 5)
    logits[:, :150] = np.round(logits[:, :150])
    logits[:, 150:170] = 0
    logits[:, 170:220, 3] = logits[:, 170:220, 1]
    logits[1::2, 220:300] = logits[::2, 220:300][..., [1, 0, 2, 3, 4]]
    labels[170:300] = np.arange(130) % 4
    return logits, labels


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("make", [with_ties, lambda: drawn(7, 300, 12, seed=1), lambda: drawn(3, 40, 2, seed=2)])
def test_each_policy_is_the_policy_by_itself(space: Space, make) -> None:  # type: ignore[no-untyped-def]
    """`correct` equals the argmax of `WeightedMean` exactly, ties included; the NLL agrees within 1e-5."""
    logits, labels = make()
    policies = WeightedMeans(space, some_weights(200, len(logits)))
    found = score_linear(policies, ViewLogits.of(logits), labels=labels)
    for place, log_probs in enumerate(one_by_one(policies, logits)):
        np.testing.assert_array_equal(found.correct[place], log_probs.argmax(axis=1) == labels)
        np.testing.assert_allclose(found.nll[place], -log_probs[np.arange(len(labels)), labels], atol=1e-5)
    assert (found.correct.dtype, found.nll.dtype) == (np.bool_, np.float32)


def test_the_first_class_wins_a_tie() -> None:
    """By hand: two views that disagree symmetrically tie, and the first class is the prediction."""
    logits = np.array([[[2.0, 0.0, -9.0]], [[0.0, 2.0, -9.0]]], np.float32).repeat(3, axis=1)
    for space in SPACES:
        policies = WeightedMeans(space, np.array([[0.5, 0.5], [0.0, 1.0]]))
        found = score_linear(policies, ViewLogits.of(logits), labels=np.array([0, 1, 2]))
        assert found.correct.tolist() == [[True, False, False], [False, True, False]]


def test_negative_weights_of_logits() -> None:
    """Weights of logits may be negative."""
    logits, labels = drawn(5, 200, 4)
    policies = WeightedMeans("logits", some_weights(50, 5, plain=False))
    found = score_linear(policies, ViewLogits.of(logits), labels=labels)
    for place, log_probs in enumerate(one_by_one(policies, logits)):
        np.testing.assert_array_equal(found.correct[place], log_probs.argmax(axis=1) == labels)
        expected = -log_probs[np.arange(len(labels)), labels]
        np.testing.assert_allclose(found.nll[place], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("factor", [30, 1000])
def test_nothing_underflows(space: Space, factor: float) -> None:
    """Views whose probabilities are far below the smallest float32, or float64, keep their NLL to one part in 10^5."""
    logits, labels = drawn(5, 60, 4)
    logits *= np.float32(factor)
    policies = WeightedMeans(space, some_weights(40, 5))
    found = score_linear(policies, ViewLogits.of(logits), labels=labels)
    for place, log_probs in enumerate(one_by_one(policies, logits)):
        np.testing.assert_array_equal(found.correct[place], log_probs.argmax(axis=1) == labels)
        expected = -log_probs[np.arange(len(labels)), labels]
        np.testing.assert_allclose(found.nll[place], expected, rtol=1e-5, atol=2e-5)
    assert found.nll.max() > 40 * factor / 30


@pytest.mark.parametrize("space", SPACES)
def test_blocks_change_nothing(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """However policies and examples are cut into chunks, the results are the same."""
    logits, labels = with_ties()
    policies, views = WeightedMeans(space, some_weights(30, 6)), ViewLogits.of(logits)
    whole, temperatures = score_linear(policies, views, labels=labels), calibrate_linear(policies, views, labels=labels)
    monkeypatch.setattr(odds, "_CHUNK", 1 << 9)
    monkeypatch.setattr(odds, "_POLICIES", 7)
    cut = score_linear(policies, views, labels=labels)
    np.testing.assert_array_equal(cut.correct, whole.correct)
    np.testing.assert_allclose(cut.nll, whole.nll, atol=2e-6)
    again = calibrate_linear(policies, views, labels=labels)
    np.testing.assert_allclose(again.temperatures, temperatures.temperatures, rtol=1e-5)


def test_rows_and_views_of_a_restriction() -> None:
    """Examples in another order and chosen views are those of the arrays taken apart by hand."""
    logits, labels = drawn(5, 90, 4)
    rows = np.random.default_rng(0).permutation(90)[:40]
    policies = WeightedMeans("probs", some_weights(20, 3))
    found = score_linear(policies, ViewLogits.of(logits).take(rows).select([4, 0, 2]), labels=labels[rows])
    apart = score_linear(policies, ViewLogits.of(logits[[4, 0, 2]][:, rows]), labels=labels[rows])
    np.testing.assert_array_equal(found.nll, apart.nll)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("examples", [70, 3000])
def test_temperatures_are_those_of_each_policy(space: Space, examples: int) -> None:
    """Newton for all at once agrees with Brent's method for each within 1e-4, and with the NLL it leads to."""
    logits, labels = drawn(6, examples, 5)
    policies, views = WeightedMeans(space, some_weights(25, 6)), ViewLogits.of(logits)
    found = calibrate_linear(policies, views, labels=labels)
    nll = linear_nll(policies, views, labels=labels, temperatures=found.temperatures)
    for place, log_probs in enumerate(one_by_one(policies, logits)):
        temperature = fit_temperature(log_probs, labels)
        assert found.temperatures[place] == pytest.approx(temperature, abs=1e-4)
        expected = calibrated_nll(log_probs, labels, temperature=temperature)
        np.testing.assert_allclose(nll[place], expected, atol=2e-4)
        assert found.nll[place] == pytest.approx(expected.mean(), abs=1e-6)


def test_scipy_agrees_on_a_temperature() -> None:
    """The temperature of a mean of probabilities is SciPy's bounded minimum of the NLL."""
    logits, labels = drawn(4, 500, 6)
    policies = WeightedMeans("probs", np.full((1, 4), 0.25))
    (found,) = calibrate_linear(policies, ViewLogits.of(logits), labels=labels).temperatures
    log_mean = np.log(special.softmax(logits.astype(np.float64), axis=2).mean(axis=0))

    def nll(temperature: float) -> float:
        return -float(special.log_softmax(log_mean / temperature, axis=1)[np.arange(500), labels].mean())

    theirs = optimize.minimize_scalar(nll, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-9}).x
    assert found == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_special_temperatures(space: Space) -> None:
    """All right and strictly so: 1. All wrong: the upper end. No view tells classes apart: as `fit_temperature`."""
    logits, _ = drawn(3, 300, 4)
    logits[1:] = logits[0]
    policies, views = WeightedMeans(space, some_weights(5, 3)), ViewLogits.of(logits)
    right = logits[0].argmax(axis=1)
    assert (calibrate_linear(policies, views, labels=right).temperatures == 1).all()
    tied = logits.copy()
    tied[:, 0, :] = 0
    found = calibrate_linear(policies, ViewLogits.of(tied), labels=np.r_[0, right[1:]]).temperatures
    assert found == pytest.approx(fit_temperature(policies.policy(0)(tied), np.r_[0, right[1:]]), rel=1e-4)
    assert (found < 1).all()
    wrong = logits[0].argmin(axis=1)
    np.testing.assert_allclose(calibrate_linear(policies, views, labels=wrong).temperatures, T_MAX)
    flat = calibrate_linear(policies, ViewLogits.of(np.zeros_like(logits)), labels=right)
    np.testing.assert_allclose(flat.temperatures, fit_temperature(np.full((300, 4), np.log(0.25)), right))
    np.testing.assert_allclose(flat.nll, np.log(4), rtol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_near_ties_are_decided_in_float64(space: Space) -> None:
    """Logits that differ in the last bit of float32 are told apart: labels a bit above are right, strictly first."""
    rng = np.random.default_rng(0)
    logits = rng.uniform(0.5, 1, (4, 300, 1)).astype(np.float32).repeat(3, axis=2)
    labels = rng.integers(3, size=300)
    logits[:, np.arange(300), labels] = np.nextafter(logits[:, :, 0], np.float32(2))
    policies, views = WeightedMeans(space, some_weights(30, 4)), ViewLogits.of(logits)
    assert score_linear(policies, views, labels=labels).correct.all()
    assert (calibrate_linear(policies, views, labels=labels).temperatures == 1).all()
    logits[:, 7, (labels[7] + 1) % 3] = logits[:, 7, labels[7]]
    tied = calibrate_linear(policies, ViewLogits.of(logits), labels=labels).temperatures
    assert (tied != 1).all()


def test_the_start_decides_about_time_only() -> None:
    """From any start the temperatures are the same within 1e-4."""
    logits, labels = drawn(4, 400, 3)
    policies, views = WeightedMeans("logits", some_weights(12, 4)), ViewLogits.of(logits)
    expected = calibrate_linear(policies, views, labels=labels).temperatures
    for start in (0.01, 0.3, 7.0, 100.0):
        found = calibrate_linear(policies, views, labels=labels, start=np.full(12, start)).temperatures
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_same_bits_each_time() -> None:
    """The same arguments give the same result, bit for bit."""
    logits, labels = drawn(9, 700, 5)
    policies, views = WeightedMeans("probs", some_weights(150, 9)), ViewLogits.of(logits)
    one, other = (calibrate_linear(policies, views, labels=labels) for _ in range(2))
    np.testing.assert_array_equal(one.temperatures, other.temperatures)
    np.testing.assert_array_equal(one.nll, other.nll)


def test_scores_by_criterion() -> None:
    """Larger is better for each criterion: accuracy, minus the NLL, minus the NLL after the temperature."""
    logits, labels = drawn(4, 300, 3)
    policies, views = WeightedMeans("probs", np.eye(4)), ViewLogits.of(logits)
    log_probs = special.log_softmax(logits.astype(np.float64), axis=2)
    of_label = log_probs[:, np.arange(300), labels].mean(axis=1)
    accuracy = (logits.argmax(axis=2) == labels).mean(axis=1)
    np.testing.assert_allclose(criterion_scores(policies, views, labels=labels, criterion="nll"), of_label, atol=1e-6)
    np.testing.assert_allclose(criterion_scores(policies, views, labels=labels, criterion="accuracy"), accuracy)
    calibrated = criterion_scores(policies, views, labels=labels, criterion="nll_calibrated")
    assert ((of_label <= calibrated) & (calibrated < 0)).all()


def test_wrong_weights_are_refused() -> None:
    """Rows that do not sum to one, negative weights of probabilities, and a missing axis."""
    with pytest.raises(ValueError, match="sum to one"):
        WeightedMeans("probs", np.array([[0.5, 0.4]]))
    with pytest.raises(ValueError, match="sum to one"):
        WeightedMeans("logits", np.array([0.5, 0.5]))
    with pytest.raises(ValueError, match="not be negative"):
        WeightedMeans("probs", np.array([[1.5, -0.5]]))
    assert len(WeightedMeans("logits", np.array([[1.5, -0.5]]))) == 1
