"""Tables of subsets agree with each policy by itself, and everything that was looked at is corrected for."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score, log_loss
from statsmodels.stats.multitest import multipletests

from harness.calibration import fit_temperature
from harness.cross_fitting import Folds
from harness.evaluation import Evaluation, Settings, evaluate
from harness.findings import Findings
from harness.firewall import Examples
from harness.policies.best_subset import BestSubset
from harness.policies.fixed import MeanLogits, MeanProbs
from harness.policies.greedy import Gps
from harness.policies.policy import Policy, with_identity
from harness.policies.votes import Vote
from harness.policies.weighted import WeightedMean
from harness.records import Cell
from harness.search_findings import search_null, subset_tables, subsets_tried
from harness.transforms.flips import HorizontalFlip, VerticalFlip
from harness.transforms.geometric import Shift
from harness.views import IDENTITY, View

HFLIP, VFLIP, SHIFT = View((HorizontalFlip(),)), View((VerticalFlip(),)), View((Shift(dx=1, dy=0),))
VIEWS = (IDENTITY, HFLIP, VFLIP, SHIFT)
NAMED = {view.name: view for view in VIEWS}
CLASSES = 4
LABELS = {split: np.random.default_rng(n).integers(CLASSES, size=n) for split, n in (("validation", 90), ("test", 120))}
EXAMPLES = {
    split: Examples(np.array([f"{split}/{i}" for i in range(len(found))]), found) for split, found in LABELS.items()
}
SETTINGS = Settings(folds=Folds(2, 1), resamples=200, seed=3, level=0.9)
SEARCH = tuple(Policy(f"mine.{size}", VIEWS, BestSubset(size)) for size in (1, 2, 3))
OTHERS = (Policy("hflip", (IDENTITY, HFLIP)), Policy("vote", VIEWS, Vote()))
POLICIES = with_identity((*SEARCH, *OTHERS))
TRIED = 4 + 2 * 6 + 2 * 4  # single views once, pairs and triples as means of probabilities and of logits


def made_up() -> dict[str, dict[View, np.ndarray]]:
    """Logits of every pass: the label's raised, noise that views share, and more of their own."""
    found: dict[str, dict[View, np.ndarray]] = {}
    for split, labels in LABELS.items():
        rng = np.random.default_rng(len(labels) + 1)
        shared = 2 * np.eye(CLASSES)[labels] + 1.2 * rng.standard_normal((len(labels), CLASSES))
        found[split] = {
            view: (2 * shared + noise * rng.standard_normal((len(labels), CLASSES))).astype(np.float32)
            for view, noise in zip(VIEWS, (2.0, 2.0, 4.0, 3.0), strict=True)
        }
    return found


LOGITS = made_up()


def evaluated(policies: Sequence[Policy], *, tried: int = 0) -> Evaluation:
    """The evaluation of these policies on the made-up logits."""
    return evaluate(
        policies, lambda split, view: LOGITS[split][view], EXAMPLES, settings=SETTINGS, tried=tried
    )  # fmt: skip


def table_of(findings: Findings, name: str) -> list[dict[str, Cell]]:
    """The rows of the table called `name`, a mapping each."""
    (table,) = [one for one in findings.tables if one.name == name]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Cell]]:
    """The table of the search over four views."""
    return table_of(subset_tables(POLICIES, LOGITS, EXAMPLES, settings=SETTINGS), "subsets_mine")


def used(row: Mapping[str, Cell]) -> tuple[View, ...]:
    """A row's views."""
    return tuple(NAMED[name] for name in str(row["views"]).split())


def log_probs(row: Mapping[str, Cell], split: str) -> np.ndarray:
    """A row's log-probabilities, by SciPy."""
    stacked = np.stack([LOGITS[split][view].astype(np.float64) for view in used(row)])
    if row["aggregation"] == "mean_logits":
        return np.asarray(log_softmax(stacked.mean(axis=0), axis=1))
    return np.asarray(np.log(softmax(stacked, axis=2).mean(axis=0)))


