"""Several training seeds as one result: the numbers of `harness combine`, and the jobs that it refuses to combine."""

import csv
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import yaml

from harness.combination import combine
from harness.errors import DataError
from harness.record_files import read_record, write_job, write_text
from harness.records import JobRecord, PolicyPredictions, PolicyRecord, SplitRecord
from harness.seed_groups import find_jobs
from harness.types import Estimate
from harness.variance import IMAGES_ONLY, TWO_WAY, two_way_interval, variance_ledger

IMAGES = 30
SETTINGS = {"resamples": 200, "seed": 3, "level": 0.9}
CONFIGURATION = {
    "dataset": {"kind": "digits", "train_fraction": 1.0},
    "model": {"kind": "net", "arguments": {}},
    "training": {"epochs": 3},
    "augmentation": {"kind": "none"},
    "evaluation": {"resamples": 200},
    "engine": "exact",
    "seed": 0,
}

WriteJob = Callable[..., Path]


@pytest.fixture
def write(make_job: Callable[..., JobRecord], tmp_path: Path) -> WriteJob:
    """Writes a finished job whose predictions are drawn by its seed; policies lie apart by what their names say."""

    def call(seed: int, *, config: Mapping[str, Any] = CONFIGURATION, folder: str = "", **changes: Any) -> Path:
        record = make_job(**{"seed": seed, "name": f"net-{seed}", **changes})
        target = tmp_path / "results" / (folder or f"net-{seed}")
        write_text(target / "config.yaml", yaml.safe_dump({**config, "seed": seed}))
        write_job(
            target, record, predictions=[drawn(place, one.name, seed) for place, one in enumerate(record.policies)]
        )
        return target

    return call


def drawn(place: int, name: str, seed: int) -> PolicyPredictions:
    """One policy's predictions: better the further back it stands."""
    rng = np.random.default_rng([place, seed])
    image = np.random.default_rng(0).random(IMAGES)
    correct = image + 0.2 * rng.random(IMAGES) + 0.05 * place > 0.5
    labels, nll = np.zeros(IMAGES, np.int64), rng.random(IMAGES) + image - 0.2 * place
    ids = np.array([f"test/{place}" for place in range(IMAGES)])
    predicted = np.where(correct, 0, 1)
    return PolicyPredictions(name, ids, labels, predicted, rng.random(IMAGES), nll, correct, nll + 0.1)


def read(folders: Sequence[Path], policy: str, column: str) -> np.ndarray:
    """`[S, N]`: what the jobs' files say about a policy, read by pandas."""
    tables = [pandas.read_parquet(folder / "predictions.parquet") for folder in folders]
    found = [table[table["policy"] == policy].set_index("example")[column] for table in tables]
    assert all((one.index == found[0].index).all() for one in found)
    return np.stack([one.to_numpy().astype(np.float64) for one in found])


def ends(estimate: Estimate) -> tuple[float, float, float]:
    """Value, lower, upper."""
    return estimate.value, estimate.lower, estimate.upper


def test_numbers_over_seeds_and_images(write: WriteJob) -> None:
    """Means over both; the gain's interval is the two-way one on the paired differences that pandas reads."""
    folders = [write(seed) for seed in (0, 1, 2)]
    (found,) = combine(reversed(folders), **SETTINGS)
    assert (found.name, found.seeds, found.examples) == ("digits-net", (0, 1, 2), 200)
    assert [one.name for one in found.policies] == ["policy_2", "policy_1", "identity"]
    for one in found.policies:
        correct, nll = read(folders, one.name, "correct"), read(folders, one.name, "nll_calibrated")
        assert one.accuracy == pytest.approx(correct.mean())
        assert one.accuracy_sd == pytest.approx(statistics.stdev(correct.mean(axis=1)))
        assert one.nll_calibrated == pytest.approx(nll.mean())
        gained = correct - read(folders, "identity", "correct")
        assert ends(one.gains["accuracy"]) == pytest.approx(ends(two_way_interval(gained, **SETTINGS)), abs=1e-12)
        gained = read(folders, "identity", "nll_calibrated") - nll
        assert ends(one.gains["nll_calibrated"]) == pytest.approx(ends(two_way_interval(gained, **SETTINGS)), abs=1e-12)
        assert one.gains["accuracy"].method == TWO_WAY
        if one.name != "identity":
            expected = variance_ledger((correct - read(folders, "identity", "correct"))[:, None])
            assert found.ledger(one.name) == expected
    assert found.ledger("identity") is None
    assert found.policies[0].gains["accuracy"].value > 0


