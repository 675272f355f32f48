"""What a job's folder is given when the job is done: pictures as files, and the page."""

from collections.abc import Sequence
from pathlib import Path

from harness.charts.files import as_svg, javascript, write_pictures
from harness.charts.picture import Picture
from harness.page.page import Figure, render, section
from harness.page.pictures import pictures
from harness.page.reading import JobFiles, read_job
from harness.page.words import short_name
from harness.record_files import PAGE, PLOTS, write_text

KEPT = ("gains", "accuracy_price", "nll_price", "reliability", "copies")
"""Pictures that are files too: the others would cost a job more than they tell without hovering."""


def write_page(folder: Path, *, cache: Path) -> None:
    """Writes `plots/` and then `report.html` into a finished job's folder.

    Args:
        folder: the job's.
        cache: where the drawing library is kept, for it takes seconds to bundle.

    Raises:
        DataError: where the folder holds no finished job, or a damaged file.
        StoreError: where it cannot be written.
    """
    job = read_job(folder)
    found = pictures(job)
    write_pictures([one for one in found if one.name in KEPT], folder / PLOTS)
    write_text(folder / PAGE, job_page(job, found, cache=cache))


def job_page(job: JobFiles, found: Sequence[Picture], *, cache: Path) -> str:
    """The page of one job."""
    figures = [Figure(one.name, one, as_svg(one)) for one in found]
    return render([section(job, figures)], title=short_name(job.record), script=javascript(cache))
