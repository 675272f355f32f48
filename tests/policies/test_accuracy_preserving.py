"""M-ATTA and V-ATTA: the original code's numbers, and the plain view's class that never changes."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special

from harness.errors import ConfigError
from harness.logspace import log_softmax
from harness.policies import accuracy_preserving
from harness.policies.accuracy_preserving import MATTA, VATTA, AnchoredMixture, anchored_mixture, published_descent
from harness.policies.logits import ViewLogits

GOLDEN = np.load(Path(__file__).parent / "golden" / "mv_atta.npz")
LOGITS = GOLDEN["logits8"].astype(np.float32) / 8
LABELS = GOLDEN["labels"].astype(np.int64)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten epochs instead of 500."""
    monkeypatch.setattr(accuracy_preserving, "EPOCHS", 10)


def batches(model: str, steps: int) -> list[np.ndarray]:
    """The first batches, in order, that the original code was trained on; each a whole epoch to us."""
    return list(GOLDEN[f"{model}_orders"].astype(np.int64).reshape(-1, int(GOLDEN["batch"]))[:steps])


def random_mixture(rng: np.random.Generator, views: int, classes: int) -> AnchoredMixture:
    """A mixture with made-up weights, some of them against the views."""
    return AnchoredMixture(rng.standard_normal((classes, views - 1)), float(rng.random()))