def test_the_table_holds_what_was_found(write: WriteJob) -> None:
    """A row a policy with all numbers; a row a policy and source of variance, whose shares add up to one."""
    chosen = [write(0), write(1, chosen=2)]
    (found,) = combine(chosen, **SETTINGS)
    table = found.table()
    rows = {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert [rows[name]["chosen"] for name in ("identity", "policy_1", "policy_2")] == [0, 1, 1]
    assert [rows[name]["passes"] for name in ("identity", "policy_1", "policy_2")] == [1, 2, 3]
    gain = found.policies[0].gains["nll_calibrated"]
    best = rows["policy_2"]
    assert [best[f"nll_calibrated_gain{end}"] for end in ("", "_lower", "_upper")] == list(ends(gain))
    verdict = "ship" if gain.lower > 0 else "undecided"
    assert (best["verdict"], rows["identity"]["verdict"]) == (verdict, "")
    sources = found.ledger_table()
    shares = [dict(zip(sources.columns, row, strict=True)) for row in sources.rows]
    assert {row["source"] for row in shares} == {"training_seed", "image", "residual"}
    for name in ("policy_1", "policy_2"):
        assert sum(float(row["share"] or 0) for row in shares if row["policy"] == name) == pytest.approx(1)


def test_a_verdict_over_seeds(write: WriteJob) -> None:
    """`ship` and `do not ship` where the interval of the calibrated NLL gain lies on one side of zero."""
    (found,) = combine([write(seed) for seed in range(3)], **SETTINGS)
    gain = found.policies[0].gains
    for value, verdict in ((0.3, "ship"), (-0.3, "do not ship"), (0.0, "undecided")):
        moved = {"accuracy": Estimate(0.0, -0.1, 0.1), "nll_calibrated": Estimate(value, value - 0.1, value + 0.1)}
        assert replace(found.policies[0], gains=moved).verdict == verdict
    worse = replace(found.policies[0], gains={**gain, "accuracy": Estimate(-0.2, -0.3, -0.1)})
    assert worse.verdict == "do not ship"
    assert found.policies[-1].verdict == ""


def test_one_seed_says_nothing_about_another(write: WriteJob) -> None:
    """The interval is that of the images, no spread is made up, and the ledger knows the images alone."""
    (found,) = combine([write(4)], **SETTINGS)
    assert {one.gains["accuracy"].method for one in found.policies} == {IMAGES_ONLY}
    assert {one.accuracy_sd for one in found.policies} == {0.0}
    assert [tuple(ledger.shares) for ledger in found.ledgers.values()] == [("image",)] * 2


def view_seeded(record: JobRecord) -> tuple[PolicyRecord, ...]:
    """Policies that differ in their view seed alone."""
    identity, one, other = record.policies
    return identity, replace(one, name="policy_1.seed0"), replace(other, name="policy_1.seed3")


def test_view_seeds_share_a_ledger(write: WriteJob, make_job: Callable[..., JobRecord]) -> None:
    """Training seed, view seed and image are told apart; each of the policies finds the ledger."""
    policies = view_seeded(make_job())
    folders = [write(seed, policies=policies, recommendation=replace(make_job().recommendation, policy="identity"))
               for seed in (0, 1)]  # fmt: skip
    (found,) = combine(folders, **SETTINGS)
    names = ("policy_1.seed0", "policy_1.seed3")
    gained = [read(folders, name, "correct") - read(folders, "identity", "correct") for name in names]
    assert found.ledgers == {"policy_1": variance_ledger(np.stack(gained, axis=1))}
    assert found.ledger(names[0]) == found.ledger(names[1]) == found.ledgers["policy_1"]
    assert "view_seed" in found.ledgers["policy_1"].shares


def test_other_trainings_are_other_results(write: WriteJob) -> None:
    """Jobs that differ in more than the seed are not averaged; their tables are called after what differs.

    How many epochs a training took before it stopped early is no difference.
    """
    flipped = {**CONFIGURATION, "augmentation": {"kind": "flip"}}
    params = {"dataset": "digits", "model": "net", "augmentation": "none"}
    folders = [
        write(0, params={**params, "epochs": 7}),
        write(1, params={**params, "epochs": 9}),
        write(0, config=flipped, folder="flipped", params={**params, "epochs": 7}),
    ]
    found = combine(folders, **SETTINGS)
    assert [(one.name, one.seeds) for one in found] == [
        ("digits-net-augmentation.kind=none", (0, 1)),
        ("digits-net-augmentation.kind=flip", (0,)),
    ]
    assert found[1].table().name == found[1].name
    assert found[1].ledger_table().name == f"{found[1].name}-variance"


def test_other_parts_of_train_are_other_results(write: WriteJob) -> None:
    """Jobs trained on a fifth of the images are not averaged with those trained on all; one written before is whole."""
    part = {**CONFIGURATION, "dataset": {"kind": "digits", "train_fraction": 0.2}}
    before = {**CONFIGURATION, "dataset": {"kind": "digits"}}
    folders = [write(0), write(1, config=before), write(0, config=part, folder="part")]
    assert [(one.name, one.seeds) for one in combine(folders, **SETTINGS)] == [
        ("digits-net-dataset.train_fraction=1.0", (0, 1)),
        ("digits-net-dataset.train_fraction=0.2", (0,)),
    ]


def test_what_cannot_be_paired_is_refused(write: WriteJob, make_job: Callable[..., JobRecord]) -> None:
    """Other test images, other policies, a policy with other views, a seed twice, nothing at all: one line each."""
    record, first = make_job(), write(0)
    splits = {**record.dataset.splits, "test": SplitRecord("4" * 64, 200)}
    other_policy = (*record.policies[:2], replace(record.policies[2], view_keys=("else", "view1", "view2")))
    refused = {
        "net-0 and net-1 have different test images: they cannot be paired": write(
            1, folder="a", dataset=replace(record.dataset, splits=splits)
        ),
        r"net-0 and net-1 differ in policies \(policy_2\): name the folders of one tta, or --sweep ID": write(
            1, folder="b", gains=(0.02,)
        ),
        r"net-0 and net-1 differ in policies \(policy_2\)": write(1, folder="c", policies=other_policy),
        "two jobs of digits and net have seed 0: name the folders of one": write(0, folder="d"),
        r"expected the configuration of a job in .*config\.yaml": write(1, folder="e"),
        "expected a finished job in .*, but it has no record.json": first.parent / "nowhere",
    }
    (first.parent / "e" / "config.yaml").write_text("[]")
    for says, folder in refused.items():
        with pytest.raises(DataError, match=says) as caught:
            combine([first, folder], **SETTINGS)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="expected finished jobs to combine, got none"):
        combine([], **SETTINGS)


