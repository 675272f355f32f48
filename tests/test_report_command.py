"""`harness report`: the page of what was named, where it was asked for, and one line where it cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import record_files
from harness.records import JobRecord
from harness.tracking import jobs

MakeJob = Callable[..., JobRecord]


@pytest.fixture(autouse=True)
def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("harness.page.job", "harness.page.together"):
        monkeypatch.setattr(f"{module}.javascript", lambda _cache: "")


@pytest.fixture
def results(make_job: MakeJob, tmp_path: Path) -> Path:
    """Two jobs of two seeds."""
    for seed in (0, 1):
        folder = tmp_path / "results" / f"job{seed}"
        record_files.write_text(folder / record_files.CONFIG, "seed: 0\n")
        record_files.write_job(folder, make_job(seed=seed, job_id=f"{seed:064d}", name=f"net-{seed}"), predictions=[])
    return tmp_path / "results"


@pytest.mark.usefixtures("results")
def test_one_job_by_its_name(harness: Any) -> None:
    """The name of a folder below `output` is enough; the page lies where one is."""
    answer = harness("report", "job1")
    assert (answer.code, answer.out) == (0, "1 job: report.html\n")
    text = Path("report.html").read_text(encoding="utf-8")
    assert "seed 1" in text
    assert "Job by job" not in text


def test_none_is_all(harness: Any, results: Path) -> None:
    """Without a name all jobs below `output` are compared, and folders of the page are made."""
    answer = harness("report", "--output", "pages/all.html")
    assert (answer.code, answer.out) == (0, "2 jobs: pages/all.html\n")
    assert "Job by job" in Path("pages/all.html").read_text(encoding="utf-8")
    other = harness("report", f"output={results}", "--output", "again.html")
    assert other.out == "2 jobs: again.html\n"


def test_a_job_that_is_named_twice_is_shown_once(harness: Any, results: Path) -> None:
    """By its name and by its folder it is the same job."""
    assert harness("report", "job1", str(results / "job1")).out == "1 job: report.html\n"


def test_the_jobs_of_an_experiment(harness: Any, results: Path, database: Path) -> None:
    """Those that were logged and finished, found on this disk by their run."""
    jobs.log_job(results / "job0", uri=f"sqlite:///{database}", experiment="mine")
    answer = harness("report", "--experiment", "mine")
    assert (answer.code, answer.out) == (0, "1 job: report.html\n")
    assert harness("report", "--experiment", "none").error == "error: the tracker has no experiment 'none'"


@pytest.mark.parametrize(("arguments", "words"), [
    (("job7",), "no job 'job7'"),
    (("--output", "results"), "--output takes the path of the page"),
    (("job0", "--experiment", "mine"), "expected jobs or --experiment, got both"),
    (("output=nowhere",), "expected a finished job in or below nowhere"),
])  # fmt: skip
@pytest.mark.usefixtures("results", "database")
def test_what_cannot_be_is_one_line(harness: Any, arguments: tuple[str, ...], words: str) -> None:
    """No page is written, and the line says what would do."""
    answer = harness("report", *arguments)
    assert answer.code == 2
    assert words in answer.error
    assert not Path("report.html").exists()


def test_a_job_without_its_page_gets_one(harness: Any, tiny: tuple[str, ...]) -> None:
    """Found finished, a job is not evaluated again; its page and pictures are made where they are missing."""
    assert harness("run", *tiny, "tta=hflip", "tracking=none").code == 0
    (page,) = Path("results").glob("*/report.html")
    record = (page.parent / "record.json").read_bytes()
    page.unlink()
    answer = harness("run", *tiny, "tta=hflip", "tracking=none")
    assert (answer.code, answer.computed) == (0, 0)
    assert page.exists()
    assert (page.parent / "record.json").read_bytes() == record
    before = page.stat().st_mtime_ns
    assert harness("run", *tiny, "tta=hflip", "tracking=none").code == 0
    assert page.stat().st_mtime_ns == before
