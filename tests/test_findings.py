"""What is found beside the leaderboard, on logits small enough to count by hand."""

import csv
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss

from harness.cross_fitting import Folds
from harness.evaluation import Evaluation, Settings, evaluate
from harness.findings import Findings, curves, duplicates, harm, probes, redundancy, slices, view_seeds
from harness.firewall import Examples
from harness.policies.augtta import AugTTA
from harness.policies.base import Fixed
from harness.policies.fixed import MeanProbs
from harness.policies.policy import Policy
from harness.record_files import read_record
from harness.records import Cell, Table
from harness.tracking.server import open_client
from harness.transforms.flips import HorizontalFlip, VerticalFlip
from harness.transforms.random import RandomAffine, RandomFlip
from harness.views import IDENTITY, View

HFLIP, VFLIP = View((HorizontalFlip(),)), View((VerticalFlip(),))
NAMES = ("a", "b", "c")
FAST = Settings(folds=Folds(2, 1), resamples=100)


def saying(classes: Sequence[int], *, sure: float = 4.0) -> np.ndarray:
    """Logits `[N, 3]` float32 whose largest are at these classes."""
    return (np.eye(3)[list(classes)] * sure).astype(np.float32)


def examples(labels: Sequence[int], split: str = "test") -> Examples:
    """Examples with ids of their own."""
    return Examples(np.array([f"{split}/{place}" for place in range(len(labels))]), np.array(labels))


def rows(findings: Findings, name: str) -> list[dict[str, Cell]]:
    """The rows of the table called `name`, a mapping each."""
    (table,) = [one for one in findings.tables if one.name == name]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def made_up(seed: int, labels: np.ndarray, *, views: Sequence[View], noise: float = 2.0) -> dict[View, np.ndarray]:
    """Logits that tell the label, with noise of each view's own."""
    rng = np.random.default_rng(seed)
    signal = 2.0 * np.eye(3)[labels]
    return {view: (signal + noise * rng.standard_normal((len(labels), 3))).astype(np.float32) for view in views}


def test_views_against_identity_by_hand() -> None:
    """Identity: 3 of 4 right. The mirror image gains one of class a and loses both of b: 2 of 4; c has no example."""
    views = {IDENTITY: saying([0, 1, 1, 1]), HFLIP: saying([0, 0, 0, 2])}
    found = harm(views, examples([0, 0, 1, 1]), class_names=NAMES)
    identity, flip = rows(found, "views")
    assert (identity["view"], identity["accuracy"], identity["difference"]) == ("identity", 0.75, 0.0)
    assert (flip["view"], flip["accuracy"], flip["difference"]) == ("horizontal_flip", 0.5, -0.25)
    # The paired differences are 0, 1, -1, -1.
    assert flip["standard_error"] == pytest.approx(statistics.stdev([0, 1, -1, -1]) / 2)
    assert (flip["harms"], flip["harmed_classes"]) == (False, "")
    by_class = {(row["view"], row["class"]): row for row in rows(found, "views_by_class")}
    assert [by_class["horizontal_flip", name]["accuracy"] for name in NAMES] == [1.0, 0.0, None]
    assert [by_class["horizontal_flip", name]["difference"] for name in NAMES] == [0.5, -1.0, None]
    assert by_class["horizontal_flip", "a"]["standard_error"] == pytest.approx(statistics.stdev([0, 1]) / 2**0.5)
    assert [row["standard_error"] for row in rows(found, "views_by_class") if row["class"] == "c"] == [None, None]
    assert found.warnings == ()


def test_a_view_that_harms_a_class_is_told() -> None:
    """All 30 of class b are taken for c upside down, where identity has them all: a row and a sentence say so."""
    labels = [0] * 30 + [1] * 30 + [2] * 30
    views = {IDENTITY: saying(labels), HFLIP: saying(labels), VFLIP: saying([0] * 30 + [2] * 60)}
    found = harm(views, examples(labels), class_names=NAMES)
    assert [row["harms"] for row in rows(found, "views")] == [False, False, True]
    assert rows(found, "views")[2]["harmed_classes"] == "b -1.0000 as c"
    (sentence,) = found.warnings
    assert sentence == "view vertical_flip harms: b (-100.0 points, taken for c); -33.3 points overall"


