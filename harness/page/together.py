"""The page of several jobs: a row for each, their policies across jobs, training seeds together, then job by job."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from harness.charts.across import draw_across
from harness.charts.files import as_svg, javascript
from harness.charts.models import draw_models
from harness.charts.picture import Picture
from harness.charts.price import ACCURACY, NLL
from harness.combination import Combination, combine_each
from harness.errors import DataError
from harness.page import words
from harness.page.page import Figure, Overview, render, section
from harness.page.pictures import pictures
from harness.page.reading import JobFiles
from harness.records import IDENTITY, JobRecord
from harness.report import gain_text, percent, points, price_text
from harness.seed_groups import seeds_apart

NOTHING = words.Verdict("no policy", words.SIGNS["do not ship"], words.STYLES["do not ship"])
"""Where identity is best: "do not ship" would speak of identity."""
SEED_ROWS = 12
RESAMPLES, SEED = 2000, 0  # of the bootstrap of images, which only a single seed would need


def jobs_page(jobs: Sequence[JobFiles], *, cache: Path) -> str:
    """The page of these jobs, in their order."""
    sections = [
        # Stills of every picture of every job would double the page.
        section(job, [Figure(f"{one.name}-{place}", one) for one in pictures(job)])
        for place, job in enumerate(jobs)
    ]
    return render(sections, title=f"{len(jobs)} jobs", script=javascript(cache), overview=_overview(jobs))


def _overview(jobs: Sequence[JobFiles]) -> Overview:
    records = [job.record for job in jobs]
    models, notes = _models(jobs)
    drawn = [draw_across(_different(records)), *models]
    return Overview(
        answer=words.overview_answer(records),
        rows=[_row(job) for job in jobs],
        figures=[Figure(one.name, one, as_svg(one)) for one in drawn if one is not None],
        notes=notes,
        seeds=[(_seeds_title(found), _seed_rows(found)) for found in _combinations(jobs)],
    )


def _different(records: Sequence[JobRecord]) -> list[JobRecord]:
    """The records without the policies that another one has on the same network and the same images.

    Two jobs with different lists of policies may share some: the same numbers are no second finding.
    """
    seen: set[tuple[object, ...]] = set()
    found = []
    for record in records:
        where = (record.model.digest, record.dataset.splits["test"].digest)
        new = [
            policy
            for policy in record.policies
            if (*where, policy.name, policy.aggregation, policy.view_keys) not in seen
        ]
        seen |= {(*where, policy.name, policy.aggregation, policy.view_keys) for policy in new}
        found.append(replace(record, policies=tuple(new)))
    return found


def _row(job: JobFiles) -> words.Row:
    record = job.record
    policy = record.policy(record.recommendation.policy)
    accuracy, gain, nll_gain = (
        policy.metrics.get(name, 0.0) for name in ("test/accuracy", "gain/accuracy", "gain/nll_calibrated")
    )
    ratio = words.latency_ratio(policy, job.latency)
    price = price_text(policy) + (f", {ratio}" if ratio else "")
    cells = (
        words.Cell(policy.name, policy.name),
        words.Cell("–" if policy.name == IDENTITY else gain_text(policy), gain),
        words.Cell("–" if policy.name == IDENTITY else words.nll_gain(policy), nll_gain),
        words.Cell(percent(accuracy), accuracy),
        words.Cell(price, policy.passes),
        words.Cell(str(len(record.policies)), len(record.policies)),
    )
    verdict = NOTHING if policy.name == IDENTITY else words.verdict(record.recommendation.verdict)
    return words.Row(words.short_name(record), False, verdict, cells, job=job.folder.name)


def _models(jobs: Sequence[JobFiles]) -> tuple[list[Picture], list[str]]:
    """Pictures of several models on the same test images; a sentence for a data set that has none for want of times."""

    def data(job: JobFiles) -> tuple[str, str]:
        return job.record.dataset.name, job.record.dataset.splits["test"].digest

    drawn: list[Picture] = []
    notes: list[str] = []
    for (name, digest), group in groupby(sorted(jobs, key=data), key=data):
        found = [(job.record, job.latency) for job in group]
        if len({record.model_name for record, _ in found}) < 2:
            continue
        of_data = [one for one in (draw_models(found, ACCURACY), draw_models(found, NLL)) if one is not None]
        drawn += [replace(one, name=f"{one.name}-{digest[:8]}") for one in of_data]
        if not of_data:
            notes.append(
                f"{name} has several models, but not two with a measured latency: whether TTA beats a bigger model at "
                "equal time is open, because forward passes of different models are no common price; harness price "
                "measures."
            )
    return drawn, notes


def _combinations(jobs: Sequence[JobFiles]) -> list[Combination]:
    """Jobs that differ in their training seed alone, together; none where there are none."""
    seeds = {job.folder: job.record.seed for job in jobs}
    try:
        groups = seeds_apart(seeds)
    except DataError:
        return []
    # Jobs that differ in their corruptions too are of one group; the first of each seed speaks for it.
    firsts = [list({seeds[folder]: folder for folder in reversed(group)}.values()) for group in groups]
    several = [group for group in firsts if len(group) > 1]
    level = jobs[0].record.level
    return combine_each(several, resamples=RESAMPLES, seed=SEED, level=level) if several else []


def _seeds_title(found: Combination) -> str:
    seeds = ", ".join(map(str, found.seeds))
    return f"{found.name}: {len(found.seeds)} training seeds ({seeds}) × {found.examples:,} images"


def _seed_rows(found: Combination) -> list[tuple[str, ...]]:
    policies = found.policies[:SEED_ROWS]
    policies += tuple(one for one in found.policies[SEED_ROWS:] if one.name == IDENTITY)
    return [
        (
            one.name,
            f"{one.passes:.4g}",
            f"{percent(one.accuracy)} ± {percent(one.accuracy_sd)}",
            "reference"
            if one.name == IDENTITY
            else "{} [{}, {}]".format(*(points(value) for value in one.gains["accuracy"].ends)),
            f"{one.nll_calibrated:.4f}",
            one.verdict,
        )
        for one in policies
    ]
