"""Aggregations as graphs, in every format, against their NumPy twins on made-up logits.

Both compute in double precision; what differs is the order of sums and the formula of a logarithm, so probabilities
agree to 1e-9. ONNX Runtime's exponential of a double is good to 1e-8 or so only.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tf2onnx

from harness.backend import keras, tf
from harness.errors import ModelError
from harness.graph.merging import merge
from harness.graph.skipping import Passes, skipping, skips
from harness.policies.accuracy_preserving import AnchoredMixture
from harness.policies.base import Fitted
from harness.policies.covariance import SignedMean
from harness.policies.learned_exit import FittedEarlyExit
from harness.policies.logits import ViewLogits
from harness.policies.registry import AGGREGATIONS, make_aggregation

CLOSE, CLOSE_IN_ONNX = 1e-9, 1e-7
# Views, examples and classes in equal number: an axis that is taken for another one would go unnoticed elsewhere.
V = N = C = 6
PARAMS: dict[str, list[dict[str, Any]]] = {
    "gps": [{"budget": 3}],
    "best_subset": [{"size": 2}],
    "power_mean_probs": [{"power": 2}, {"power": -0.5}, {"power": 1e-4}],
    "trimmed_mean_probs": [{"fraction": 0.2}],
    "anchor_probs": [{"beta": 0.25}, {"beta": 1}],
    "anchor_logits": [{"beta": 0}],
    "entropy_softmax_probs": [{"t": 0.2}],
    "confident_vote": [{"fraction": 0.1}, {"fraction": 0.5}],
    "selective": [{"share": 0.3, "uncertainty": one} for one in ("max_prob", "entropy", "margin")] + [{"share": 1}],
    "early_exit": [{"confidence": 0.6}],
    "loss_ridge": [{"k": 2}, {"k": V}],
    "covariance_weights": [{}, {"nonnegative": False}],
}


def made_up(seed: int, examples: int = N) -> np.ndarray:
    """Logits `[V, n, C]` float32, some of them equal, some views certain, some wildly so."""
    stream = np.random.default_rng(seed)
    found = stream.normal(size=(V, examples, C)) * np.array([0.1, 1, 1, 3, 10, 60])[:, None, None]
    found += 2 * (np.arange(examples)[:, None] % C == np.arange(C))
    found[:, :2] = np.round(found[:, :2])
    return np.asarray(found, np.float32)


@lru_cache(maxsize=1)
def fits() -> dict[str, Fitted]:
    """Every kind of aggregation, learned where it learns; mixtures that have to be lowered, weights below zero."""
    logits, labels = ViewLogits.of(made_up(0, 120)), np.arange(120) % C
    found = {}
    for kind in AGGREGATIONS:
        for place, params in enumerate(PARAMS.get(kind, [{}])):
            found[f"{kind}{place}"] = make_aggregation(kind, params).fit(logits, labels)
    stream = np.random.default_rng(7)
    for omega in (1.0, 0.73):
        found[f"mixture{omega}"] = AnchoredMixture(stream.normal(size=(C, V - 1)), omega)
    found["signed"] = SignedMean((1.5, -0.75, 0.0, 0.0, 0.25, 0.0))
    return {name: fitted.inner if isinstance(fitted, FittedEarlyExit) else fitted for name, fitted in found.items()}


def merging() -> dict[str, Callable[[Any], Any]]:
    """Those that need the same views of every image, as functions of logits `[n, V, C]` float64."""

    def run(fitted: Fitted) -> Callable[[Any], Any]:
        merged = merge(fitted, V)
        return lambda z: merged.run(keras.ops.stack([z[:, place] for place in merged.places], axis=0))

    return {name: run(fitted) for name, fitted in fits().items() if not skips(fitted)}


def skipped(asked: list[int] | None = None) -> dict[str, Callable[[Any], Any]]:
    """The others, likewise; `asked` is told how many examples each forward pass was asked for."""

    def one(z: Any, place: Any) -> Any:
        if asked is not None:
            asked.append(int(z.shape[0]))
        return tf.gather(z, place, axis=1)

    def several(z: Any, places: tuple[int, ...]) -> Any:
        return tf.stack([one(z, place) for place in places])

    passes = Passes(V, one, several)
    return {name: skipping(fitted, passes) for name, fitted in fits().items() if skips(fitted)}


def expected(logits: np.ndarray) -> dict[str, np.ndarray]:
    """Probabilities `[n, C]` of every fit, by NumPy."""
    return {name: np.exp(fitted(logits)) for name, fitted in fits().items()}


def check(found: dict[str, Any], logits: np.ndarray, tolerance: float = CLOSE) -> None:
    """Each one's log-probabilities are those of NumPy."""
    wanted = expected(logits)
    for name, log_probs in found.items():
        assert np.abs(np.exp(np.asarray(log_probs)) - wanted[name]).max() < tolerance, name