@pytest.mark.parametrize("model", ["m", "v"])
@pytest.mark.parametrize("steps", [1, 10, 300])
def test_published_parameters_are_the_original_codes(model: str, steps: int) -> None:
    """W and omega after 1, 10 and all 300 steps equal the original's (float32) to 1e-5."""
    weights, omega = published_descent(
        ViewLogits.of(LOGITS), LABELS, orders=batches(model, steps), by_class=model == "m", batch=20
    )
    np.testing.assert_allclose(weights, GOLDEN[f"{model}_W_{steps}"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(omega, GOLDEN[f"{model}_omega_{steps}"][0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", ["m", "v"])
def test_predictions_are_the_original_codes(model: str) -> None:
    """With the original's parameters, lowered omega included, probabilities are the original's to 1e-5."""
    weights = np.broadcast_to(GOLDEN[f"{model}_W_300"], (4, 4)).copy()
    found = AnchoredMixture(weights, float(GOLDEN[f"{model}_omega_300"][0]))(LOGITS)
    np.testing.assert_allclose(np.exp(found), GOLDEN[f"{model}_prediction"], rtol=0, atol=1e-5)


def test_omega_is_lowered_by_hundredths_until_the_plain_class_is_back() -> None:
    """Plain (.6, .4) and views (.05, .95): .6 - .55 w > .4 + .55 w first holds at w = .18; by hand .501 and .499."""
    plain, views = np.log([[0.6, 0.4]]), np.log([[0.05, 0.95]])
    for omega in (1.0, 0.5, 0.21):
        found, lowered = anchored_mixture(plain, views, omega=omega)
        assert lowered[0] == pytest.approx(0.18)
        np.testing.assert_allclose(np.exp(found), [[0.501, 0.499]], rtol=1e-12)


def test_omega_stays_where_the_class_is_the_same() -> None:
    """Where the mixture has the plain view's class already, omega is as learned: .7 (.6, .4) + .3 (.8, .2)."""
    found, lowered = anchored_mixture(np.log([[0.6, 0.4]]), np.log([[0.8, 0.2]]), omega=0.3)
    assert lowered.tolist() == [0.3]
    np.testing.assert_allclose(np.exp(found), [[0.66, 0.34]], rtol=1e-12)


def test_near_a_tie_the_result_is_the_plain_view_itself() -> None:
    """The paper says that the class never changes; its code leaves the last mixture tried, at omega .01, in force.

    Plain (.501, .499) and views (.01, .99): at omega .01 the plain class has .49609. Only omega 0 keeps it on top,
    where the code sets omega to zero but gives back the mixture it computed before.
    """
    plain = np.log([[0.501, 0.499]])
    found, lowered = anchored_mixture(plain, np.log([[0.01, 0.99]]), omega=1.0)
    assert lowered.tolist() == [0.0]
    assert np.array_equal(found, plain)


@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 10.0, 1e4, 1e30])
def test_the_class_never_changes(scale: float) -> None:
    """Whatever the weights, omega and logits, ties among them, the most probable class is the plain view's."""
    rng = np.random.default_rng(int(np.log10(scale) + 10))
    for _ in range(30):
        views, classes = int(rng.integers(2, 6)), int(rng.integers(2, 8))
        logits = (scale * rng.standard_normal((views, 200, classes))).astype(np.float32)
        logits[0, :50] = np.round(logits[0, :50] / scale) * np.float32(scale)
        found = random_mixture(rng, views, classes)(logits)
        assert np.isfinite(np.exp(found)).all()
        assert np.array_equal(found.argmax(axis=1), log_softmax(logits[0]).argmax(axis=1))
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-9)


def test_no_higher_omega_on_the_ladder_would_do() -> None:
    """The lowered omega is the first of omega, omega - .01, ... with the plain class on top, trying them one by one."""
    rng = np.random.default_rng(2)
    plain, views = (special.log_softmax(rng.standard_normal((500, 4)), axis=1) for _ in range(2))
    _, lowered = anchored_mixture(plain, views, omega=0.97)
    classes = plain.argmax(axis=1)
    for row in range(500):
        ladder = [omega for omega in 0.97 - 0.01 * np.arange(98) if omega >= 0.001] + [0.0]
        mixtures = [(1 - omega) * np.exp(plain[row]) + omega * np.exp(views[row]) for omega in ladder]
        first = next(omega for omega, probs in zip(ladder, mixtures, strict=True) if probs.argmax() == classes[row])
        assert lowered[row] == pytest.approx(first, abs=1e-12)


@pytest.mark.parametrize("way", [MATTA(), VATTA()])
@pytest.mark.usefixtures("short")
def test_fits_are_repeatable_and_from_memory_mapped_files(way: MATTA | VATTA, tmp_path: Path) -> None:
    """The same seed gives the same bits, memory-mapped or not; another seed another order and other bits."""
    np.save(tmp_path / "logits.npy", np.repeat(LOGITS, 10, axis=1))
    labels = np.repeat(LABELS, 10)
    mapped = ViewLogits.of(np.load(tmp_path / "logits.npy", mmap_mode="r"))
    first = way.fit(ViewLogits.of(np.repeat(LOGITS, 10, axis=1)), labels).parameters()
    assert way.fit(mapped, labels).parameters() == first
    assert type(way)(seed=1).fit(mapped, labels).parameters() != first


@pytest.mark.usefixtures("short")
def test_v_atta_has_one_weight_a_view_and_m_atta_one_a_view_and_class() -> None:
    """V-ATTA's rows are equal; M-ATTA's differ."""
    v, m = (np.array(way.fit(ViewLogits.of(LOGITS), LABELS).weights) for way in (VATTA(), MATTA()))
    assert v.shape == m.shape == (4, 4)
    assert (v == v[0]).all()
    assert not (m == m[0]).all()


@pytest.mark.parametrize("way", [MATTA(), VATTA()])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e30])
@pytest.mark.usefixtures("short")
def test_extreme_logits_give_finite_parameters(way: MATTA | VATTA, scale: float) -> None:
    """Whatever the size of the logits, W and omega are finite and omega is in [0, 1]."""
    rng = np.random.default_rng(0)
    logits = (scale * rng.standard_normal((3, 40, 4))).astype(np.float32)
    fitted = way.fit(ViewLogits.of(logits), rng.integers(4, size=40))
    assert np.isfinite(fitted.weights).all()
    assert 0 <= fitted.omega <= 1


@pytest.mark.usefixtures("short")
def test_training_lowers_the_nll() -> None:
    """After ten epochs the NLL on what was fitted on is below that of equal weights."""
    before = AnchoredMixture(np.full((4, 4), 0.25), 1.0)(LOGITS)
    after = MATTA().fit(ViewLogits.of(LOGITS), LABELS)(LOGITS)
    everyone = np.arange(60)
    assert -after[everyone, LABELS].mean() < -before[everyone, LABELS].mean()


@pytest.mark.parametrize("way", [MATTA(), VATTA()])
def test_one_view_is_refused(way: MATTA | VATTA) -> None:
    """There is nothing to mix identity with."""
    with pytest.raises(ConfigError, match="name at least one more"):
        way.fit(ViewLogits.of(LOGITS[:1]), LABELS)


def test_an_example_alone_gives_the_bits_it_has_in_a_batch() -> None:
    """The result of an example depends on its own logits alone, to the last bit."""
    fitted = random_mixture(np.random.default_rng(3), 5, 4)
    alone = np.concatenate([fitted(LOGITS[:, place : place + 1]) for place in range(60)])
    assert np.array_equal(alone, fitted(LOGITS))