def test_headroom_agreement_and_shared_errors_by_hand() -> None:
    """Identity is right on 1 of 4, the mirror image on 2, either on 3; they agree on one."""
    views = {IDENTITY: saying([0, 1, 1, 1]), HFLIP: saying([2, 0, 1, 2])}
    found = redundancy(views, examples([0, 0, 0, 2]))
    parts = {name.removeprefix("headroom/"): value for name, value in found.numbers.items()}
    assert (parts["identity"], parts["best_view"], parts["oracle"]) == (0.25, 0.5, 0.75)
    assert parts["ensemble_brier"] == pytest.approx(parts["members_brier"] - parts["ambiguity"])
    probs = np.stack([np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in views.values()]).astype(np.float64)
    truth = np.eye(probs.shape[2])[[0, 0, 0, 2]]
    assert parts["members_brier"] == pytest.approx(((probs - truth) ** 2).sum(axis=2).mean())
    assert [list(row.values()) for row in rows(found, "agreement")] == [
        ["identity", 1.0, 0.25],
        ["horizontal_flip", 0.25, 1.0],
    ]
    expected = np.corrcoef([0, 1, 1, 1], [1, 0, 1, 0])[0, 1]
    assert rows(found, "error_correlation")[0]["horizontal_flip"] == pytest.approx(expected)
    assert found.warnings == ()


def test_views_that_say_the_same_are_named() -> None:
    """Two views with the same logits are one that is paid for twice."""
    views = {IDENTITY: saying([0, 1]), HFLIP: saying([1, 1]), VFLIP: saying([1, 1])}
    found = duplicates(views)
    assert found.warnings == ("views horizontal_flip and vertical_flip give the same logits: one would do",)


@dataclass(frozen=True)
class Batchwise(Fixed):
    """An aggregation that looks at the neighbours: what no policy may do."""

    kind: ClassVar[str] = "batchwise"

    def __call__(self, logits: np.ndarray, /) -> np.ndarray:
        """Log-probabilities of the mean minus the batch's mean."""
        mean = logits.mean(axis=0, dtype=np.float64)
        centred = mean - mean.mean(axis=0)
        return np.log(softmax(centred, axis=-1))


def test_an_aggregation_that_looks_at_its_neighbours_is_told() -> None:
    """By the policy's name; means and learned weights say nothing."""
    labels = {split: np.arange(40) % 3 for split in ("validation", "test")}
    logits = {split: made_up(seed, labels[split], views=(IDENTITY, HFLIP)) for seed, split in enumerate(labels)}
    policies = [
        Policy("good", (IDENTITY, HFLIP)),
        Policy("learned", (IDENTITY, HFLIP), AugTTA()),
        Policy("bad", (IDENTITY, HFLIP), Batchwise()),
    ]
    evaluation = evaluation_of(policies, logits, labels)
    found = probes(evaluation.fitted, logits["test"], seed=0)
    assert found.warnings
    assert all(text.startswith("policy bad: an example alone gives another result") for text in found.warnings)


def evaluation_of(
    policies: Sequence[Policy], logits: Mapping[str, Mapping[View, np.ndarray]], labels: Mapping[str, np.ndarray]
) -> Evaluation:
    """The evaluation of these policies."""
    splits = {split: examples(labels[split].tolist(), split) for split in ("validation", "test")}
    return evaluate(policies, lambda split, view: logits[split][view], splits, settings=FAST)


FLIPS = tuple(View((RandomFlip(copy=copy),)) for copy in range(3))


def test_a_curve_of_a_random_flip_by_hand() -> None:
    """Its support was predicted too: one draw is the mean of both views, infinitely many their mean."""
    # Right: the image on 0 and 1, its mirror image on 0 and 2 (more surely), the mean of both on 0 and 2.
    views = {
        IDENTITY: saying([0, 1, 1, 1]),
        HFLIP: saying([0, 2, 2, 1], sure=6),
        **dict.fromkeys(FLIPS, saying([0, 0, 0, 0])),
    }
    found = curves([Policy("flip", FLIPS)], views, examples([0, 1, 2, 2]), seed=0)
    table = rows(found, "copies")
    assert {(row["policy"], row["method"], row["limit"]) for row in table} == {("flip", "exact", 0.5)}
    assert [row["copies"] for row in table] == [1, 2, 3, 5, 7, 10, 15, 25, 50]
    assert table[0]["accuracy"] == pytest.approx(0.5)
    # One mirror image of two draws prevails: example 1 is right with a chance of 1/4, example 2 with one of 3/4.
    assert table[1]["accuracy"] == pytest.approx(0.5)
    assert table[0]["break_even"] == 1
    assert table[0]["lower"] == 0.25 <= table[0]["upper"] == 0.75


