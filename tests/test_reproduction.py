"""Two runs compared: the numbers decide, the facts explain."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.record_files import write_job, write_table
from harness.records import JobRecord, PolicyPredictions, Table
from harness.reproduction import Comparison, Findings, compare, renamed
from harness.reproduction_facts import Fact, facts
from harness.reproduction_numbers import choices, predictions, table_numbers
from harness.reproduction_report import Reproduction, as_json, markdown, text_lines

MakeJob = Callable[..., JobRecord]


def compared(before: JobRecord, after: JobRecord) -> Comparison:
    """Of two records alone."""
    return compare(Findings(before), Findings(after))


def changed(job: JobRecord, name: str, by: float) -> JobRecord:
    """The record with one metric of its last policy moved."""
    last = job.policies[-1]
    moved = replace(last, metrics={**last.metrics, name: last.metrics[name] + by})
    return replace(job, policies=(*job.policies[:-1], moved))


def test_same_numbers_are_identical(make_job: MakeJob) -> None:
    """Equal numbers are identical, whatever the times and costs of the two runs; the choice counts as two numbers."""
    job = make_job()
    again = replace(job, started="2030-01-01T00:00:00+00:00", job_metrics={"train/seconds": 9.0})
    found = compared(job, again)
    assert (found.verdict, found.differences) == ("identical", ())
    assert found.compared == 2 + sum(len(policy.metrics) + 2 for policy in job.policies)


@pytest.mark.parametrize(
    ("name", "by", "verdict"),
    [
        ("test/nll", 0.0, "identical"),
        ("test/nll", 1e-16, "within tolerance"),
        ("test/nll", 0.9e-4, "within tolerance"),
        ("test/nll", -1.1e-4, "different"),
        ("test/accuracy", 1 / 200, "within tolerance"),  # 200 test images
        ("test/accuracy", -3 / 200, "different"),
        ("gain/corrected", 2, "within tolerance"),
        ("gain/corrected", 3, "different"),
    ],
)
def test_size_of_a_difference_decides(make_job: MakeJob, name: str, by: float, verdict: str) -> None:
    """A mean may move by a ten-thousandth, a count by two images."""
    job = make_job()
    assert compared(job, changed(job, name, by)).verdict == verdict


def test_a_difference_says_where_and_by_how_much(make_job: MakeJob) -> None:
    """The policy, the metric, both values, the distance and what rounding explains."""
    job = make_job(gains=(0.02,))
    (found,) = compared(job, changed(job, "test/nll", 0.25)).differences
    assert str(found) == "policy policy_1 test/nll: 0.38 -> 0.63, off by 0.25, allowed 0.0001"


def test_missing_numbers_are_different(make_job: MakeJob) -> None:
    """A policy, a metric or a finite number of the first run that the second lacks is a difference."""
    job = make_job()
    assert compared(job, replace(job, policies=job.policies[:-1])).verdict == "different"
    last = replace(job.policies[-1], metrics={})
    assert compared(job, replace(job, policies=(*job.policies[:-1], last))).verdict == "different"
    nan = changed(job, "test/ece", math.nan)
    assert compared(job, nan).verdict == compared(nan, job).verdict == "different"
    assert compared(nan, nan).verdict == "identical"


def test_new_numbers_decide_nothing(make_job: MakeJob) -> None:
    """What only a later version finds is counted."""
    job = make_job()
    last = replace(job.policies[-1], metrics={**job.policies[-1].metrics, "test/new": 1.0})
    found = compared(job, replace(job, policies=(*job.policies[:-1], last)))
    assert (found.verdict, found.added) == ("identical", 1)


@pytest.mark.parametrize("where", ["chosen", "verdict", "verdict of a row"])
def test_another_verdict_is_different(make_job: MakeJob, where: str) -> None:
    """People act on verdicts and choices: no rounding excuses another one, and they are told first."""
    job = changed(make_job(), "test/nll", 1e-9)
    chosen = job.recommendation
    other = {
        "chosen": replace(job, recommendation=replace(chosen, policy="identity")),
        "verdict": replace(job, recommendation=replace(chosen, verdict="undecided")),
        "verdict of a row": replace(job, policies=(*job.policies[:-1], replace(job.policies[-1], verdict="undecided"))),
    }[where]
    found = compared(make_job(), other)
    assert found.verdict == "different"
    assert [item.beyond for item in found.differences] == [True, False]


def test_a_policy_under_another_name(make_job: MakeJob) -> None:
    """The same views and aggregation are the same policy: its numbers are compared, and the name is a fact."""
    job = make_job()
    again = replace(job, policies=(*job.policies[:-1], replace(job.policies[-1], name="new")))
    assert renamed(job, again) == {"new": job.policies[-1].name}
    assert compared(job, again).verdict == "identical"
    assert compared(job, changed(again, "test/nll", 0.1)).verdict == "different"
    (fact,) = facts(job, again, keys=(), given={}, renamed=renamed(job, again))
    assert (fact.group, fact.before, fact.after) == ("code", job.policies[-1].name, "new")


def predicted(job: JobRecord, **changes: np.ndarray) -> list[PolicyPredictions]:
    """Four images, one of them wrong, of each policy; `changes` are of identity."""
    columns = {
        "ids": np.array([f"test/{i}" for i in range(4)]),
        "labels": np.array([0, 1, 0, 1]),
        "predicted": np.array([0, 1, 0, 0]),
        "confidence": np.array([0.9, 0.8, 0.5, 0.6]),
        "nll": np.array([0.1, 0.2, 0.7, 0.9]),
        "correct": np.array([True, True, True, False]),
        "nll_calibrated": np.array([0.1, 0.2, 0.7, 0.9]),
    }
    return [
        PolicyPredictions(policy=policy.name, **{**columns, **(changes if policy.name == "identity" else {})})
        for policy in job.policies
    ]


@pytest.fixture
def found(make_job: MakeJob, tmp_path: Path) -> Callable[..., Findings]:
    """Writes a job's folder with predictions and a table, and reads what it has found."""

    def find(name: str, cell: float = 0.5, **changes: np.ndarray) -> Findings:
        job, folder = make_job(), tmp_path / name
        write_job(folder, job, predictions=predicted(job, **changes))
        rows = (("hflip", "cat", cell, "x"), ("hflip", "dog", 0.25, "x"), ("hflip", "dog", 0.75, "x"))
        write_table(folder, Table("conformal_by_class", ("policy", "class", "coverage", "word"), rows))
        return Findings(job, table_numbers(folder), predictions(folder))

    return find


