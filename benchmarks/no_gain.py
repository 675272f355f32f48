"""How often the harness is wrong where the truth is known: simulated jobs without a gain, and with a known one.

    .venv/bin/python -m benchmarks.no_gain [--repetitions 400] [--only jobs rows ...] [--seed 0]

Prints the Markdown tables of docs/honesty.md, in about 25 minutes of one core; `--repetitions 20` takes two.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.simulation import Size, Task, Trainings, job, views
from harness.calibration import calibrated_nll, fit_temperature
from harness.intervals import bootstrap_means
from harness.logspace import log_softmax
from harness.metrics import example_scores
from harness.policies.logits import ViewLogits
from harness.policies.policy import IDENTITY_POLICY, Policy
from harness.policies.registry import make_aggregation
from harness.prediction import predict
from harness.selection import CRITERIA, Verdict, verdict_of
from harness.significance import holm, mcnemar_exact, paired_t
from harness.types import Predictions
from harness.variance import two_way_interval
from harness.views import View

SHIP: tuple[Verdict, Verdict] = ("ship", "do not ship")
NOISE = 0.7
USUAL = Size()


@dataclass(frozen=True)
class Figure:
    """How often something happened: `hits` times of `of`; `nominal` is how often it may, or how often it should."""

    what: str
    hits: int
    of: int
    nominal: float

    @classmethod
    def count(cls, what: str, happened: Iterable[bool], nominal: float) -> "Figure":
        """The figure of truth values."""
        found = list(happened)
        return cls(what, sum(found), len(found), nominal)

    def row(self) -> str:
        """A row of the table, with the exact 95 % interval of Clopper and Pearson (1934)."""
        from scipy.stats import binomtest

        ends = binomtest(self.hits, self.of).proportion_ci()
        share = f"{100 * self.hits / self.of:.1f} % | {100 * ends.low:.1f} to {100 * ends.high:.1f} %"
        return f"| {self.what} | {100 * self.nominal:g} % | {share} | {self.of:,} |"


def single_views(count: int) -> list[Policy]:
    """Policies without a gain: each of the other views alone, and two searches that end at one view."""
    found = views(count)
    searched = {"gps": {"budget": 1}, "best_subset": {"size": 1}}
    return [Policy(f"view{place}", (view,)) for place, view in enumerate(found[1:], start=1)] + [
        Policy(kind, found, make_aggregation(kind, parameters)) for kind, parameters in searched.items()
    ]


def no_gain(repetitions: int, rng: np.random.Generator, *, count: int = 39, size: Size = USUAL) -> list[Figure]:
    """False verdicts on the recommendation and on rows, and intervals around a gain of zero."""
    task, policies = Task(dict.fromkeys(views(count), NOISE)), single_views(count)
    jobs = [job(task, policies, size=size, rng=rng) for _ in range(repetitions)]
    figures = []
    for criterion, name in CRITERIA.items():
        chosen = [one.chosen[criterion] for one in jobs]
        chosen = [one for one in chosen if one.policy != IDENTITY_POLICY.name]
        # Harm is looked for in two scores, so that it may be found wrongly twice as often.
        rates = (size.one_sided, size.one_sided * (1 if criterion == "accuracy" else 2))
        for verdict, rate in zip(SHIP, rates, strict=True):
            figures += [
                Figure.count(f"{verdict}: recommendation by {name}", (one.verdict == verdict for one in chosen), rate),
                Figure.count(
                    f"{verdict}: any of {len(policies)} rows by {name}",
                    (verdict in one.rows[criterion] for one in jobs),
                    rate,
                ),
            ]
    return figures + [
        Figure.count(f"interval holds a gain of zero in {said}", (one.covers(1, name, 0.0) for one in jobs), size.level)
        for name, said in CRITERIA.items()
    ]


def few_policies(repetitions: int, rng: np.random.Generator, *, size: Size = USUAL) -> list[Figure]:
    """The same with four policies, so that more jobs can be simulated."""
    return no_gain(repetitions, rng, count=3, size=size)


def many_rows(repetitions: int, rng: np.random.Generator, *, count: int = 41, size: Size = USUAL) -> list[Figure]:
    """The rows' rule from its tests and correction alone, which is many times faster: by NLL, without temperature."""
    task = Task(dict.fromkeys(views(count), NOISE))
    verdicts = [_row_verdicts(*task.draw(size.test, rng), level=size.level) for _ in range(repetitions)]
    return [
        Figure.count(
            f"{verdict}: any of {count - 1} rows by NLL, rule alone", (verdict in one for one in verdicts), rate
        )
        for verdict, rate in zip(SHIP, (size.one_sided, 2 * size.one_sided), strict=True)
    ]