def test_a_curve_of_stored_copies_by_hand() -> None:
    """Without the support the copies themselves are drawn: all three of them are their mean, one is one of them."""
    views = {
        IDENTITY: saying([0, 1, 2, 0]),
        **dict(zip(FLIPS, map(saying, ([0, 1, 0, 1], [0, 1, 0, 2], [0, 1, 1, 1])), strict=True)),
    }
    labels = [0, 1, 2, 1]
    table = rows(curves([Policy("flip", (IDENTITY, *FLIPS))], views, examples(labels), seed=0), "copies")
    assert [(row["copies"], row["limit"]) for row in table] == [(1, None), (2, None), (3, None)]
    whole = np.mean([softmax(views[view].astype(np.float64), axis=1) for view in FLIPS], axis=0).argmax(axis=1)
    assert table[-1]["accuracy"] == table[-1]["lower"] == table[-1]["upper"] == np.mean(whole == labels)
    assert 0.5 <= float(table[0]["accuracy"] or 0) <= 0.75
    assert (table[0]["lower"], table[0]["upper"]) == (0.5, 0.75)
    assert table[0]["method"] == "sampled, 200 subsets of 3 copies"
    assert table[0]["break_even"] == 2  # any two copies have three of four right, as identity has


def test_view_seeds_share_the_curve_of_their_outcomes_only() -> None:
    """Where the outcomes are stored two seeds have one curve; without them each has the one of its own copies."""
    other = tuple(View((RandomFlip(seed=256, copy=copy),)) for copy in range(2))
    policies = [Policy("flip.seed0", FLIPS), Policy("flip.seed1", other)]
    views = {**dict.fromkeys((IDENTITY, *FLIPS), saying([0, 1])), **dict.fromkeys(other, saying([0, 0]))}
    apart = rows(curves(policies, views, examples([0, 1]), seed=0), "copies")
    assert {(row["policy"], row["accuracy"]) for row in apart} == {("flip.seed0", 1.0), ("flip.seed1", 0.5)}
    together = rows(curves(policies, {**views, HFLIP: saying([0, 1])}, examples([0, 1]), seed=0), "copies")
    assert {row["policy"] for row in together} == {"flip.seed0"}


def test_copies_of_several_kinds_are_not_taken_for_one() -> None:
    """A policy of flips and rotations is no flip, although the outcomes of a flip are there; one copy has no curve."""
    turns = tuple(View((RandomAffine(rotation_range=9, copy=copy),)) for copy in range(2))
    views = dict.fromkeys((IDENTITY, HFLIP, *FLIPS, *turns), saying([0, 1]))
    policies = [Policy("mixed", (*FLIPS, *turns)), Policy("one", FLIPS[:1]), Policy("again", (*FLIPS, *turns))]
    table = rows(curves(policies, views, examples([0, 1]), seed=0), "copies")
    assert {(row["policy"], row["method"]) for row in table} == {("mixed", "sampled, 200 subsets of 5 copies")}
    assert curves(policies[1:2], views, examples([0, 1]), seed=0) == Findings()


def test_view_seeds_side_by_side() -> None:
    """Policies that differ in the seed of their views alone: mean, spread, lowest, highest; others are not there."""
    flips = [View((RandomFlip(seed=256 * seed),)) for seed in range(3)]
    labels = {"validation": np.array([0, 1, 2, 0]), "test": np.array([0, 1, 2, 0])}
    said = dict(zip((IDENTITY, *flips), ([0, 1, 2, 0], [0, 1, 2, 1], [0, 0, 0, 0], [0, 1, 2, 2]), strict=True))
    logits = {split: {view: saying(found) for view, found in said.items()} for split in labels}
    policies = [Policy(f"flip.seed{seed}", (view,)) for seed, view in enumerate(flips)]
    table = rows(view_seeds(evaluation_of([*policies, Policy("plain", (IDENTITY,))], logits, labels)), "view_seeds")
    values = [0.75, 0.5, 0.75]
    assert table == [
        {
            "policy": "flip",
            "view_seeds": 3.0,
            "accuracy": pytest.approx(np.mean(values)),
            "accuracy_sd": pytest.approx(statistics.stdev(values)),
            "lowest": 0.5,
            "highest": 0.75,
        }
    ]
    assert view_seeds(evaluation_of(policies[:1], logits, labels)) == Findings()


