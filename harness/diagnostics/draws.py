"""Random views: how accuracy depends on the number of draws, from stored logits, without drawing an image again.

Two cases. Where each draw of an image is one of a few views (a random flip: the image or its mirror image), these
views are the *support*; n draws are a multinomial number of each, and infinitely many are their weighted mean. Where
draws are continuous (a random rotation), what is stored is a number of copies, and n draws are n of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.diagnostics.redundancy import check_labels, predicted_classes
from harness.logspace import log_softmax
from harness.policies.logits import ViewLogits

LEVEL = 0.95


@dataclass(frozen=True)
class Curve:
    """Accuracy of `mean_probs` against the number n of draws, on the same images.

    Attributes:
        ns: numbers of draws, ascending.
        mean: expected accuracy over draws, one a number.
        lower, upper: the middle `level` of the accuracies that single draws give: the spread over view seeds, not the
            uncertainty about images.
        level: of that band, in (0, 1).
        limit: accuracy with infinitely many draws; None where it cannot be known from stored logits.
        method: `exact`, or how it was sampled.
    """

    ns: tuple[int, ...]
    mean: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    level: float
    limit: float | None
    method: str


def draw_curve(
    logits: ViewLogits,
    labels: np.ndarray,
    *,
    probabilities: Sequence[float],
    ns: Sequence[int],
    repeats: int,
    seed: int,
    level: float = LEVEL,
) -> Curve:
    """The curve for n draws from a finite support, independent from image to image, and its exact limit.

    A support of two views is enumerated: k of n draws are the second view with Binomial(n, p) chances, so that each
    image is right with a known chance, and the number of right images follows the Poisson binomial distribution, whose
    quantiles are the band. Nothing is sampled then. Larger supports are sampled; fewer draws are the first of more.

    Args:
        logits: of the V views of the support.
        labels: `[N]` integers in [0, C).
        probabilities: V chances that sum to one; views without a chance are left out.
        ns: numbers of draws, at least one each.
        repeats: how often all images are drawn, where that is sampled.
        seed: 0 or more.
        level: of the band.

    Raises:
        ValueError: for chances that do not sum to one within 1e-9, or another argument out of its range.
    """
    ns = _checked(ns, repeats=repeats, level=level)
    chances = np.asarray(probabilities, np.float64)
    if chances.shape != (len(logits),) or (chances < 0).any() or not abs(chances.sum() - 1) <= 1e-9:
        raise ValueError(f"expected {len(logits)} probabilities that sum to one, got {tuple(probabilities)}")
    support = np.flatnonzero(chances)
    chances = chances[support] / chances.sum()
    images = _Images.of(logits.select(support.tolist()), labels)
    limit = float(images.accuracy(_hits(images, chances[None]))[0])
    if len(support) == 2:
        rows = [_exact(images, float(chances[1]), n=n, level=level) for n in ns]
        return _curve(ns, rows, level=level, limit=limit, method="exact")
    drawn = _drawn(images, chances, ns=ns, repeats=repeats, seed=seed)
    rows = [_spread(accuracies, level) for accuracies in images.accuracy(drawn)]
    return _curve(ns, rows, level=level, limit=limit, method=f"sampled, {repeats} repeats")


def copies_curve(
    logits: ViewLogits, labels: np.ndarray, *, ns: Sequence[int], repeats: int, seed: int, level: float = LEVEL
) -> Curve:
    """The curve for n of M stored copies; a copy is a view, so that all images share one choice in a repeat.

    Each repeat shuffles the copies and takes the first n, without replacement. The band narrows to nothing at n = M,
    where there is one choice left: it says how far stored copies differ, which near M is less than new ones would.

    Args:
        logits: of M copies.
        labels: `[N]` integers in [0, C).
        ns: numbers of copies, 1..M.
        repeats: how many shuffles.
        seed: 0 or more.
        level: of the band.

    Raises:
        ValueError: for more copies than are stored, or another argument out of its range.
    """
    ns = _checked(ns, repeats=repeats, level=level)
    copies = len(logits)
    if ns[-1] > copies:
        raise ValueError(f"{copies} copies are stored, got n = {ns[-1]}")
    ranks = np.random.default_rng(seed).permuted(np.tile(np.arange(copies), (repeats, 1)), axis=1)
    chosen = np.concatenate([ranks < n for n in ns]).astype(np.float64)
    images = _Images.of(logits, labels)
    accuracies = images.accuracy(_hits(images, chosen)).reshape(len(ns), repeats)
    rows = [_spread(row, level) for row in accuracies]
    return _curve(ns, rows, level=level, limit=None, method=f"sampled, {repeats} subsets of {copies} copies")


def break_even(curve: Curve, identity_accuracy: float) -> int | None:
    """The smallest n of the curve from which on its mean is not below identity; None where there is none."""
    smallest = None
    for n, mean in zip(reversed(curve.ns), reversed(curve.mean), strict=True):
        if mean < identity_accuracy:
            break
        smallest = n
    return smallest


@dataclass(frozen=True, eq=False)
class _Images:
    """The images for which it matters what is drawn: those on whose class the views do not agree.

    Where every view has its largest probability at one class, so has every mean of them.

    Attributes:
        logits, labels: of these images.
        sure: how many others are right.
        total: of all images.
    """

    logits: ViewLogits
    labels: np.ndarray
    sure: int
    total: int

    @classmethod
    def of(cls, logits: ViewLogits, labels: np.ndarray) -> "_Images":
        check_labels(logits, labels)
        winners = predicted_classes(logits)
        open_ = (winners != winners[0]).any(axis=0)
        sure = int((winners[0] == labels)[~open_].sum())
        return cls(logits.take(np.flatnonzero(open_)), labels[open_], sure, len(labels))

    def accuracy(self, hits: np.ndarray) -> np.ndarray:
        """Accuracy over all images from how many of these are right."""
        found: np.ndarray = (self.sure + hits) / self.total
        return found


def _exact(images: _Images, p: float, *, n: int, level: float) -> tuple[float, float, float]:
    """Expected accuracy of n draws from two views, and the ends of its band, by enumeration (to about 1e-12).

    Image i is right with chance q_i = sum over k = 0..n of C(n, k) p^k (1 - p)^(n - k) [n - k times the first view's
    probabilities and k times the second's have the largest sum at the label], where p is the second view's chance.
    """
    chances, q = _binomial(n, p), np.zeros(len(images.labels))
    for part, block in images.logits.blocks():
        first, second = np.exp(log_softmax(block))
        for k, chance in enumerate(chances):
            right = ((n - k) * first + k * second).argmax(axis=1) == images.labels[part]
            q[part] += chance * right
    mean, low, high = images.accuracy(np.array([q.sum(), *_poisson_binomial_band(q, level)])).tolist()
    return mean, low, high


def _binomial(n: int, p: float) -> np.ndarray:
    """C(n, k) p^k (1 - p)^(n - k) for k = 0..n and 0 < p < 1, through logarithms, so that no factor overflows."""
    choose = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)]
    k = np.arange(n + 1)
    chances = np.exp(np.array(choose) + k * math.log(p) + (n - k) * math.log1p(-p))
    normalised: np.ndarray = chances / chances.sum()
    return normalised


def _poisson_binomial_band(chances: np.ndarray, level: float) -> tuple[int, int]:
    """The quantiles of the number of successes among independent trials with these chances of success.

    Its probabilities are the discrete Fourier transform of the characteristic function. Hong (2013), "On computing the
    distribution function for the Poisson binomial distribution".
    """
    chances = np.round(chances, 12)  # equal chances are one factor, whatever the order in which they were summed
    certain = int((chances >= 1).sum())
    values, repeated = np.unique(chances[(chances > 0) & (chances < 1)], return_counts=True)
    trials = int(repeated.sum())
    turns = np.exp(2j * np.pi * np.arange(trials + 1) / (trials + 1))
    characteristic = np.ones(trials + 1, np.complex128)
    for q, times in zip(values, repeated, strict=True):
        characteristic *= (1 - q + q * turns) ** int(times)
    cumulative = np.cumsum(np.fft.fft(characteristic).real / (trials + 1))
    cumulative[-1] = 1.0
    low, high = (int(np.argmax(cumulative >= tail - 1e-12)) for tail in ((1 - level) / 2, (1 + level) / 2))
    return certain + low, certain + high


def _drawn(images: _Images, chances: np.ndarray, *, ns: Sequence[int], repeats: int, seed: int) -> np.ndarray:
    """How many images are right, `[len(ns), repeats]`, when each draws its views anew in each repeat.

    Fewer draws are the first of more; draw t has a stream of its own, so that no number depends on how many there are.
    """
    streams = [np.random.default_rng([seed, draw]) for draw in range(max(ns))]
    edges = np.cumsum(chances)[:-1]
    hits = np.zeros((len(ns), repeats))
    for part, block in images.logits.blocks():
        probs = np.exp(log_softmax(block)).transpose(1, 0, 2)
        examples = np.arange(len(probs))[:, None]
        total = np.zeros((len(probs), repeats, probs.shape[2]))
        for n, stream in enumerate(streams, start=1):
            views = np.searchsorted(edges, stream.random(total.shape[:2]), side="right")
            total += probs[examples, views]
            if n in ns:
                hits[ns.index(n)] += (total.argmax(axis=2) == images.labels[part][:, None]).sum(axis=0)
    return hits


def _hits(images: _Images, weights: np.ndarray) -> np.ndarray:
    """How many images each of K weighted sums of probabilities gets right: `weights [K, V]` to `[K]` float64."""
    hits = np.zeros(len(weights))
    for part, block in images.logits.blocks():
        probs = np.exp(log_softmax(block))
        mixed = (weights @ probs.reshape(len(probs), -1)).reshape(len(weights), *probs.shape[1:])
        hits += (mixed.argmax(axis=2) == images.labels[part]).sum(axis=1)
    return hits


def _spread(accuracies: np.ndarray, level: float) -> tuple[float, float, float]:
    lower, upper = np.quantile(accuracies, [(1 - level) / 2, (1 + level) / 2])
    return float(accuracies.mean()), float(lower), float(upper)


def _curve(
    ns: Sequence[int],
    rows: Sequence[tuple[float, float, float]],
    *,
    level: float,
    limit: float | None,
    method: str,
) -> Curve:
    mean, lower, upper = zip(*rows, strict=True)
    return Curve(tuple(ns), mean, lower, upper, level=level, limit=limit, method=method)


def _checked(ns: Sequence[int], *, repeats: int, level: float) -> tuple[int, ...]:
    """The numbers of draws, ascending and each once."""
    if not ns or min(ns) < 1:
        raise ValueError(f"expected numbers of draws of one or more, got {tuple(ns)}")
    if repeats < 1 or not 0 < level < 1:
        raise ValueError(f"expected repeats >= 1 and a level between 0 and 1, got {repeats} and {level}")
    return tuple(sorted(set(ns)))
