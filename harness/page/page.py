"""From what was read of jobs to one HTML text; everything that was written by users is escaped."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from harness import __version__
from harness.charts.picture import CONFIG, Picture
from harness.gallery import Gallery
from harness.page import words
from harness.page.reading import JobFiles
from harness.records import JobRecord

ROOM = Path(__file__).parent
BESIDE = ("reliability", "reliability_calibrated")
"""Pictures that share a line."""


@dataclass(frozen=True)
class Figure:
    """A picture in its place: a number of its own on the page, and a still for those without JavaScript."""

    key: str
    picture: Picture
    still: str = ""

    @property
    def beside(self) -> bool:
        """Whether it shares its line with another one."""
        return self.picture.name in BESIDE


@dataclass(frozen=True)
class View:
    """One view of an image of the gallery, as a data URI, with what the model says to it."""

    source: str
    name: str
    predicted: str
    confidence: str
    right: bool


@dataclass(frozen=True)
class Section:
    """All that the page says about one job."""

    record: JobRecord
    answer: str
    lead: str
    verdict: words.Verdict
    cards: Sequence[words.Card]
    columns: Sequence[str]
    rows: Sequence[words.Row]
    figures: Sequence[Figure]
    corrupted: Sequence[tuple[str, ...]]
    gallery: Gallery | None
    exhibits: Sequence[tuple[Any, Sequence[View]]]
    facts: Sequence[tuple[str, str]]
    latency_notes: Sequence[str] = ()


@dataclass(frozen=True)
class Overview:
    """What the page says about several jobs together: an answer, a row a job, pictures, tables over seeds."""

    answer: str
    rows: Sequence[words.Row]
    figures: Sequence[Figure]
    notes: Sequence[str] = ()
    seeds: Sequence[tuple[str, Sequence[tuple[str, ...]]]] = field(default_factory=tuple)


def section(job: JobFiles, figures: Sequence[Figure]) -> Section:
    """The section of one job with these pictures."""
    record = job.record
    return Section(
        record=record,
        answer=words.answer(record, job.latency),
        lead=words.lead(record),
        verdict=words.verdict(record.recommendation.verdict),
        cards=words.cards(record, job.latency),
        columns=words.table_columns(record, job.latency),
        rows=words.table_rows(record, job.latency),
        figures=figures,
        corrupted=words.corruption_rows(job.tables.get("corruptions_summary", []), record),
        gallery=job.gallery,
        exhibits=[(exhibit, _views(job, exhibit)) for exhibit in (job.gallery.exhibits if job.gallery else ())],
        facts=words.facts(record),
        latency_notes=words.latency_notes(job.latency),
    )


def render(sections: Sequence[Section], *, title: str, script: str, overview: Overview | None = None) -> str:
    """The page.

    Args:
        sections: one a job.
        title: of the window.
        script: the library that draws the pictures.
        overview: goes before the sections, which are then folded.
    """
    figures = [*(overview.figures if overview else ()), *(one for part in sections for one in part.figures)]
    data = {"config": CONFIG, "specs": {one.key: one.picture.spec for one in figures}}
    return _template().render(
        title=title,
        overview=overview,
        sections=sections,
        data=data,
        short_name=words.short_name,
        version=__version__,
        css=Markup((ROOM / "page.css").read_text(encoding="utf-8")),
        # Inside a script element, this is the one thing that would end it.
        library=Markup(script.replace("</script", "<\\/script")),
        behaviour=Markup((ROOM / "page.js").read_text(encoding="utf-8")),
    )


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOM), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    return environment.get_template("page.html.j2")


def _views(job: JobFiles, exhibit: Any) -> list[View]:
    return [
        View(
            source="data:image/png;base64," + base64.b64encode(pixels).decode(),
            name=shown.view,
            predicted=shown.said.predicted,
            confidence=f"{shown.said.confidence:.2f}",
            right=shown.said.predicted == exhibit.label,
        )
        for pixels, shown in zip(job.tiles[exhibit], exhibit.views, strict=True)
    ]
