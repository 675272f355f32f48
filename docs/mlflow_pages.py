"""The pages of the MLflow UI that a person opens, for the browser test and the documentation's screenshots.

Served by `harness ui` itself, opened in Chromium with a fresh profile. Whatever was started is ended, also after an
error. What a page shows is found by what a person reads there, except in tables, whose cells have ids.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from playwright.sync_api import Browser, FrameLocator, Page, sync_playwright

START_SECONDS = 180  # of the server, on a machine that is busy
PAGE_MILLISECONDS = 90_000
CHARTS_SETTLE_MILLISECONDS = 3_000
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
SCATTER = "cost/passes vs. test/accuracy"


class NoBrowserError(Exception):
    """There is no Chromium here."""


def chromium() -> str | None:
    """The path of the browser: `CHROMIUM`, else what is called chromium or Chrome here, else None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def served(folder: Path, *overrides: str) -> Iterator[dict[str, str]]:
    """`harness ui` in `folder`, on a free port; the links that it prints, by their names, once the server answers."""
    with tempfile.TemporaryFile("w+") as said:
        command = [sys.executable, "-m", "harness", "ui", "--no-open", "--port", str(_free_port()), *overrides]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            links = dict(line.split() for line in islice(process.stdout or (), 2))
            _wait_until_ready(links["leaderboard"], process)
            yield links
        except (LookupError, ValueError, TimeoutError) as error:
            said.seek(0)
            raise RuntimeError(f"harness ui did not start: {said.read()}") from error
        finally:
            process.terminate()  # ends the server too, in order
            process.communicate(timeout=60)


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window.

    Raises:
        NoBrowserError: where there is none.
    """
    with sync_playwright() as playwright:
        path = chromium() or playwright.chromium.executable_path  # its own, where `playwright install` was called
        if not Path(path).exists():
            raise NoBrowserError("no Chromium: install it, or name it in CHROMIUM")
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield started
        finally:
            started.close()


@contextmanager
def fresh_page(started: Browser, *, width: int = 1400, height: int = 900) -> Iterator[Page]:
    """A page of a profile that has never been here."""
    context = started.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(PAGE_MILLISECONDS)
    try:
        yield context.new_page()
    finally:
        context.close()


def tidy(page: Page) -> None:
    """Keeps the assistant away, which covers a quarter of the page on a first visit; for pages opened later."""
    page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => { const style = document.createElement('style');"
        "style.textContent = '[data-assistant-ui] { display: none !important }'; document.head.append(style) })"
    )


def open_leaderboard(page: Page, link: str) -> dict[str, dict[str, str]]:
    """Opens the table of policies and reads it: for each row the text of its cells, by column; rows by their names."""
    page.goto(link)
    page.wait_for_selector("[role=row] [col-id^='metrics.']")
    return _rows(page)


def open_charts(page: Page, link: str) -> None:
    """Opens the charts and waits until the scatter has its points and the parallel coordinates their lines."""
    page.goto(link)
    page.get_by_text(SCATTER).wait_for()
    page.wait_for_selector(".scatterlayer .point, .scatterlayer path")
    page.wait_for_timeout(CHARTS_SETTLE_MILLISECONDS)


def hide_banner(page: Page) -> None:
    """Closes the notice that a view is shared."""
    page.get_by_label("Hide banner").click()
    page.mouse.move(0, 0)


def points(page: Page) -> int:
    """How many points the first scatter chart has."""
    return page.locator(".scatterlayer").first.locator("path.point").count()


def open_run(page: Page, link: str, run_id: str) -> None:
    """Opens a run's page, from any link into its experiment."""
    page.goto(_run_link(link, run_id))
    page.get_by_text("About this run").wait_for()


def open_artifact(page: Page, link: str, run_id: str, name: str) -> FrameLocator:
    """Opens an artifact of a run and gives the frame in which the UI shows a page."""
    page.goto(f"{_run_link(link, run_id, '/artifacts')}")
    page.get_by_text(name, exact=True).first.click()
    return page.frame_locator("iframe").first


def _rows(page: Page) -> dict[str, dict[str, str]]:
    cells: Mapping[str, Mapping[str, str]] = page.evaluate(
        """() => { const rows = {};
        for (const cell of document.querySelectorAll('[role=row] [role=gridcell][col-id]')) {
            const row = rows[cell.closest('[role=row]').getAttribute('row-index')] ??= {};
            row[cell.getAttribute('col-id')] = cell.innerText.trim(); }
        return rows }"""
    )
    rows = [dict(cells[place]) for place in sorted(cells, key=int)]
    # Above the name stands, unseen, its colour.
    names = [row.get("attributes.`Run Name`", "").rpartition("\n")[2] for row in rows]
    return {name: row for name, row in zip(names, rows, strict=True) if name}


def _run_link(link: str, run_id: str, pane: str = "") -> str:
    experiment = link.partition("/runs")[0]
    return f"{experiment}/runs/{run_id}{pane}?workflowType=machine_learning"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(link: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{link.partition('/#')[0]}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    raise TimeoutError(link)