def _row_verdicts(labels: np.ndarray, logits: Mapping[View, np.ndarray], *, level: float) -> set[Verdict]:
    scores = [example_scores(Predictions(log_softmax(found), labels)) for found in logits.values()]
    correct, nll = (np.stack([getattr(one, name) for one in scores], axis=1) for name in ("correct", "nll"))
    base, others = correct[:, :1], correct[:, 1:]
    p_accuracy = mcnemar_exact((others & ~base).sum(axis=0), (base & ~others).sum(axis=0))
    differences = nll[:, :1] - nll[:, 1:]
    gains = zip(others.mean(axis=0) - base.mean(), differences.mean(axis=0), strict=True)
    adjusted = zip(holm(p_accuracy.tolist()), holm(paired_t(differences).tolist()), strict=True)
    names = ("accuracy", "nll")
    return {
        verdict_of(dict(zip(names, gain, strict=True)), dict(zip(names, p, strict=True)), criterion="nll", level=level)
        for gain, p in zip(gains, adjusted, strict=True)
    }


@dataclass(frozen=True, eq=False)
class Truth:
    """Scores of a policy on so many images that they are as good as exact.

    Attributes:
        accuracy, nll: plain. nll_at: the NLL at a temperature from 0.5 to 5. best: the temperature that suits it.
    """

    accuracy: float
    nll: float
    nll_at: Callable[[float], float]
    best: float


def truth(policy: Policy, labels: np.ndarray, logits: Mapping[View, np.ndarray]) -> Truth:
    """Of a policy that learns nothing."""
    from scipy.interpolate import CubicSpline

    given = ViewLogits(tuple(logits[view] for view in policy.views))
    log_probs = predict(policy.aggregation.fit(given, labels), given, name=policy.name).log_probs
    knots = np.linspace(np.log(0.5), np.log(5), 25)
    curve = CubicSpline(knots, [calibrated_nll(log_probs, labels, temperature=np.exp(t)).mean() for t in knots])
    return Truth(
        accuracy=float((log_probs.argmax(axis=1) == labels).mean()),
        nll=float(calibrated_nll(log_probs, labels, temperature=1.0).mean()),
        nll_at=lambda temperature: float(curve(np.log(temperature))),
        best=fit_temperature(log_probs, labels),
    )


def known_gain(
    repetitions: int, rng: np.random.Generator, *, size: Size = USUAL, images: int = 400_000
) -> list[Figure]:
    """Intervals of a mean of four views, which gains, and of a noisier view, which loses; the truth from many images.

    The gain in calibrated NLL has two truths: that of the policy and identity as they were fitted in the job, and that
    with the temperatures that suit them, which a fit on validation does not quite reach.
    """
    four, noisier = views(5)[:4], views(5)[4]
    task = Task(dict.fromkeys(four, NOISE) | {noisier: 0.9})
    policies = [Policy("mean of 4 views", four), Policy("a noisier view", (noisier,))]
    drawn = task.draw(images, rng)
    identity, *true = (truth(policy, *drawn) for policy in (IDENTITY_POLICY, *policies))
    jobs = [job(task, policies, size=size, rng=rng) for _ in range(repetitions)]
    figures = []
    for place, (policy, one) in enumerate(zip(policies, true, strict=True), start=1):
        at_best = identity.nll_at(identity.best) - one.nll_at(one.best)
        as_fitted = [identity.nll_at(found.temperatures[0]) - one.nll_at(found.temperatures[place]) for found in jobs]
        for said, name, values in (
            ("accuracy", "accuracy", [one.accuracy - identity.accuracy] * repetitions),
            ("NLL", "nll", [identity.nll - one.nll] * repetitions),
            ("calibrated NLL as fitted", "nll_calibrated", as_fitted),
            ("calibrated NLL at best", "nll_calibrated", [at_best] * repetitions),
        ):
            held = (found.covers(place, name, value) for found, value in zip(jobs, values, strict=True))
            what = f"interval holds the gain of {policy.name} in {said}, {np.mean(values):+.3f}"
            figures.append(Figure.count(what, held, size.level))
    return figures


