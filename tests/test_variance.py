"""Variance: statsmodels' ANOVA, SciPy's t intervals, and known components and means by simulation, as witnesses."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from harness.intervals import paired_intervals
from harness.variance import IMAGES_ONLY, TWO_WAY, two_way_interval, variance_ledger


def crossed(shape: tuple[int, int, int], sigma: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """Differences `[S, W, N]` of the crossed model, from standard deviations by effect: s, w, n, sw, sn, wn, e."""
    s, w, n = shape
    sizes = {"s": (s, 1, 1), "w": (1, w, 1), "n": (1, 1, n), "sw": (s, w, 1), "sn": (s, 1, n), "wn": (1, w, n)}
    total = 0.3 + sigma.get("e", 0.0) * rng.standard_normal(shape)
    return total + sum(sigma.get(name, 0.0) * rng.standard_normal(size) for name, size in sizes.items())


def anova(differences: np.ndarray, formula: str) -> pd.Series:
    """Mean squares by statsmodels, by effect."""
    index = np.indices(differences.shape).reshape(3, -1)
    frame = pd.DataFrame({"s": index[0], "w": index[1], "n": index[2], "d": differences.ravel()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a saturated fit has no residual: its F is 0 / 0
        table = anova_lm(ols(f"d ~ {formula}", frame).fit())
    return table["sum_sq"] / table["df"]


def test_three_way_components_are_those_of_an_anova() -> None:
    """All seven components follow from statsmodels' mean squares by the published equations."""
    d = crossed((3, 4, 5), dict.fromkeys(("s", "w", "n", "sw", "sn", "wn", "e"), 1.0), np.random.default_rng(6))
    ms = anova(d, "C(s)*C(w)*C(n)")
    sw, sn, wn = ms["C(s):C(w)"], ms["C(s):C(n)"], ms["C(w):C(n)"]
    swn = ms["C(s):C(w):C(n)"]
    expected = {
        "training_seed": (ms["C(s)"] - sw - sn + swn) / 20,
        "view_seed": (ms["C(w)"] - sw - wn + swn) / 15,
        "image": (ms["C(n)"] - sn - wn + swn) / 12,
        "training_seed x view_seed": (sw - swn) / 5,
        "training_seed x image": (sn - swn) / 4,
        "view_seed x image": (wn - swn) / 3,
        "residual": swn,
    }
    found = variance_ledger(d)
    assert found.components == pytest.approx({name: max(value, 0) for name, value in expected.items()}, abs=1e-12)
    assert set(found.clipped) == {name for name, value in expected.items() if value < 0}
    assert found.mean == pytest.approx(d.mean())


def test_two_way_components_are_those_of_an_anova() -> None:
    """Without random views: training seeds, images, and what is left of both."""
    d = crossed((4, 1, 9), {"s": 1.0, "n": 1.0, "e": 1.0}, np.random.default_rng(1))
    ms = anova(d, "C(s) + C(n)")
    found = variance_ledger(d)
    expected = {
        "training_seed": (ms["C(s)"] - ms["Residual"]) / 9,
        "image": (ms["C(n)"] - ms["Residual"]) / 4,
        "residual": ms["Residual"],
    }
    assert min(expected.values()) > 0
    assert found.components == pytest.approx(expected)
    parts = {"training_seed": 4, "image": 9, "residual": 36}
    assert found.contributions == pytest.approx({name: expected[name] / levels for name, levels in parts.items()})
    assert found.standard_error == pytest.approx(np.sqrt(sum(expected[n] / k for n, k in parts.items())))
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_one_training_has_the_standard_error_of_the_mean() -> None:
    """One training and no random views: the images' variance, s^2 over N."""
    d = np.random.default_rng(0).standard_normal((1, 1, 50))
    found = variance_ledger(d)
    assert found.components == pytest.approx({"image": d.var(ddof=1)})
    assert found.standard_error == pytest.approx(d.std(ddof=1) / np.sqrt(50))


def test_known_components_come_back() -> None:
    """The mean over 300 simulated studies of 4 x 5 x 40 is the truth within 4 standard errors; so is Var(mean)."""
    sigma = {"s": 1.0, "w": 0.8, "n": 2.0, "sw": 0.6, "sn": 1.0, "wn": 0.7, "e": 1.5}
    rng = np.random.default_rng(3)
    ledgers = [variance_ledger(crossed((4, 5, 40), sigma, rng)) for _ in range(300)]
    names = dict(zip(sigma, ledgers[0].components, strict=True))
    # Effects that are seldom cut off at zero; for the others cutting is a bias upwards.
    for short in ("n", "sn", "wn", "e"):
        found = np.array([ledger.components[names[short]] for ledger in ledgers])
        assert found.mean() == pytest.approx(sigma[short] ** 2, abs=4 * found.std() / np.sqrt(300))
    gains = np.array([ledger.mean for ledger in ledgers])
    predicted = np.mean([ledger.standard_error**2 for ledger in ledgers])
    assert gains.var(ddof=1) == pytest.approx(predicted, rel=0.3)


