"""ClassTTA and the published choice: the original code's numbers, optimality, SciPy as witness."""

from pathlib import Path

import numpy as np
import pytest
from scipy import special

from harness.policies.augtta import AugTTA
from harness.policies.classtta import AugOrClassTTA, ClassTTA, ClassWeights, guard, held_out, published
from harness.policies.logit_weights import Method
from harness.policies.logits import ViewLogits

GOLDEN = np.load(Path(__file__).parent / "golden" / "augtta_classtta.npz")
METHODS: tuple[Method, ...] = ("converged", "published")


def golden(name: str) -> tuple[ViewLogits, np.ndarray]:
    """Logits and labels that the original code was run on."""
    return ViewLogits.of(GOLDEN[f"{name}_logits8"].astype(np.float32) / 8), GOLDEN[f"{name}_labels"].astype(np.int64)


def made_up(views: int, examples: int, classes: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits `[V, N, C]` float32 of views that agree in part, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=examples)
    shared = 3 * np.eye(classes)[labels] + 1.6 * rng.standard_normal((examples, classes))
    noise = np.linspace(0.5, 2.0, views)[:, None, None] * rng.standard_normal((views, examples, classes))
    return (shared + noise).astype(np.float32), labels


def expert_views(examples: int) -> tuple[np.ndarray, np.ndarray]:
    """Two views of three classes, each of which tells its own classes apart and is noise on the others."""
    rng = np.random.default_rng(4)
    labels = rng.integers(3, size=examples)
    logits = 4 * rng.standard_normal((2, examples, 3))
    truth = 4.0 * np.eye(3)[labels]
    logits[0, :, 0] = truth[:, 0]
    logits[1, :, 1:] = truth[:, 1:]
    return logits.astype(np.float32), labels


def objective(weights: np.ndarray, logits: np.ndarray, labels: np.ndarray, near: np.ndarray, pull: float) -> float:
    """The penalised mean NLL, by SciPy."""
    scores = np.einsum("vc,vnc->nc", weights, logits.astype(np.float64))
    nll = -special.log_softmax(scores, axis=1)[np.arange(len(labels)), labels].mean()
    return float(nll + 1e-4 / 2 * (weights**2).sum() + pull / 2 * ((weights - near) ** 2).sum())


@pytest.mark.parametrize("name", ["full", "batches"])
@pytest.mark.parametrize("epochs", [1, 10, 30])
def test_published_theta_is_the_original_codes(name: str, epochs: int) -> None:
    """Theta after 1, 10 and all 30 epochs equals the original's (float32) to 1e-5, in one batch and in three."""
    found = published(*golden(name), epochs=epochs)
    np.testing.assert_allclose(found, GOLDEN[f"{name}_classtta_{epochs}"], rtol=0, atol=1e-5)


def test_the_fit_applies_weights_by_view_and_class_without_normalising_them() -> None:
    """Logits 1, 0 and 0, 2 under weights (.5, 1) and (2, .25) are summed to .5 and .5, by hand."""
    fitted = ClassWeights(((0.5, 1.0), (2.0, 0.25)))
    found = fitted(np.array([[[1.0, 0.0]], [[0.0, 2.0]]], np.float32))
    np.testing.assert_allclose(np.exp(found), [[0.5, 0.5]], rtol=1e-14)
    assert ClassWeights(((0.5, 1.0), (0.0, 0.0))).passes(np.zeros((2, 3, 2))).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("shape", "guarded"), [((4, 60, 3), True), ((2, 300, 3), False)])
def test_converged_is_optimal(shape: tuple[int, int, int], guarded: bool) -> None:
    """No free weight has a slope above 1e-5, no weight at zero wants to grow; by finite differences of SciPy's NLL."""
    logits, labels = made_up(*shape)
    views, examples, classes = shape
    weights = np.array(ClassTTA().fit(ViewLogits.of(logits), labels).weights)
    near = np.repeat(np.array(AugTTA().fit(ViewLogits.of(logits), labels).weights)[:, None], classes, axis=1)
    pull = views**2 / examples if guarded else 0.0
    slope = np.empty_like(weights)
    for place in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[place] = 1e-5
        up, down = (objective(weights + sign * step, logits, labels, near, pull) for sign in (1, -1))
        slope[place] = (up - down) / 2e-5
    assert weights.min() >= 0
    assert np.abs(slope[weights > 0]).max() < 1e-5
    assert slope.min() > -1e-5


def test_the_guard_ends_at_twenty_examples_a_weight() -> None:
    """The pull is V^2 / N below 20 V C examples, and nothing from there on."""
    assert guard((4, 239, 3)) == 16 / 239
    assert guard((4, 240, 3)) == 0.0