def shuffled_labels(repetitions: int, rng: np.random.Generator, *, size: Size = USUAL) -> list[Figure]:
    """Policies that truly gain, learned ones among them: they ship on true test labels, and not on shuffled ones.

    Single views are left out: on labels that belong to no image the one with the softer temperature truly has the lower
    calibrated NLL, and validation's chance decides which that is.
    """
    found = views(6)
    kinds: dict[str, dict[str, float]] = {
        "mean_probs": {},
        "augtta": {},
        "gps": {"budget": 3},
        "covariance_weights": {},
        "loss_ridge": {},
    }
    policies = [Policy(kind, found, make_aggregation(kind, given)) for kind, given in kinds.items()]
    task, figures = Task(dict.fromkeys(found, NOISE)), []
    for shuffled, labels, rate in ((True, "shuffled", size.one_sided), (False, "true", 1.0)):
        jobs = [job(task, policies, size=size, rng=rng, shuffled=shuffled) for _ in range(repetitions)]
        for criterion in ("nll_calibrated", "accuracy"):
            name = f"by {CRITERIA[criterion]}, {labels} labels"
            ships = (one.chosen[criterion].verdict == "ship" for one in jobs)
            rows = ("ship" in one.rows[criterion] for one in jobs)
            figures.append(Figure.count(f"ship: recommendation {name}", ships, rate))
            figures.append(Figure.count(f"ship: any of {len(policies)} rows {name}", rows, rate))
    return figures


TRAININGS = tuple(
    Trainings(count, share, accuracy)
    for count in (2, 3, 10)
    for share, accuracy in ((0.0, False), (0.5, False), (0.5, True), (0.95, False))
)


def several_trainings(
    repetitions: int, rng: np.random.Generator, *, kinds: Iterable[Trainings] = TRAININGS, level: float = 0.95
) -> list[Figure]:
    """The interval over training seeds and images holds the mean over all that there might be."""
    figures = []
    for kind in kinds:
        found = [two_way_interval(kind.draw(rng), resamples=1, seed=0, level=level) for _ in range(repetitions)]
        held = (one.lower <= kind.mean <= one.upper for one in found)
        figures.append(Figure.count(f"interval holds the gain: {kind}", held, level))
    return figures


def resampled_trainings(
    repetitions: int, rng: np.random.Generator, *, kinds: Iterable[Trainings] = TRAININGS, level: float = 0.95
) -> list[Figure]:
    """What the harness does not do, for comparison: trainings and images resampled, percentile interval."""
    figures = []
    for kind in kinds:
        ends = [_pigeonhole(kind.draw(rng), rng, level) for _ in range(repetitions)]
        held = (lower <= kind.mean <= upper for lower, upper in ends)
        figures.append(Figure.count(f"two-way percentile bootstrap instead: {kind}", held, level))
    return figures


def _pigeonhole(differences: np.ndarray, rng: np.random.Generator, level: float) -> tuple[float, float]:
    """Owen (2007), "The pigeonhole bootstrap"."""
    of_images = bootstrap_means(differences.T, resamples=500, seed=int(rng.integers(1 << 31)))
    drawn = rng.integers(len(differences), size=of_images.shape)
    means = np.take_along_axis(of_images, drawn, axis=1).mean(axis=1)
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


Study = Callable[[int, np.random.Generator], list[Figure]]

STUDIES: dict[str, tuple[Study, int]] = {
    "jobs": (no_gain, 1),
    "rows": (many_rows, 5),
    "known": (known_gain, 5),
    "labels": (shuffled_labels, 1),
    "trainings": (several_trainings, 10),
    "resampled": (resampled_trainings, 2),
    "few": (few_policies, 6),
}
"""By name, and how many repetitions are made for each that is asked for."""


def main() -> None:
    """Prints one table a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=400)
    parser.add_argument("--only", choices=STUDIES, nargs="*", default=list(STUDIES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for place, (name, (study, times)) in enumerate(STUDIES.items()):
        if name in options.only:
            began = time.process_time()
            figures = study(times * options.repetitions, np.random.default_rng([options.seed, place]))
            print(f"{name} ({time.process_time() - began:.0f} CPU seconds)\n")
            print("| what | nominal | found | 95 % interval | simulations |\n|:--|--:|--:|--:|--:|")
            print("\n".join(figure.row() for figure in figures) + "\n", flush=True)


if __name__ == "__main__":
    main()