def test_corrupted_copies_of_test_by_another_library() -> None:
    """Accuracy, calibrated NLL (with validation's temperature) and gains of fitted policies; means and the worst."""
    labels = {"validation": np.arange(90) % 3, "test": np.arange(60) % 3}
    noises = {"validation": 2.0, "test": 2.0, "test@fog:1": 2.5, "test@snow:5": 4.0}
    logits = {
        name: made_up(seed, labels[name.partition("@")[0]], views=(IDENTITY, HFLIP), noise=noise)
        for seed, (name, noise) in enumerate(noises.items())
    }
    evaluation = evaluation_of([Policy("hflip", (IDENTITY, HFLIP), MeanProbs())], logits, labels)
    copies = {name: logits[name] for name in noises if "@" in name}
    found = slices(evaluation, copies, dict.fromkeys(copies, examples(labels["test"].tolist())))
    table = rows(found, "corruptions")
    assert [(row["corruption"], row["policy"]) for row in table] == [
        ("fog:1", "identity"), ("fog:1", "hflip"), ("snow:5", "identity"), ("snow:5", "hflip"),
    ]  # fmt: skip
    expected = {}
    for name, views in copies.items():
        for policy, used in (("identity", (IDENTITY,)), ("hflip", (IDENTITY, HFLIP))):
            probs = np.mean([softmax(views[view].astype(np.float64), axis=1) for view in used], axis=0)
            sharpened = softmax(np.log(probs) / evaluation.result(policy).temperature, axis=1)
            expected[policy, name.partition("@")[2]] = (
                accuracy_score(labels["test"], probs.argmax(axis=1)),
                log_loss(labels["test"], sharpened, labels=range(3)),
            )
    for row in table:
        accuracy, nll = expected[str(row["policy"]), str(row["corruption"])]
        plain = expected["identity", str(row["corruption"])]
        assert row["accuracy"] == pytest.approx(accuracy, abs=1e-12)
        assert row["nll_calibrated"] == pytest.approx(nll, rel=1e-9)
        assert row["gain"] == pytest.approx(accuracy - plain[0], abs=1e-12)
        assert row["nll_calibrated_gain"] == pytest.approx(plain[1] - nll, abs=1e-9)
        assert float(row["gain_lower"] or 0) <= float(row["gain"] or 0) <= float(row["gain_upper"] or 0)
    accuracies, gains = ([row[column] for row in table if row["policy"] == "hflip"] for column in ("accuracy", "gain"))
    (summary,) = [row for row in rows(found, "corruptions_summary") if row["policy"] == "hflip"]
    assert summary["mean_accuracy"] == pytest.approx(np.mean(accuracies))
    assert (summary["worst_accuracy"], summary["worst_corruption"]) == (min(accuracies), "snow:5")
    assert summary["mean_gain"] == pytest.approx(np.mean(gains))
    worst = ("fog:1", "snow:5")[int(np.argmin(gains))]
    assert (summary["worst_gain"], summary["worst_gain_corruption"]) == (min(gains), worst)


def test_a_harmful_view_is_told_everywhere(harness: Any, tiny: tuple[str, ...], database: Path) -> None:
    """A negative image of classes that differ in brightness: in the output, the record, its table, MLflow's note."""
    answer = harness("run", *tiny, "+tta.negative.views=[identity,invert]", "tta=hflip")
    assert answer.code == 0, answer.err
    (folder,) = Path("results").iterdir()
    record = read_record(folder)
    (sentence,) = [text for text in record.warnings if text.startswith("view invert harms: ")]
    assert "2 (-100.0 points, taken for 0)" in sentence
    assert sentence in " ".join(answer.out.replace("│", " ").split())
    with (folder / "tables" / "views.csv").open(encoding="utf-8") as stream:
        harmful = {row["view"]: row["harms"] for row in csv.DictReader(stream)}
    assert harmful == {"identity": "False", "horizontal_flip": "False", "invert": "True"}
    with open_client(f"sqlite:///{database}") as client:
        experiment = client.get_experiment_by_name("tta")
        assert experiment is not None
        (parent,) = client.search_runs([experiment.experiment_id], filter_string="tags.`tta.role` = 'job'")
        assert f"- {sentence}" in parent.data.tags["mlflow.note.content"]
        tables = {Path(item.path).name for item in client.list_artifacts(parent.info.run_id, "tables")}
    assert tables == {file.name for file in (folder / "tables").iterdir()} >= {"views.csv", "views_by_class.csv"}


def test_findings_add_up() -> None:
    """Tables, warnings and numbers of both, in order."""
    table = Table("one", ("x",), ((1.0,),))
    both = Findings((table,), ("first",), {"a": 1.0}) + Findings((table,), ("second",), {"b": 2.0})
    assert (both.tables, both.warnings, both.numbers) == ((table, table), ("first", "second"), {"a": 1.0, "b": 2.0})
