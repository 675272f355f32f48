"""AugTTA: the original code's numbers, optimality, SciPy as witness."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special
from scipy.optimize import minimize

from harness.policies import augtta
from harness.policies.augtta import AugTTA
from harness.policies.logit_weights import Method
from harness.policies.logits import ViewLogits

GOLDEN = np.load(Path(__file__).parent / "golden" / "augtta_classtta.npz")
METHODS: tuple[Method, ...] = ("converged", "published")


def golden(name: str) -> tuple[ViewLogits, np.ndarray]:
    """Logits and labels that the original code was run on."""
    return ViewLogits.of(GOLDEN[f"{name}_logits8"].astype(np.float32) / 8), GOLDEN[f"{name}_labels"].astype(np.int64)


def made_up(views: int, examples: int, classes: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[V, N, C]` float32 of views that agree in part, the later the noisier, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=examples)
    shared = 3 * np.eye(classes)[labels] + 1.6 * rng.standard_normal((examples, classes))
    noise = np.linspace(0.5, 2.0, views)[:, None, None] * rng.standard_normal((views, examples, classes))
    return (shared + noise).astype(np.float32), labels


def mean_nll(weights: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> float:
    """The mean NLL of the weighted sum of logits, by SciPy."""
    scores = np.tensordot(weights, logits.astype(np.float64), axes=1)
    return float(-special.log_softmax(scores, axis=1)[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("name", ["full", "batches"])
@pytest.mark.parametrize("epochs", [1, 10, 20])
def test_published_theta_is_the_original_codes(name: str, epochs: int) -> None:
    """Theta after 1, 10 and all 20 epochs equals the original's (float32) to 1e-5, in one batch and in three."""
    found = augtta.published(*golden(name), epochs=epochs)
    np.testing.assert_allclose(found, GOLDEN[f"{name}_augtta_{epochs}"], rtol=0, atol=1e-5)


def test_published_weights_are_theta_divided_by_its_sum() -> None:
    """The fit after 20 epochs is the original's theta over its sum; a view cut at zero costs no pass."""
    logits, labels = golden("full")
    fitted = AugTTA("published").fit(logits, labels)
    theta = GOLDEN["full_augtta_20"]
    np.testing.assert_allclose(fitted.weights, theta / theta.sum(), atol=1e-5)
    assert fitted.weights[2:] == (0.0, 0.0, 0.0)
    assert fitted.passes(logits.stacked()).tolist() == [2] * 60


@pytest.mark.parametrize("shape", [(2, 50, 3), (7, 300, 4), (20, 400, 10)])
def test_converged_is_optimal(shape: tuple[int, int, int]) -> None:
    """The duality gap, with slopes by finite differences of SciPy's NLL, is at most 1e-6 nats."""
    logits, labels = made_up(*shape)
    weights = np.array(AugTTA().fit(ViewLogits.of(logits), labels).weights)
    step = 1e-6
    slope = [
        (mean_nll(weights + step * axis, logits, labels) - mean_nll(weights - step * axis, logits, labels)) / (2 * step)
        for axis in np.eye(len(weights))
    ]
    assert weights.min() >= 0
    assert weights @ slope - min(slope) <= 1e-6


def test_converged_agrees_with_scipy() -> None:
    """SLSQP on the same problem comes to the same weights within 1e-4, and to no lower NLL than 1e-9 below ours."""
    logits, labels = made_up(5, 200, 4)
    found = np.array(AugTTA().fit(ViewLogits.of(logits), labels).weights)
    witness = minimize(
        mean_nll,
        np.full(5, 0.2),
        args=(logits, labels),
        method="SLSQP",
        bounds=[(0, 1)] * 5,
        constraints=[{"type": "eq", "fun": lambda weights: weights.sum() - 1}],
        options={"ftol": 1e-13},
    )
    np.testing.assert_allclose(found, witness.x, atol=1e-4)
    assert mean_nll(found, logits, labels) <= witness.fun + 1e-9


def test_converged_is_no_worse_than_published_on_what_it_was_fitted_on() -> None:
    """The minimum of the NLL is below what 20 epochs of SGD come to, and below equal weights."""
    logits, labels = golden("full")
    nll = {
        way: mean_nll(np.array(AugTTA(way).fit(logits, labels).weights), logits.stacked(), labels) for way in METHODS
    }
    assert nll["converged"] <= nll["published"] < mean_nll(np.full(5, 0.2), logits.stacked(), labels)


def test_duplicated_views_share_their_weight_equally() -> None:
    """Where two views are the same, so are their weights, and together they weigh what one would."""
    logits, labels = made_up(3, 200, 4)
    once = AugTTA().fit(ViewLogits.of(logits), labels).weights
    twice = AugTTA().fit(ViewLogits.of(logits[[0, 0, 1, 2]]), labels).weights
    assert twice[0] == pytest.approx(twice[1], abs=1e-6)
    np.testing.assert_allclose([twice[0] + twice[1], *twice[2:]], once, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_from_memory_mapped_files_and_rows(method: Method, tmp_path: Path) -> None:
    """Memory-mapped views, or rows picked out of longer ones, give the same bits as an array; so does a second call."""
    logits, labels = made_up(4, 120, 5)
    rng = np.random.default_rng(1)
    rows = rng.permutation(200)[:120]
    views = []
    for place, view in enumerate(logits):
        longer = rng.standard_normal((200, 5)).astype(np.float32)
        longer[rows] = view
        np.save(tmp_path / f"{place}.npy", longer)
        views.append(np.load(tmp_path / f"{place}.npy", mmap_mode="r"))
    expected = AugTTA(method).fit(ViewLogits.of(logits), labels)
    assert AugTTA(method).fit(ViewLogits.of(logits), labels) == expected
    assert AugTTA(method).fit(ViewLogits(tuple(views), rows), labels) == expected


@pytest.mark.parametrize("method", METHODS)
def test_logits_too_large_to_keep_give_the_same_bits(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks read again at each pass give what blocks kept in memory give."""
    logits, labels = golden("batches")
    expected = AugTTA(method).fit(logits, labels)
    monkeypatch.setattr("harness.policies.logit_weights.KEPT_BYTES", 0)
    assert AugTTA(method).fit(logits, labels) == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e30])
def test_extreme_logits_give_finite_weights(method: Method, scale: float) -> None:
    """Whatever the size of the logits, weights sum to one and predictions are finite."""
    rng = np.random.default_rng(0)
    logits = (scale * rng.standard_normal((3, 40, 4))).astype(np.float32)
    fitted = AugTTA(method).fit(ViewLogits.of(logits), rng.integers(4, size=40))
    assert sum(fitted.weights) == pytest.approx(1)
    assert np.isfinite(fitted(logits)).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_single_view_has_all_the_weight(method: Method) -> None:
    """One view weighs one."""
    logits, labels = made_up(1, 20, 3)
    assert AugTTA(method).fit(ViewLogits.of(logits), labels).weights == (1.0,)
