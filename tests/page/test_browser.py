"""The page as a browser shows it: every picture drawn, nothing fetched, usable when narrow, dark, and in a sandbox."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.page.job import write_page
from harness.records import JobRecord

MakeJob = Callable[..., JobRecord]
MakeFolder = Callable[..., Path]


@pytest.fixture
def page_file(make_job: MakeJob, make_folder: MakeFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a job with forty policies, with the library inside."""
    folder = make_folder(make_job(tuple(0.02 - 0.001 * place for place in range(40))))
    write_page(folder, cache=tmp_path_factory.getbasetemp())
    return folder / "report.html"


def opened(browser: Any, url: str, **options: Any) -> tuple[Any, list[str]]:
    """A page with all its pictures drawn, and whatever it complained of or asked the network for."""
    said: list[str] = []
    page = browser.new_context(offline=True, **options).new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else said.append(request.url),
    )
    page.goto(url)
    return page, said


def test_it_draws_and_sorts_without_a_network(browser: Any, page_file: Path) -> None:
    """Eight pictures as SVG, a table that filters and sorts, not one request and not one complaint."""
    page, said = opened(browser, page_file.as_uri(), viewport={"width": 1100, "height": 800})
    page.wait_for_function("document.querySelectorAll('.chart svg').length === 8")
    every = "[...document.querySelectorAll('.sortable tbody tr')]"
    rows = f"{every}.filter(row => !row.hidden).map(row => row.children[0].dataset.key)"
    assert len(page.evaluate(rows)) == 41
    page.fill("input[type=search]", "policy_2")
    assert len(page.evaluate(rows)) == 11
    page.fill("input[type=search]", "")
    page.select_option("select", "do not ship")
    assert len(page.evaluate(rows)) == 20
    page.select_option("select", "")
    heading = page.locator("th", has_text="passes").first
    heading.click()
    heading.click()
    assert page.evaluate(rows)[0] == "policy_40"
    assert page.locator(".save button").first.is_visible()
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Any, page_file: Path, scheme: str) -> None:
    """390 pixels wide nothing sticks out, and ink differs from paper in both schemes."""
    page, said = opened(browser, page_file.as_uri(), viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.wait_for_function("document.querySelectorAll('.chart svg').length === 8")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look = [
        page.evaluate("getComputedStyle(document.body).backgroundColor"),
        page.evaluate("getComputedStyle(document.querySelector('.chart svg text')).fill"),
    ]
    light = ["rgb(255, 255, 255)", "rgb(29, 31, 35)"]
    assert look == light if scheme == "light" else look[0] != light[0] and look[1] != light[1]
    assert said == []


@pytest.mark.parametrize(("sandbox", "pictures"), [("allow-scripts", 8), ("", 0)])
def test_it_opens_in_a_sandboxed_frame(
    browser: Any, page_file: Path, tmp_path: Path, sandbox: str, pictures: int
) -> None:
    """As MLflow shows artifacts: with scripts it draws; where scripts are blocked, still pictures stand instead."""
    frame = tmp_path / "frame.html"
    frame.write_text(f'<iframe sandbox="{sandbox}" src="{page_file.as_uri()}" width=900 height=700></iframe>')
    page, _ = opened(browser, frame.as_uri())
    inside = page.frame_locator("iframe")
    if pictures:
        inside.locator(".chart svg.marks").nth(pictures - 1).wait_for(state="attached")
    inside.locator("h1").wait_for()
    assert inside.locator(".chart svg").count() == 8
    assert "Ship policy_1" in inside.locator("h1").inner_text()