def test_few_examples_stay_near_augtta_and_do_not_overfit() -> None:
    """With an example a weight, NLL on fresh examples is lower with the guard than for weights fitted without it."""
    logits, labels = made_up(10, 1100, 4, seed=3)
    few, fresh = ViewLogits.of(logits[:, :40]), logits[:, 40:]
    guarded = ClassTTA().fit(few, labels[:40])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.policies.classtta.FEW", 0)
        free = ClassTTA().fit(few, labels[:40])
    near = np.array(AugTTA().fit(few, labels[:40]).weights)[:, None]

    def away(fitted: ClassWeights) -> float:
        return float(np.abs(np.array(fitted.weights) - near).max())

    def nll(fitted: ClassWeights) -> float:
        return float(-fitted(fresh)[np.arange(1060), labels[40:]].mean())

    assert away(guarded) < away(free)
    assert nll(guarded) < nll(free)


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_from_memory_mapped_files_and_without_keeping_blocks(
    method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory-mapped views that are read again at each pass give the same bits as an array kept in memory."""
    logits, labels = made_up(4, 1200, 5)
    np.save(tmp_path / "logits.npy", logits)
    expected = ClassTTA(method).fit(ViewLogits.of(logits), labels)
    monkeypatch.setattr("harness.policies.logit_weights.KEPT_BYTES", 0)
    mapped = ViewLogits.of(np.load(tmp_path / "logits.npy", mmap_mode="r"))
    assert ClassTTA(method).fit(mapped, labels) == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4, 1e30])
def test_extreme_logits_give_finite_weights(method: Method, scale: float) -> None:
    """Whatever the size of the logits, weights and predictions are finite."""
    rng = np.random.default_rng(0)
    logits = (scale * rng.standard_normal((3, 40, 4))).astype(np.float32)
    fitted = ClassTTA(method).fit(ViewLogits.of(logits), rng.integers(4, size=40))
    assert np.isfinite(np.array(fitted.weights)).all()
    assert np.isfinite(fitted(logits)).all()


def test_an_example_alone_gives_the_bits_it_has_in_a_batch() -> None:
    """The result of an example depends on its own logits alone."""
    logits, labels = made_up(5, 64, 4)
    fitted = ClassTTA().fit(ViewLogits.of(logits), labels)
    alone = np.concatenate([fitted(logits[:, place : place + 1]) for place in range(64)])
    assert np.array_equal(alone, fitted(logits))


def test_the_choice_keeps_classtta_where_views_are_experts_for_classes() -> None:
    """Where each view serves its own classes, weights by class are more accurate, and they are kept."""
    logits, labels = expert_views(1500)
    fitted = AugOrClassTTA().fit(ViewLogits.of(logits), labels)
    assert fitted.kept == "classtta"
    assert fitted.accuracies[1] > fitted.accuracies[0] + 0.05


def test_the_choice_keeps_augtta_at_equal_accuracy() -> None:
    """Views that are always right leave both at accuracy 1, and AugTTA is kept."""
    labels = np.arange(60) % 3
    logits = np.repeat(8 * np.eye(3, dtype=np.float32)[labels][None], 2, axis=0)
    fitted = AugOrClassTTA().fit(ViewLogits.of(logits), labels)
    assert fitted.parameters()["kept"] == "augtta"
    assert fitted.parameters()["held_out_accuracy"] == {"augtta": 1.0, "classtta": 1.0}


@pytest.mark.parametrize("method", METHODS)
def test_the_choice_is_made_on_examples_that_neither_was_fitted_on(method: Method) -> None:
    """What is kept is the fit on four fifths, and the accuracies are those of both fits on the other fifth."""
    logits, labels = made_up(4, 203, 5)
    held = held_out(labels, seed=7)
    fits = [way.fit(ViewLogits.of(logits[:, ~held]), labels[~held]) for way in (AugTTA(method), ClassTTA(method))]
    right = [float((np.argmax(fit(logits[:, held]), axis=1) == labels[held]).mean()) for fit in fits]
    fitted = AugOrClassTTA(method, seed=7).fit(ViewLogits.of(logits), labels)
    assert fitted.accuracies == pytest.approx(tuple(right))
    assert fitted.fitted == fits[right[1] > right[0]]
    assert np.array_equal(fitted(logits), fitted.fitted(logits))


def test_a_fifth_is_held_out_of_every_class() -> None:
    """Of 10, 20 and 70 examples of three classes 2, 4 and 14 are held out; another seed holds out others."""
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [10, 20, 70]))
    held = held_out(labels, seed=0)
    assert np.bincount(labels[held]).tolist() == [2, 4, 14]
    assert np.array_equal(held, held_out(labels, seed=0))
    assert not np.array_equal(held, held_out(labels, seed=1))