def test_predictions_are_compared_image_by_image(found: Callable[..., Findings]) -> None:
    """An image that the model alone sees as another is named, though the means stay as they were."""
    confidence = np.array([0.9, 0.8, 0.5, 0.61])
    moved = compare(found("a"), found("b", confidence=confidence, predicted=np.array([0, 1, 1, 0])))
    assert moved.verdict == "different"
    assert (moved.images, moved.moved_images, moved.flips) == (("test/3",), 1, {"identity": 1})
    assert "confidence of image test/3" in str(moved.differences[0])
    rounding = compare(found("c"), found("d", confidence=np.array([0.9, 0.8, 0.5, 0.6009])))
    assert (rounding.verdict, rounding.images) == ("within tolerance", ())


def test_other_images_are_not_compared_one_by_one(found: Callable[..., Findings]) -> None:
    """Labels or ids that are others are one difference, not four."""
    (item,) = [
        one
        for one in compare(found("a"), found("b", labels=np.array([1, 1, 0, 1]))).differences
        if one.place.name == "test images"
    ]
    assert item.beyond


def test_tables_are_compared_cell_by_cell(found: Callable[..., Findings]) -> None:
    """A row is found by its leading words, two of the same words by their order."""
    assert compare(found("a"), found("b")).verdict == "identical"
    (item,) = compare(found("c"), found("d", cell=0.4)).differences
    assert str(item.place) == "table conformal_by_class: hflip cat coverage"
    assert str(list(found("e").tables)[-1]) == "table conformal_by_class: hflip dog (2) coverage"