def as_input(logits: np.ndarray) -> np.ndarray:
    """`[V, n, C]` float32 as `[n, V, C]` float64."""
    return np.ascontiguousarray(logits.transpose(1, 0, 2), np.float64)


@pytest.mark.parametrize("seed", range(4))
def test_tensorflow_gives_the_numbers_of_numpy(seed: int) -> None:
    """Every kind, eagerly."""
    logits = made_up(seed + 1, 40)
    z = tf.constant(as_input(logits))
    check({name: run(z) for name, run in {**merging(), **skipped()}.items()}, logits)


def test_only_passes_that_are_needed_are_run() -> None:
    """The adaptive ones ask for as many forward passes as their NumPy twins say that they do."""
    logits = made_up(5, 40)
    counted = {}
    for name in skipped():
        asked: list[int] = []
        skipped(asked)[name](tf.constant(as_input(logits)))
        counted[name] = sum(asked)
    wanted = {name: int(fitted.passes(logits).sum()) for name, fitted in fits().items() if name in counted}
    # Loss-ridge looks at the plain view of every image, whether it is chosen or not.
    assert counted == wanted
    assert min(counted.values()) < 40 * V


def test_a_keras_file_gives_the_numbers_of_numpy(tmp_path: Path) -> None:
    """All kinds that need the same views of every image, in one Functional model, saved and loaded in safe mode."""
    z = keras.Input((V, C), dtype="float64")
    outputs = {name: run(z) for name, run in merging().items()}
    keras.Model(z, outputs).save(tmp_path / "all.keras")
    loaded = keras.saving.load_model(tmp_path / "all.keras", safe_mode=True)
    for examples in (N, 1, 9):
        logits = made_up(examples, examples)
        check(loaded.predict_on_batch(as_input(logits)), logits)


@pytest.mark.parametrize("kinds", [merging, skipped])
def test_saved_model_and_onnx_give_the_numbers_of_numpy(kinds: Any, tmp_path: Path) -> None:
    """All kinds in one graph, loops and branches too, for batches of one and of many."""
    signature = [tf.TensorSpec([None, V, C], tf.float64, name="z")]
    functions = kinds()
    whole = tf.function(
        lambda z: {name: run(z) for name, run in functions.items()}, input_signature=signature, autograph=False
    )
    module = tf.Module()
    module.run = whole
    tf.saved_model.save(module, str(tmp_path / "all"))
    loaded = tf.saved_model.load(str(tmp_path / "all"))
    session = onnx_session(whole, signature)
    names = [value.name for value in session.get_outputs()]
    for examples in (N, 1, 9):
        logits = made_up(examples, examples)
        check(loaded.run(tf.constant(as_input(logits))), logits)
        check(dict(zip(names, session.run(names, {"z": as_input(logits)}), strict=True)), logits, CLOSE_IN_ONNX)


def onnx_session(function: Any, signature: Any) -> Any:
    """The function in ONNX Runtime."""
    from harness.export.onnx_file import OPSET, mend

    model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    mend(model.graph)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_what_has_no_graph_is_one_line() -> None:
    """An aggregation of another package is named, and where to look for others."""
    with pytest.raises(
        ModelError, match=r"^aggregation theirs cannot be put in a graph: .*`harness list aggregations`$"
    ):
        merge(type("Theirs", (), {"kind": "theirs"})(), V)
