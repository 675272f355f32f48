"""The page: the record's numbers, every section that the data have, nothing of elsewhere, nothing that runs."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.page import words
from harness.page.job import job_page, write_page
from harness.page.page import ROOM
from harness.page.reading import read_job
from harness.page.together import jobs_page
from harness.records import JobRecord
from harness.selection import Recommendation

MakeJob = Callable[..., JobRecord]
MakeFolder = Callable[..., Path]

LATENCY = {
    "measured": "2025-03-01T12:00:00+00:00", "machine": "a machine", "device": "CPU", "threads": 2, "load": 0.1,
    "noisy": True, "notes": ["the machine was busy"],
    "timings": [
        {"policy": name, "batch": 1, "queries": 100, "milliseconds": {"p50": p50}, "images_per_second": 1e3,
         "ratio": p50 / 2}
        for name, p50 in (("identity", 2.0), ("policy_1", 5.0))
    ],
}  # fmt: skip
KEEP = Recommendation("identity", "do not ship", "Nothing gains.", "A rule.", "nll_calibrated")
VOID = {"meta", "input", "img", "br", "link"}


class Reader(HTMLParser):
    """Text, attributes and headings of a page; an element that is not closed, or closed twice, fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.elements: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:  # noqa: D102
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:  # noqa: D102
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        """Everything that a person reads."""
        return " ".join(part for part in self.texts if part)


def page(folder: Path, cache: Path) -> Reader:
    """The page of one job, drawn by no library."""
    (cache / "page").mkdir(parents=True, exist_ok=True)
    return Reader(job_page(read_job(folder), cache=cache))


@pytest.fixture(autouse=True)
def _no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is a megabyte that these tests do not look at."""
    for module in ("harness.page.job", "harness.page.together"):
        monkeypatch.setattr(f"{module}.javascript", lambda _cache: "/* a library */ '</script>'")


def test_the_answer_comes_first(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """One sentence with the gain, its interval and the price, in the first heading."""
    found = page(make_folder(make_job(), latency=LATENCY), tmp_path)
    answer = "Ship policy_1: +2.00 [+1.00, +3.00] points of accuracy on test for 2 forward passes instead of 1"
    assert answer in found.text
    assert found.text.index(answer) < found.text.index("It gains.") < found.text.index("All policies")
    assert "and 2.5 × the latency" in found.text


def test_a_card_holds_the_records_numbers(make_job: MakeJob) -> None:
    """Gain with interval, adjusted p, corrected and corrupted, calibrated NLL, price, verdict."""
    record = make_job()
    chosen, other = words.cards(record, None)
    assert dict(chosen.facts) == {
        "gain, points [95%]": "+2.00 [+1.00, +3.00]", "accuracy": "90.00 %", "adjusted p, accuracy": "<0.001",
        "corrected / corrupted": "+31/-12", "calibrated NLL": "0.3300", "price": "2 passes per image",
    }  # fmt: skip
    assert (chosen.policy, chosen.chosen, chosen.verdict.text, chosen.verdict.sign) == ("policy_1", True, "ship", "▲")
    assert (other.policy, other.verdict.text, other.verdict.sign) == ("policy_2", "do not ship", "▼")


def test_of_many_policies_a_few_have_cards(make_job: MakeJob) -> None:
    """The chosen one first, and six at most; the table has all of them."""
    record = make_job(tuple(0.001 * place for place in range(50)), chosen=3)
    cards = words.cards(record, None)
    assert cards[0].policy == "policy_3"
    assert len(cards) == 6
    assert len(words.table_rows(record, None)) == 51


def test_the_table_is_sorted_by_numbers(make_job: MakeJob) -> None:
    """Each cell carries the number that it shows; what has none carries nothing."""
    record = make_job()
    rows = {row.policy: row for row in words.table_rows(record, None)}
    columns = words.table_columns(record, None)
    cells = dict(zip(columns, rows["policy_1"].cells, strict=True))
    assert (cells["accuracy %"].text, cells["accuracy %"].key) == ("90.00", pytest.approx(0.9))
    assert cells["gain, points [95%]"].key == pytest.approx(0.02)
    assert dict(zip(columns, rows["identity"].cells, strict=True))["p adj."].key == ""


def test_what_is_there_is_shown(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """With everything: cards, table, seven kinds of pictures, corruptions, gallery, facts and command."""
    found = page(make_folder(make_job(), latency=LATENCY), tmp_path)
    parts = ["All policies", "Pictures", "On corrupted copies of test", "Images that policy_1 rescued and harmed",
             "What the numbers are about", "harness run dataset=digits", "noisy: do not rely on it",
             "rescued 10 and harmed 5", "3 of the views are not", "cat 0.70", "careful"]  # fmt: skip
    assert [part for part in parts if part not in found.text] == []
    keys = {value for tag, name, value in found.attributes if (tag, name) == ("figure", "id")}
    assert keys == {
        "gains",
        "accuracy_price",
        "nll_price",
        "copies",
        "reliability",
        "agreement",
        "classes",
        "corruptions",
    }
    images = [value for tag, name, value in found.attributes if (tag, name) == ("img", "src")]
    assert len(images) == 4
    assert all(value.startswith("data:image/png;base64,") for value in images)


def test_what_is_not_there_is_left_out(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """From the record alone: no empty section, and no picture without data."""
    record = make_job((), chosen=0, reliability={}, warnings=())
    found = page(make_folder(record, bare=True), tmp_path)
    absent = ["corrupted copies", "rescued", "warning", "Latency measured"]
    assert [part for part in absent if part in found.text] == []
    assert (
        "No policy is better than identity: ship the plain model, 88.00 % accuracy for 1 pass per image" in found.text
    )
    keys = {value for tag, name, value in found.attributes if (tag, name) == ("figure", "id")}
    assert keys == {"accuracy_price", "nll_price"}


def test_nothing_is_fetched(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """No element names an address, and the page's own policy forbids what would."""
    found = page(make_folder(make_job(), latency=LATENCY), tmp_path)
    links = [value for _, name, value in found.attributes if name in ("src", "href", "action", "srcset", "data")]
    assert [value for value in links if not value.startswith(("data:", "#"))] == []
    (policy,) = [value for tag, _, value in found.attributes if tag == "meta" and value.startswith("default-src")]
    assert policy.startswith("default-src 'none'")
    assert re.findall(r"url\(|@import", (ROOM / "page.css").read_text(encoding="utf-8")) == []