def test_every_subset_is_there_once(rows: list[dict[str, Cell]]) -> None:
    """All of one to three views, fewest first, under both means; a single view is the same under both."""
    found = [(used(row), row["aggregation"], row["passes"]) for row in rows]
    expected = {
        (subset, kind, float(size))
        for size in (1, 2, 3)
        for subset in combinations(VIEWS, size)
        for kind in (("mean_probs", "mean_logits") if size > 1 else ("mean_probs",))
    }
    assert len(found) == len(set(found)) == TRIED
    assert set(found) == expected
    assert [passes for *_, passes in found] == sorted(passes for *_, passes in found)


def test_validation_numbers_by_another_library(rows: list[dict[str, Cell]]) -> None:
    """Accuracy, temperature and calibrated NLL, fitted and measured on all of validation."""
    for row in rows:
        found = log_probs(row, "validation")
        temperature = fit_temperature(found, LABELS["validation"])
        calibrated = softmax(found / temperature, axis=1)
        assert row["validation_accuracy"] == accuracy_score(LABELS["validation"], found.argmax(axis=1))
        assert row["temperature"] == pytest.approx(temperature, rel=1e-3)
        nll = log_loss(LABELS["validation"], calibrated, labels=range(CLASSES))
        assert row["validation_nll_calibrated"] == pytest.approx(nll, abs=1e-5)


def test_test_numbers_are_those_of_each_policy_by_itself(rows: list[dict[str, Cell]]) -> None:
    """Accuracy, its gain over identity with the interval, and the p of McNemar's test: as if each had been a policy."""
    kinds = {"mean_probs": MeanProbs(), "mean_logits": MeanLogits()}
    alone = [Policy(f"row {place}", used(row), kinds[str(row["aggregation"])]) for place, row in enumerate(rows)]
    evaluation = evaluated(alone)
    for row, policy in zip(rows, alone, strict=True):
        result = evaluation.result(policy.name)
        gain = result.gains["accuracy"]
        assert row["test_accuracy"] == result.test["accuracy"]
        assert [row["gain"], row["gain_lower"], row["gain_upper"]] == pytest.approx(
            [gain.value, gain.lower, gain.upper], abs=1e-6
        )
        assert row["p_value"] == pytest.approx(result.p_values["accuracy"], rel=1e-12)


def test_calibrated_nll_on_test_takes_the_temperature_from_validation(rows: list[dict[str, Cell]]) -> None:
    """By another library; the gain is identity's minus the row's, and lies within its interval."""
    identity = next(row for row in rows if used(row) == (IDENTITY,))
    for row in rows:
        calibrated = softmax(log_probs(row, "test") / float(row["temperature"] or 0), axis=1)
        nll = log_loss(LABELS["test"], calibrated, labels=range(CLASSES))
        assert row["test_nll_calibrated"] == pytest.approx(nll, abs=1e-5)
        value, lower, upper = (float(row[f"nll_calibrated_gain{end}"] or 0) for end in ("", "_lower", "_upper"))
        assert value == pytest.approx(float(identity["test_nll_calibrated"] or 0) - nll, abs=1e-5)
        assert lower <= value <= upper


def test_the_number_tried_enters_every_correction(rows: list[dict[str, Cell]]) -> None:
    """Holm over all subsets and the job's other policies, in the table and in the leaderboard alike."""
    assert subsets_tried(POLICIES) == TRIED
    everything = TRIED + len(POLICIES) - 1
    # Those whose p is not in this table count as if it were one.
    p_values = [float(row["p_value"] or 0) for row in rows]
    expected = multipletests([*p_values, *[1.0] * (everything - TRIED)], method="holm")[1][:TRIED]
    assert [row["p_value_adjusted"] for row in rows] == pytest.approx(expected.tolist(), rel=1e-12)
    assert min(expected) < 1
    evaluation = evaluated(POLICIES, tried=subsets_tried(POLICIES))
    assert evaluation.tried == everything
    p_values = [result.p_values["accuracy"] for result in evaluation.results[1:]]
    expected = multipletests([*p_values, *[1.0] * TRIED], method="holm")[1][: len(p_values)]
    adjusted = [result.p_values_adjusted["accuracy"] for result in evaluation.results[1:]]
    assert adjusted == pytest.approx(expected.tolist(), rel=1e-12)


