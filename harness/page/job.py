"""What a job's folder is given when the job is done: pictures as files, and the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.charts.files import as_svg, javascript, write_pictures
from harness.charts.picture import Picture
from harness.page.page import Figure, render, section
from harness.page.pictures import pictures
from harness.page.reading import JobFiles, read_job
from harness.page.words import short_name
from harness.record_files import PAGE, PLOTS, write_text

KEPT = ("gains", "accuracy_price", "nll_price", "copies", "reliability", "reliability_calibrated")
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
    stills = {one.name: as_svg(one) for one in found}
    write_pictures({name: svg for name, svg in stills.items() if name in KEPT}, folder / PLOTS)
    write_text(folder / PAGE, _page(job, found, stills, cache=cache))


def job_page(job: JobFiles, *, cache: Path) -> str:
    """The page of one job; `cache` as above."""
    found = pictures(job)
    return _page(job, found, {one.name: as_svg(one) for one in found}, cache=cache)


def _page(job: JobFiles, found: Sequence[Picture], stills: Mapping[str, str], *, cache: Path) -> str:
    figures = [Figure(one.name, one, stills[one.name]) for one in found]
    return render([section(job, figures)], title=short_name(job.record), script=javascript(cache))