def listed(before: JobRecord, after: JobRecord, **more: Any) -> list[Fact]:
    """The facts of two records."""
    return list(facts(before, after, **{"keys": (), "given": {}, "renamed": {}, **more}))


def test_a_package_version_explains_and_does_not_decide(make_job: MakeJob) -> None:
    """Another library version is listed; so is one that is no longer installed. The verdict stays with the numbers."""
    job = make_job()
    again = replace(job, versions={"numpy": "3", "keras": "4"})
    assert compared(job, again).verdict == "identical"
    assert [str(fact) for fact in listed(job, again)] == ["keras: absent -> 4", "numpy: 2 -> 3"]
    assert {fact.group for fact in listed(job, again)} == {"environment"}


def test_what_the_first_run_did_not_write_down_says_nothing(make_job: MakeJob) -> None:
    """A job of an older version has no word on threads: that is no change. Settings of a later one are set or not."""
    job = make_job()
    more = {"passes: threads": "2", "processor": "x", "evaluation": "4", "TF_ENABLE_ONEDNN_OPTS": "0"}
    again = replace(job, versions={**job.versions, **more})
    assert listed(job, again) == []
    assert [fact.what for fact in listed(again, replace(again, versions={**again.versions, "processor": "y"}))] == [
        "processor"
    ]
    unset = replace(again, versions={name: text for name, text in again.versions.items() if not name.startswith("TF_")})
    assert [str(fact) for fact in listed(unset, again)] == ["TF_ENABLE_ONEDNN_OPTS: absent -> 0"]


def test_code_that_moved(make_job: MakeJob) -> None:
    """The commit, uncommitted changes, our versions, and a view that is specified differently."""
    job = make_job(versions={"evaluation": "4", "uncommitted changes": "yes"})
    assert "uncommitted changes, perhaps others" in str(listed(job, job)[0])
    views = replace(job.policies[-1], view_keys=("other",))
    again = replace(job, commit="f" * 40, versions={"evaluation": "5"}, policies=(*job.policies[:-1], views))
    assert [fact.what for fact in listed(job, again)] == ["evaluation", "uncommitted changes", "git commit",
                                                          f"views of {views.name}"]  # fmt: skip
    assert {fact.group for fact in listed(job, again)} == {"code"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"digest": "9" * 64, "count": 201}, "another number of images"),
        ({"digest": "9" * 64, "labels": "7" * 64}, "the same labels, other images"),
        ({"digest": "9" * 64, "labels": "8" * 64}, "other labels, perhaps other images"),
        ({"digest": "9" * 64, "labels": ""}, "as many images; their pixels or labels are others"),
    ],
)
def test_data_that_changed(make_job: MakeJob, changes: dict[str, Any], why: str) -> None:
    """The digests of the split, and what is known of the difference."""
    job = make_job()
    splits = dict(job.dataset.splits)
    splits["test"] = replace(splits["test"], labels="7" * 64)
    job = replace(job, dataset=replace(job.dataset, splits=splits))
    new = {**splits, "test": replace(splits["test"], **changes)}
    (fact,) = listed(job, replace(job, dataset=replace(job.dataset, splits=new)))
    assert (fact.group, fact.what, fact.why) == ("data", "test", why)
    assert (fact.before.split(",")[0], fact.after.split(",")[0]) == ("3" * 12, "9" * 12)


def test_a_model_that_training_made_anew(make_job: MakeJob) -> None:
    """Other weights from the same request are explained; another request, or a checkpoint, is another model."""
    job = make_job()
    trained = replace(job, model=replace(job.model, fingerprint="1" * 64))
    same = replace(trained, model=replace(trained.model, digest="9" * 64))
    other = replace(trained, model=replace(trained.model, digest="9" * 64, fingerprint="2" * 64))
    assert "training multiplies rounding" in listed(trained, same)[0].why
    assert listed(trained, other)[0].why == "other weights, or other preprocessing"


