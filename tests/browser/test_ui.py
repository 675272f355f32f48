"""What a person sees who runs a job and opens the printed link: in a real browser, with a profile that is new."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.record_files import read_record
from harness.records import JobRecord
from harness.report import ranked, recommendation_headline
from harness.tracking.entries import rounded
from harness.tracking.location import read_marker
from harness.tracking.ui import check_port

JOB = (
    "dataset=npz",
    "training.epochs=2",
    "training.batch_size=4",
    "evaluation.resamples=200",
    "tta=[hflip,vflip,flips]",
)


@dataclass(frozen=True)
class Opened:
    """A finished job, the links that `harness ui` printed, and a page of a new profile for each caller."""

    record: JobRecord
    run_id: str
    links: dict[str, str]
    page: Callable[[], Any]


@pytest.fixture(scope="module")
def folder(
    browser: Any,  # noqa: ARG001 (nothing is run where nothing can be looked at)
    tmp_path_factory: pytest.TempPathFactory,
    run_in_process: Callable[..., Any],
    tiny_file: Path,
) -> Path:
    """A working directory in which `harness run` has logged a job."""
    here = tmp_path_factory.mktemp("browser")
    done = run_in_process("run", *JOB, f"dataset.path={tiny_file}", folder=here)
    assert done.returncode == 0, done.stderr
    assert "open it with `harness ui`" in done.stdout
    return here


@pytest.fixture(scope="module")
def opened(pages: ModuleType, browser: Any, folder: Path) -> Iterator[Opened]:
    """The UI and a browser; both are gone afterwards, whatever the tests did."""
    (job,) = (file.parent for file in folder.glob("results/*/record.json"))
    marker = read_marker(job)
    assert marker is not None and marker.run_id is not None
    with pages.served(folder) as links:
        yield Opened(read_record(job), marker.run_id, links, lambda: pages.fresh_page(browser))
    check_port(int(links["leaderboard"].split(":")[2].split("/")[0]))


def test_the_printed_link_shows_the_leaderboard(pages: ModuleType, opened: Opened) -> None:
    """Every policy, best first as in the terminal, with its verdict, gain, accuracy and price; no empty page."""
    with opened.page() as page:
        rows = pages.open_leaderboard(page, opened.links["leaderboard"])
    assert list(rows) == [policy.name for policy in ranked(opened.record)]
    for policy in opened.record.policies:
        row = rows[policy.name]
        assert row["params.`verdict`"] == (policy.verdict or "-")
        for name in ("gain/nll_calibrated", "test/accuracy", "cost/passes"):
            assert float(row[f"metrics.`{name}`"]) == rounded(policy.metrics[name])


def test_the_charts_show_accuracy_against_cost(pages: ModuleType, opened: Opened) -> None:
    """One point a policy in the scatter; the bars of gain and the parallel coordinates beside it."""
    with opened.page() as page:
        pages.open_charts(page, opened.links["charts"])
        assert pages.points(page) == len(opened.record.policies)
        assert page.get_by_text("Parallel Coordinates").is_visible()
        assert page.get_by_text("gain/accuracy", exact=True).first.is_visible()


def test_the_page_of_the_job_begins_with_the_answer(pages: ModuleType, opened: Opened) -> None:
    """The description shows the recommendation; unfolded, the leaderboard and commands; then model and data sets."""
    with opened.page() as page:
        pages.open_run(page, opened.links["leaderboard"], opened.run_id)
        assert page.get_by_text(recommendation_headline(opened.record)).first.is_visible()
        page.get_by_text("Show more").first.click()
        assert page.locator("table").filter(has_text="corrected/corrupted").get_by_text("hflip").is_visible()
        assert page.get_by_text(f"harness reproduce {opened.run_id}").first.is_visible()
        assert page.get_by_text(opened.record.dataset.splits["test"].digest[:12]).first.is_visible()
        assert page.get_by_text("Logged models").first.is_visible()


def test_the_report_opens_in_the_artifact_pane(pages: ModuleType, opened: Opened) -> None:
    """`report.html` of the job's run is shown in a frame, and in it the recommendation."""
    with opened.page() as page:
        frame = pages.open_artifact(page, opened.links["leaderboard"], opened.run_id, "report.html")
        headline = frame.get_by_text(recommendation_headline(opened.record)).first
        headline.wait_for()
        assert headline.is_visible()