def test_jobs_are_found_by_study_and_sweep(write: WriteJob, tmp_path: Path) -> None:
    """All below the folder, or those of one study, one sweep, or both; folders without a record are none."""
    jobs = [write(0, study="a", sweep="x"), write(1, study="a", sweep="y"), write(2, study=None, sweep="x")]
    (tmp_path / "results" / "unfinished").mkdir()
    output = tmp_path / "results"
    assert find_jobs(output, study=None, sweep=None) == jobs
    assert find_jobs(output, study="a", sweep=None) == jobs[:2]
    assert find_jobs(output, study=None, sweep="x") == [jobs[0], jobs[2]]
    assert find_jobs(output, study="a", sweep="x") == jobs[:1]
    assert find_jobs(tmp_path / "nowhere", study=None, sweep=None) == []


def test_the_command(harness: Any, write: WriteJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and overrides in any order; a table that fits the terminal; CSV files below `output`."""
    monkeypatch.setenv("COLUMNS", "160")
    for seed in (0, 1):
        write(seed, study="first")
    write(2, study="second")
    answer = harness("combine", "--study", "first", "evaluation.level=0.9")
    assert (answer.code, answer.err) == (0, "")
    assert "digits-net: 2 training seeds (0, 1) x 200 images" in answer.out
    (line,) = [line for line in answer.out.splitlines() if line.startswith("policy_2")]
    (found,) = combine([Path("results/net-0"), Path("results/net-1")], resamples=100, seed=0, level=0.9)
    best = found.policies[0]
    gain = best.gains["accuracy"]
    assert f"{100 * best.accuracy:.2f} ± {100 * best.accuracy_sd:.2f}" in line
    assert f"{100 * gain.value:+.2f} [{100 * gain.lower:+.2f}, {100 * gain.upper:+.2f}]" in line
    assert line.endswith(best.verdict)
    with Path("results/combined/tables/digits-net.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["accuracy"]) for row in rows] == [one.accuracy for one in found.policies]
    assert Path("results/combined/tables/digits-net-variance.csv").exists()
    assert "3 training seeds" in harness("combine").out
    alone = harness("combine", "results/net-2", "output=elsewhere")
    assert "1 training seed (2) x 200 images" in alone.out
    assert "±" not in alone.out
    assert Path("elsewhere/combined/tables/digits-net.csv").exists()


def test_what_is_left_out_is_named(harness: Any, write: WriteJob) -> None:
    """A job that has no other of its kind, and one that a sweep found finished: its seed belongs to the result."""
    write(0)
    write(1, sweep="ab")
    write(2, sweep="ab")
    write(2, sweep="cd", folder="again")  # a seed that the sweep has, and so nothing new
    write(0, gains=(0.02,), folder="fewer")
    write(3, gains=(0.01, 0.02, 0.03), folder="other")
    write(4, folder="damaged")
    Path("results/damaged/config.yaml").unlink()
    answer = harness("combine", "--sweep", "ab")
    assert (answer.code, "2 training seeds (1, 2)" in answer.out) == (0, True)
    joining = "not of this sweep, but alike with other seeds: net-0; without --sweep they join"
    assert answer.err == f"warning: {joining}\n"
    for folder in ("results/damaged", "results/again"):
        shutil.rmtree(folder)
    answer = harness("combine")
    assert (answer.code, "3 training seeds (0, 1, 2)" in answer.out) == (0, True)
    assert answer.err == "warning: left out, because no other job differs in the seed alone: fewer, other\n"
    shutil.rmtree("results/net-2")
    assert harness("combine", "--sweep", "ab").error.endswith(f"or name folders; {joining}")


def test_the_command_tells_trainings_apart(harness: Any, write: WriteJob) -> None:
    """Several combinations of one data set and model have names and tables of their own; none overwrites another."""
    flipped = {**CONFIGURATION, "augmentation": {"kind": "flip"}}
    for seed in (0, 1):
        write(seed)
        write(seed, gains=(0.02,), folder=f"few-{seed}")
        write(seed, config=flipped, folder=f"flipped-{seed}")
    answer = harness("combine")
    assert (answer.code, answer.err) == (0, "")
    names = ("augmentation.kind=none", "augmentation.kind=none-2", "augmentation.kind=flip")
    for name in names:
        assert f"digits-net-{name}: 2 training seeds" in answer.out
    rows = [Path(f"results/combined/tables/digits-net-{name}.csv").read_text().count("\n") for name in names]
    assert sorted(rows) == [3, 4, 4]


def test_the_table_fits_a_narrow_terminal(harness: Any, write: WriteJob) -> None:
    """With 80 columns the gain is still whole, and no cell is cut off."""
    write(0)
    write(1)
    out = harness("combine").out
    assert "…" not in out
    assert "gain, points [95%]" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("combine", "expected jobs that differ in their training seed alone, got 0"),
        ("combine nowhere", "expected a finished job in nowhere"),
        ("combine --study nothing", "got 0 that do not"),
        ("combine evaluation.levl=0.9", "did you mean evaluation.level"),
        ("combine --stdy x", "unexpected argument"),
    ],
)
def test_a_mistake_is_one_line(harness: Any, line: str, says: str) -> None:
    """Exit code 2."""
    answer = harness(*line.split())
    assert (answer.code, says in answer.error) == (2, True)


def test_jobs_of_several_seeds_end_to_end(harness: Any, tiny: tuple[str, ...]) -> None:
    """Three trained seeds with two view seeds: what the command says is what the jobs' own files say."""
    arrays = dict(np.load("tiny.npz"))
    noise = np.random.default_rng(1).normal(0, 40, arrays["x_test"].shape)
    arrays["x_test"] = np.clip(arrays["x_test"] + noise, 0, 255).astype(np.uint8)
    np.savez("tiny.npz", **arrays)
    policies = (
        "tta=hflip",
        "+tta.r.views=[identity,{kind:random_affine,rotation_range:20}]",
        "+tta.r.view_seeds=[0,1]",
    )
    answer = harness("run", "-m", *tiny, "seed=0,1,2", *policies, "tracking=none")
    assert answer.code == 0, answer.err
    assert harness("combine").code == 0
    folders = sorted(Path("results").glob("*/record.json"), key=lambda file: read_record(file.parent).seed)
    jobs = [file.parent for file in folders]
    with Path("results/combined/tables/tiny-small_cnn.csv").open(encoding="utf-8") as stream:
        rows = {row["policy"]: row for row in csv.DictReader(stream)}
    assert set(rows) == {"identity", "hflip", "r.seed0", "r.seed1"}
    for name, row in rows.items():
        accuracies = [read_record(job).policy(name).metrics["test/accuracy"] for job in jobs]
        assert float(row["accuracy"]) == pytest.approx(np.mean(accuracies), abs=1e-12)
        assert float(row["accuracy_sd"]) == pytest.approx(statistics.stdev(accuracies), abs=1e-12)
        gained = read(jobs, name, "correct") - read(jobs, "identity", "correct")
        expected = two_way_interval(gained, resamples=2000, seed=0, level=0.95)
        assert [float(row[f"accuracy_gain{end}"]) for end in ("", "_lower", "_upper")] == pytest.approx(ends(expected))
    assert len({row["accuracy"] for row in rows.values()}) > 1
    with Path("results/combined/tables/tiny-small_cnn-variance.csv").open(encoding="utf-8") as stream:
        sources = [(row["policy"], row["source"]) for row in csv.DictReader(stream)]
    assert ("hflip", "training_seed") in sources
    assert ("r", "view_seed") in sources