def test_configuration_is_explained(make_job: MakeJob) -> None:
    """What was given, what is new in the schema, and trust that is not taken over."""
    keys = [("dataset.path", "a", "b"), ("model.trust", "true", "false"), ("evaluation.new", "absent", "1")]
    found = listed(make_job(), make_job(), keys=keys, given={"dataset.path": "b"})
    assert [fact.why for fact in found] == [
        "given on the command line",
        "trust is not taken over from a run: give model.trust=true",
        "this version of the schema has it",
    ]


def test_a_search_that_chose_otherwise_is_told(make_job: MakeJob, tmp_path: Path) -> None:
    """Whole numbers and words among what was learned are choices; weights are not."""
    texts = {
        "a": {
            "gps": {"learned": {"chosen": [15, 0], "space": "probs", "weights": [0.5, 0.5]}},
            "mean": {"learned": {}},
        },
        "b": {
            "gps": {"learned": {"chosen": [15, 3], "space": "probs", "weights": [0.4, 0.6]}},
            "mean": {"learned": {}},
        },
    }
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "fitted.json").write_text(json.dumps(text))
    before, after = choices(tmp_path / "a"), choices(tmp_path / "b")
    assert before == {"gps": '{"chosen": [15, 0], "space": "probs"}'}
    (fact,) = listed(make_job(), make_job(), chosen=(before, after))
    assert (fact.group, fact.what, "[15, 3]" in fact.after) == ("model", "choice of gps", True)
    assert choices(tmp_path) == {}


def reproduction(comparison: Comparison, *facts: Fact) -> Reproduction:
    """What is said about a comparison."""
    return Reproduction(
        comparison, facts, "net", "2025-03-01", "from nothing", 1, 4, reproduces="ab", reproduction="cd"
    )


def test_the_verdict_can_be_read_by_people_and_scripts(make_job: MakeJob) -> None:
    """The text holds the verdict, what differs, its tolerance and the facts; the JSON holds the same, strictly."""
    job = make_job()
    again = changed(changed(job, "test/nll", 0.25), "test/ece", math.nan)
    said = reproduction(compared(job, again), Fact("environment", "numpy", "2", "3"))
    text = "\n".join(text_lines(said))
    assert "models trained: 1, forward passes run: 4" in text
    assert "verdict: different" in text and "test/nll: 0.43 -> 0.68" in text and "numpy: 2 -> 3" in text
    assert "tolerance, mean: 0.0001" in text and "test/ece: 0.03 -> nan" in text
    value = json.loads(as_json(said), parse_constant=pytest.fail)
    assert (value["verdict"], value["reproduces"], value["reproduction"]) == ("different", "ab", "cd")
    assert [item["off"] for item in value["differences"]] == ["inf", pytest.approx(0.25)]
    assert value["facts"]["environment"] == [{"what": "numpy", "before": "2", "after": "3", "why": ""}]
    assert "**different**" in markdown(said)
    other = reproduction(compared(job, job), Fact("data", "test", "a", "b"))
    assert "every number has the same bits, on other data)" in "\n".join(text_lines(other))


def test_names_of_others_reach_no_terminal_raw(make_job: MakeJob) -> None:
    """A control character in a record's name is spelt out."""
    job = make_job()
    evil = replace(job.policies[-1], name="\x1b]0;pwned\x07", view_keys=("other",))
    said = reproduction(compared(replace(job, policies=(*job.policies[:-1], evil)), job))
    text = "\n".join(text_lines(replace(said, name="a\nb\x1b[2J")))
    assert "\x1b" not in text and "\x07" not in text
    assert "\\x1b]0;pwned\\x07" in text and text.startswith("a\\nb")
