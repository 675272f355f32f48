"""Aggregations: the logits of several views `[V, n, C]` to one prediction `[n, C]` in log space.

Let z be the logits, l = log_softmax(z) over classes, p = exp(l). Before its rows are normalised an aggregation gives

  mean_probs    mean over views of p               the average of the probabilities
  mean_logits   mean over views of z               the average of what the model puts out
  gmean_probs   exp(mean over views of l)          the geometric mean of the probabilities
  max_probs     max over views of p                the most confident view, class by class
  median_probs  median over views of p             class by class; the mean of the two middle ones for an even V
  vote          (votes + mean over views of p) / (V + 1)

Every step works on logarithms, in float64, so nothing underflows: the result is finite for every finite float32 logit.

- `mean_logits` and `gmean_probs` are one and the same distribution: l and z differ by a number per view and example,
  the average of these numbers is the same for all classes, and normalising removes it. Both names are kept since people
  ask for either; they agree within float rounding.
- With one view, all but `vote` give log_softmax(z).
- The order of the views changes nothing beyond float rounding.
- `vote` counts for each class the views whose largest logit it has (the first class where logits are equal), and adds
  one more vote that is shared out by `mean_probs`. As no class gets more than that one vote, the winner is always a
  class with the most votes; among equals the higher mean probability decides. The extra vote also keeps classes without
  votes above zero, so that the negative log-likelihood stays finite.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

import numpy as np

from harness.errors import ConfigError, unknown_name

Aggregation = Callable[[np.ndarray], np.ndarray]
"""Logits `[V, n, C]` float32 or float64 to log-probabilities `[n, C]` float64 whose exponentials sum to one."""

ENTRY_POINT_GROUP = "harness.aggregations"


def logsumexp(values: np.ndarray, *, axis: int) -> np.ndarray:
    """log(sum(exp(values))) along `axis`, which is kept with length one; exact for any finite float64."""
    largest = values.max(axis=axis, keepdims=True)
    shifted = np.exp(values - largest)
    total: np.ndarray = largest + np.log(shifted.sum(axis=axis, keepdims=True))
    return total


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities float64 of logits `[..., C]`, normalised over the last axis.

    The largest logit is taken off first, so that a small difference between large logits is kept.
    """
    shifted = np.asarray(logits, np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def mean_probs(logits: np.ndarray) -> np.ndarray:
    """log(1/V * sum over views of p): logits `[V, n, C]` to log-probabilities `[n, C]`."""
    mean: np.ndarray = logsumexp(log_softmax(logits), axis=0)[0] - np.log(len(logits))
    return mean


def mean_logits(logits: np.ndarray) -> np.ndarray:
    """log_softmax(1/V * sum over views of z): logits `[V, n, C]` to log-probabilities `[n, C]`."""
    return log_softmax(np.asarray(logits, np.float64).mean(axis=0))


def gmean_probs(logits: np.ndarray) -> np.ndarray:
    """log_softmax(1/V * sum over views of l): logits `[V, n, C]` to log-probabilities `[n, C]`."""
    return log_softmax(log_softmax(logits).mean(axis=0))


def max_probs(logits: np.ndarray) -> np.ndarray:
    """log_softmax(max over views of l): logits `[V, n, C]` to log-probabilities `[n, C]`."""
    return log_softmax(log_softmax(logits).max(axis=0))


def median_probs(logits: np.ndarray) -> np.ndarray:
    """log_softmax(log(median over views of p)): logits `[V, n, C]` to log-probabilities `[n, C]`.

    For an even V the median is the mean of the two middle probabilities (not of their logarithms).
    """
    ordered = np.sort(log_softmax(logits), axis=0)
    views = len(ordered)
    middle = np.logaddexp(ordered[(views - 1) // 2], ordered[views // 2])
    return log_softmax(middle)


def vote(logits: np.ndarray) -> np.ndarray:
    """log((votes + mean over views of p) / (V + 1)): logits `[V, n, C]` to log-probabilities `[n, C]`."""
    views, _, classes = logits.shape
    winners = np.argmax(logits, axis=-1)
    votes = (winners[..., None] == np.arange(classes)).sum(axis=0)
    with np.errstate(divide="ignore"):
        log_votes = np.log(votes.astype(np.float64))
    shared: np.ndarray = np.logaddexp(log_votes, mean_probs(logits)) - np.log(views + 1)
    return shared


AGGREGATIONS: dict[str, Aggregation] = {
    "mean_probs": mean_probs,
    "mean_logits": mean_logits,
    "gmean_probs": gmean_probs,
    "max_probs": max_probs,
    "median_probs": median_probs,
    "vote": vote,
}


def aggregation_names() -> tuple[str, ...]:
    """Our own names in the order of the table, then those that installed packages add, sorted."""
    added = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)} - AGGREGATIONS.keys()
    return (*AGGREGATIONS, *sorted(added))


def aggregation(name: str) -> Aggregation:
    """The aggregation called `name`: ours, or one that an installed package adds under `harness.aggregations`.

    A name of ours cannot be replaced from outside.

    Raises:
        ConfigError: for an unknown name (with the nearest names), or one whose package cannot be loaded.
    """
    if name in AGGREGATIONS:
        return AGGREGATIONS[name]
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return _load(name, point.load)
    raise ConfigError(unknown_name("aggregation", name, aggregation_names()))


def _load(name: str, load: Callable[[], object]) -> Aggregation:
    try:
        found = load()
    except Exception as error:  # other people's code can fail in any way
        raise ConfigError(f"aggregation {name!r} of an installed package cannot be loaded: {error}") from error
    if not callable(found):
        raise ConfigError(
            f"aggregation {name!r} of an installed package must be a function, got {type(found).__name__}"
        )
    return found