def test_what_is_lost_in_noise_is_zero_and_said() -> None:
    """Seeds that share the same mean exactly: their estimate is negative, set to zero, and named."""
    noise = np.random.default_rng(0).standard_normal((3, 1, 30))
    found = variance_ledger(noise - noise.mean(axis=2, keepdims=True))
    assert found.components["training_seed"] == 0.0
    assert "training_seed" in found.clipped


def test_nothing_varies() -> None:
    """The same gain everywhere: no variance, no share, nothing cut off."""
    found = variance_ledger(np.full((2, 2, 4), 0.5))
    assert set(found.components.values()) == {0.0}
    assert set(found.shares.values()) == {0.0}
    assert (found.mean, found.standard_error, found.clipped) == (0.5, 0.0, ())


def test_one_training_is_the_interval_of_images() -> None:
    """With one seed the interval is that of the paired bootstrap, and says that it is."""
    d = np.random.default_rng(0).standard_normal((1, 80))
    found = two_way_interval(d, resamples=200, seed=5, level=0.9)
    (images,) = paired_intervals(d.T, resamples=200, seed=5, level=0.9)
    assert (found.value, found.lower, found.upper) == pytest.approx((images.value, images.lower, images.upper))
    assert found.method == IMAGES_ONLY
    assert two_way_interval(np.zeros((2, 5)), resamples=3, seed=0, level=0.9).method == TWO_WAY


def test_the_interval_is_the_root_of_the_summed_squares() -> None:
    """Student's intervals of trainings and of images, from statsmodels' mean squares and SciPy's quantiles."""
    d = crossed((4, 1, 60), {"s": 0.3, "n": 1.0, "e": 1.5}, np.random.default_rng(2))
    ms = anova(d, "C(s) + C(n)")
    of_images = (ms["C(n)"] - ms["Residual"]) / 4 / 60
    assert of_images > 0
    half = np.hypot(
        stats.t.ppf(0.95, 3) * np.sqrt(ms["C(s)"] / 60 / 4),
        stats.t.ppf(0.95, 59) * np.sqrt(of_images),
    )
    found = two_way_interval(d[:, 0], resamples=1, seed=0, level=0.9)
    assert (found.value, found.lower, found.upper) == pytest.approx((d.mean(), d.mean() - half, d.mean() + half))


def test_trainings_that_agree_leave_the_interval_of_images() -> None:
    """Three trainings with the same differences: SciPy's t interval of the images' mean."""
    d = np.random.default_rng(4).standard_normal(40)
    found = two_way_interval(np.stack([d, d, d]), resamples=1, seed=0, level=0.95)
    expected = stats.ttest_1samp(d, 0).confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))


def test_images_that_agree_leave_the_interval_of_trainings() -> None:
    """Each training gains the same on all images: SciPy's t interval of the trainings' gains."""
    gains = np.array([1.0, 3.0, 2.5])
    found = two_way_interval(np.repeat(gains[:, None], 20, axis=1), resamples=1, seed=0, level=0.95)
    expected = stats.ttest_1samp(gains, 0).confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("trainings", "sd"), [(2, 0.3), (3, 0.0), (3, 0.05), (3, 0.3), (10, 0.3)])
def test_the_interval_covers_with_few_trainings(trainings: int, sd: float) -> None:
    """Of 1,000 simulated studies at least 95 % hold the truth, less what binomial chance does once in 1,000."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        d = crossed((trainings, 1, 200), {"s": sd, "n": 0.8, "e": 0.6}, rng)[:, 0]
        found = two_way_interval(d, resamples=1, seed=0, level=0.95)
        held += found.lower <= 0.3 <= found.upper
    assert held >= stats.binom.ppf(1e-3, 1000, 0.95)


@pytest.mark.parametrize("shape", [(5,), (0, 5), (2, 0), (1, 1)])
def test_wrong_differences_are_refused(shape: tuple[int, ...]) -> None:
    """No seeds, no images, or no axis of seeds: one line that says what was expected."""
    with pytest.raises(ValueError, match="expected"):
        two_way_interval(np.zeros(shape), resamples=3, seed=0, level=0.9)
    with pytest.raises(ValueError, match="expected"):
        variance_ledger(np.zeros(shape))
    with pytest.raises(ValueError, match="expected"):
        variance_ledger(np.zeros((1, 1, 1)))


def test_a_level_is_a_share() -> None:
    """Percent is refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        two_way_interval(np.zeros((2, 5)), resamples=3, seed=0, level=95)
