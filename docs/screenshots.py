"""Makes the pictures of the documentation, `docs/images/mlflow-*.png`, from a job that is run for them.

`make screenshots` runs it: the default job on the embedded data in a temporary folder, the MLflow UI on loopback, and
Chromium without a window. Nothing is downloaded, and nothing is left but the pictures.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow_pages as pages
from PIL import Image
from playwright.sync_api import Browser, Page

from harness.tracking.location import read_marker

IMAGES = Path(__file__).parent / "images"
WIDTH = 1400
SETTLE_MILLISECONDS = 4_000  # for pictures inside the report


def main() -> None:
    """Runs the job and takes the pictures; says what was written."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="harness-screenshots-") as temporary:
        folder = Path(temporary)
        subprocess.run([sys.executable, "-m", "harness", "run"], cwd=folder, check=True)
        (record,) = folder.glob("results/*/record.json")
        marker = read_marker(record.parent)
        if marker is None or marker.run_id is None:
            raise SystemExit("error: the job was not logged")
        with pages.served(folder) as links, pages.browser() as browser:
            _leaderboard(browser, links["leaderboard"])
            _charts(browser, links["charts"])
            _job(browser, links["leaderboard"], marker.run_id)
            _report(browser, links["leaderboard"], marker.run_id)


def _leaderboard(browser: Browser, link: str) -> None:
    with pages.fresh_page(browser, width=WIDTH, height=760) as page:
        pages.tidy(page)
        pages.open_leaderboard(page, link)
        pages.hide_banner(page)
        _save(page, "mlflow-leaderboard")


def _charts(browser: Browser, link: str) -> None:
    with pages.fresh_page(browser, width=WIDTH, height=1080) as page:
        pages.tidy(page)
        pages.open_charts(page, link)
        pages.hide_banner(page)
        page.wait_for_selector(".parcoords svg, svg.parcoords, canvas")
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        _save(page, "mlflow-charts")


def _job(browser: Browser, link: str, run_id: str) -> None:
    with pages.fresh_page(browser, width=WIDTH, height=1240) as page:
        pages.tidy(page)
        pages.open_run(page, link, run_id)
        page.get_by_text("Show more").first.click()
        page.get_by_text("Child runs", exact=True).wait_for()
        page.get_by_text("Child runs loading").wait_for(state="hidden")
        _save(page, "mlflow-job")


def _report(browser: Browser, link: str, run_id: str) -> None:
    with pages.fresh_page(browser, width=WIDTH, height=1000) as page:
        pages.tidy(page)
        pages.open_artifact(page, link, run_id, "report.html").locator("h1").first.wait_for()
        # A path in a temporary folder tells a reader nothing.
        page.get_by_text("Path: ").first.evaluate("element => { element.style.visibility = 'hidden' }")
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        _save(page, "mlflow-report")


def _save(page: Page, name: str) -> None:
    """The visible page, in 256 colours where that halves the file."""
    full = page.screenshot()
    stream = io.BytesIO()
    Image.open(io.BytesIO(full)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        stream, "PNG", optimize=True
    )
    best = stream.getvalue() if 2 * len(stream.getvalue()) <= len(full) else full
    (IMAGES / f"{name}.png").write_bytes(best)
    print(f"{name}.png: {len(best) / 1000:.0f} kB (of {len(full) / 1000:.0f})")


if __name__ == "__main__":
    main()
