"""The pictures of a job, in the order of the page; each is there where the job has what it needs."""

from harness.charts.agreement import draw_agreement
from harness.charts.classes import class_rows, draw_classes
from harness.charts.copies import draw_copies
from harness.charts.corruptions import draw_corruptions
from harness.charts.fronts import draw_front
from harness.charts.gains import draw_gains
from harness.charts.picture import Picture
from harness.charts.price import ACCURACY, NLL
from harness.charts.reliability import draw_reliability
from harness.page.reading import JobFiles
from harness.records import IDENTITY


def pictures(job: JobFiles) -> list[Picture]:
    """Gains, price, copies, calibration, views, classes, corruptions."""
    found = [
        draw_gains(job.record),
        draw_front(job.record, job.latency, ACCURACY),
        draw_front(job.record, job.latency, NLL),
        draw_copies(
            job.tables.get("copies", []), identity=job.record.policy(IDENTITY).metrics.get("test/accuracy", 0.0)
        ),
        *draw_reliability(job.record),
        _agreement(job),
        _classes(job),
        _corruptions(job),
    ]
    return [one for one in found if one is not None]


def _agreement(job: JobFiles) -> Picture | None:
    policy, table = job.record.highlighted, job.tables.get("agreement", [])
    if policy is None or len(table) < 2:
        return None
    return draw_agreement(table, views=list(dict.fromkeys((IDENTITY, *policy.views))), policy=policy.name)


def _classes(job: JobFiles) -> Picture | None:
    policy, right = job.record.highlighted, job.right
    if policy is None or right is None:
        return None
    rows = class_rows(right.labels, right.identity, right.policy, class_names=job.record.dataset.class_names)
    return draw_classes(rows, policy=policy.name)


def _corruptions(job: JobFiles) -> Picture | None:
    policy, table = job.record.highlighted, job.tables.get("corruptions", [])
    return None if policy is None else draw_corruptions(table, policy=policy.name, level=job.record.level)