def test_names_are_text_and_never_run(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """A class, a policy or a question that looks like a script is shown as it is: three scripts are ours."""
    hostile = "<script>alert('x')</script>"
    record = make_job()
    renamed = tuple(replace(one, name=hostile) if one.name == "policy_2" else one for one in record.policies)
    data = replace(record.dataset, class_names=(hostile, "dog"), notes=(hostile,))
    record = replace(record, policies=renamed, dataset=data, question=hostile, warnings=(hostile,), command=hostile)
    found = page(make_folder(record), tmp_path)
    assert found.elements.count("script") == 3
    assert found.text.count(hostile) >= 5


def test_the_folder_gets_pictures_and_page(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """`plots/` holds PNG and SVG of the few that matter, `report.html` is there at last."""
    folder = make_folder(make_job())
    write_page(folder, cache=tmp_path)
    plots = {path.name for path in (folder / "plots").iterdir()}
    names = ("gains", "accuracy_price", "nll_price", "copies", "reliability")
    assert plots == {f"{name}.{suffix}" for name in names for suffix in ("png", "svg")}
    assert "Ship policy_1" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("file", "text"), [
    ("record.json", "{}"), ("tables/copies.csv", "policy,copies\nx,many\n"), ("latency.json", "[]"),
    ("predictions.parquet", "no parquet"), ("gallery/gallery.json", "["),
])  # fmt: skip
def test_a_damaged_file_is_named(make_job: MakeJob, make_folder: MakeFolder, file: str, text: str) -> None:
    """One line with the file's name, and no page of half the data."""
    folder = make_folder(make_job(), latency=LATENCY)
    (folder / file).write_text(text)
    with pytest.raises(DataError, match=Path(file).name):
        read_job(folder)


def test_several_jobs_have_an_overview(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """A row for each, policies across jobs, seeds together, and each job folded below."""
    jobs: list[Any] = [
        make_folder(make_job(seed=0), "a"),
        make_folder(make_job(seed=0, job_id="cd" * 32), "a2"),
        make_folder(make_job(seed=1, model=replace(make_job().model, digest="ef" * 32)), "b"),
        make_folder(make_job((-0.01,), chosen=0, params={"model": "big"}, recommendation=KEEP), "c"),
    ]
    found = Reader(jobs_page([read_job(folder) for folder in jobs], cache=tmp_path))
    assert "In 3 of 4 jobs a policy is worth shipping: policy_1" in found.text
    parts = [
        "digits · net · seed 0",
        "digits · net · seed 1",
        "digits · big · seed 0",
        "policy_1 has the highest mean gain",
        "2 training seeds (0, 1) × 200 images",
        "harness price measures",
    ]
    assert [part for part in parts if part not in found.text] == []
    folded = [value for tag, name, value in found.attributes if (tag, name) == ("details", "class") and value == "job"]
    assert len(folded) == 4
    keys = [value for tag, name, value in found.attributes if (tag, name) == ("figure", "id")]
    assert len(keys) == len(set(keys))
    links = [value for tag, name, value in found.attributes if (tag, name) == ("a", "href")]
    places = [f"#{value}" for tag, name, value in found.attributes if (tag, name) == ("p", "id")]
    assert links == places and len(links) == 4
    assert "▼ no policy" in found.text  # "do not ship" would speak of identity


def test_ways_to_train_are_told_apart(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """Seeds together for each way to train one network on one data set: the titles say which is which."""
    folders = [
        make_folder(make_job(seed=seed, job_id=f"{i}{seed}" * 32), f"{i}{seed}") for i in (1, 2) for seed in (0, 1)
    ]
    for folder in folders[2:]:
        file = folder / "config.yaml"
        file.write_text(file.read_text().replace("train_fraction: 1.0", "train_fraction: 0.2"))
    found = Reader(jobs_page([read_job(folder) for folder in folders], cache=tmp_path))
    for share in ("1.0", "0.2"):
        assert f"dataset.train_fraction={share}: 2 training seeds (0, 1) × 200 images" in found.text


def test_several_models_with_latencies_are_compared(make_job: MakeJob, make_folder: MakeFolder, tmp_path: Path) -> None:
    """On one data set, with what was measured of each."""
    big = {**LATENCY, "timings": [{**LATENCY["timings"][0], "milliseconds": {"p50": 6.0}}]}
    bigger = make_job((), chosen=0, params={"model": "big"})
    better = replace(bigger.policies[0], metrics={**bigger.policies[0].metrics, "test/accuracy": 0.89})
    jobs = [
        make_folder(make_job(params={"model": "small"}), "a", latency=LATENCY),
        make_folder(replace(bigger, policies=(better,)), "b", latency=big),
    ]
    found = Reader(jobs_page([read_job(folder) for folder in jobs], cache=tmp_path))
    assert "policy_1 on small beats big in no more time: accuracy 90.00 % against 89.00 %" in found.text


@pytest.mark.parametrize(("chosen", "answer"), [
    ((0, 0), "In none of 2 jobs a policy is worth shipping"),
    ((1, 2), "In 2 of 2 jobs a policy is worth shipping, most often policy_2 (1 ×)"),
])  # fmt: skip
def test_the_overview_counts_what_ships(make_job: MakeJob, chosen: tuple[int, int], answer: str) -> None:
    """By the recommendations' verdicts; among equals the last name."""
    jobs = [make_job(chosen=one) for one in chosen]
    jobs = [replace(one, recommendation=replace(one.recommendation, verdict="do not ship")) if number == 0 else one
            for one, number in zip(jobs, chosen, strict=True)]  # fmt: skip
    assert words.overview_answer(jobs) == answer