def test_the_front_is_the_best_of_each_size_where_more_passes_pay(rows: list[dict[str, Cell]]) -> None:
    """The calibrated NLL on validation decides; the chosen policies of the job are on the front."""
    front = [row for row in rows if row["front"]]
    best: list[float] = []
    for size in (1.0, 2.0, 3.0):
        lowest = min(float(row["validation_nll_calibrated"] or 0) for row in rows if row["passes"] == size)
        if not best or lowest < best[-1]:
            best.append(lowest)
    assert [row["validation_nll_calibrated"] for row in front] == best
    assert len(front) > 1
    fitted = evaluated(SEARCH).result("mine.3").fitted.fitted
    assert isinstance(fitted, WeightedMean)
    chosen = tuple(view for view, weight in zip(VIEWS, fitted.weights, strict=True) if weight)
    assert (chosen, f"mean_{fitted.space}") == (used(front[-1]), front[-1]["aggregation"])


@pytest.mark.parametrize(
    ("policies", "names"),
    [
        (SEARCH[:1], ["subsets_mine"]),
        ([Policy("mine", VIEWS, BestSubset(2))], ["subsets_mine"]),
        ([*reversed(SEARCH)], ["subsets_mine"]),
        (
            [Policy(f"a.{n}.seed{seed}", VIEWS[: 3 + seed], BestSubset(n)) for seed in (0, 1) for n in (1, 2)],
            ["subsets_a.seed0", "subsets_a.seed1"],
        ),
        ([*SEARCH[:2], Policy("other", VIEWS[:2], BestSubset(1))], ["subsets_mine", "subsets_other"]),
        (OTHERS, []),
    ],
)
def test_one_table_for_each_set_of_views(policies: Sequence[Policy], names: list[str]) -> None:
    """Named after the entry, up to its largest size, whatever the order; a job without a search has none."""
    found = subset_tables(with_identity(policies), LOGITS, EXAMPLES, settings=SETTINGS)
    assert [table.name for table in found.tables] == names
    assert subsets_tried(with_identity(policies)) == sum(len(table.rows) for table in found.tables)
    if names:
        largest = max(one.aggregation.size for one in policies if isinstance(one.aggregation, BestSubset))
        assert max(float(row["passes"] or 0) for row in table_of(found, names[0])) == largest


def test_luck_of_as_many_views_by_hand() -> None:
    """A searched pair among all six pairs, each the mean of probabilities, by accuracy on test."""
    settings = Settings(folds=Folds(2, 1), resamples=100, criterion="accuracy")
    policies = [Policy("gps", VIEWS, Gps(budget=2)), Policy("hflip", (IDENTITY, HFLIP))]
    evaluation = evaluate(policies, lambda split, view: LOGITS[split][view], EXAMPLES, settings=settings)
    fitted = evaluation.result("gps").fitted.fitted
    assert isinstance(fitted, WeightedMean)
    probs = np.stack([softmax(LOGITS["test"][view].astype(np.float64), axis=1) for view in VIEWS])
    size = sum(weight != 0 for weight in fitted.weights)
    pairs = [probs[list(pair)].mean(axis=0) for pair in combinations(range(4), size)]
    null = np.array([accuracy_score(LABELS["test"], pair.argmax(axis=1)) for pair in pairs])
    score = evaluation.result("gps").test["accuracy"]
    (row,) = table_of(search_null(evaluation, LOGITS["test"], EXAMPLES["test"]), "search_null")
    assert row == {
        "policy": "gps",
        "views": float(size),
        "score": pytest.approx(score),
        "random_mean": pytest.approx(null.mean()),
        "random_best": pytest.approx(null.max()),
        "random_subsets": float(len(pairs)),
        "percentile": pytest.approx(((null < score - 1e-9).mean() + (null < score + 1e-9).mean()) / 2),
    }
    assert size == 2
    assert search_null(evaluated(OTHERS), LOGITS["test"], EXAMPLES["test"]) == Findings()
