"""The site builds strictly, is complete, and asks the network for nothing."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent.parent
START = "docs/index.html"


@dataclass
class Page(HTMLParser):
    """What a page refers to: `links` that a reader follows, `assets` that a browser loads, `places` one can link to."""

    links: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for each element."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("next", "prev", "search", "index"):
            self.assets.append(given["href"])
        elif tag in ("script", "img", "iframe", "source", "video", "audio", "embed") and "src" in given:
            self.assets.append(given["src"])


def sphinx(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """The command of `make docs`, into another folder."""
    (line,) = re.findall(
        r"^\t@\$\(BIN\)/python (-m sphinx .*) build/docs$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    command = [sys.executable, *line.split(), str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = sphinx(ROOT, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page of the site by its path."""
    found = {}
    for file in site.rglob("*.html"):
        page = found[file.relative_to(site).as_posix()] = Page()
        page.feed(file.read_text(encoding="utf-8"))
    return found


def target(page: str, link: str) -> tuple[str, str]:
    """The file within the site that a link on a page leads to, and the place in it."""
    parts = urlsplit(link)
    path = (Path("/") / page).parent / unquote(parts.path) if parts.path else Path("/") / page
    return path.resolve().relative_to("/").as_posix(), unquote(parts.fragment)


def test_every_page_of_the_repository_is_on_the_site(pages: dict[str, Page]) -> None:
    """All Markdown below `docs/`, the studies' READMEs and the changelog."""
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "experiments").glob("*/README.md"), ROOT / "CHANGELOG.md"]
    assert {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in sources} - set(pages) == set()


def test_every_page_is_reached_from_the_first(pages: dict[str, Page]) -> None:
    """Whoever follows links from the first page can read all others."""
    seen, waiting = {START}, [START]
    while waiting:
        page = waiting.pop()
        reached = {target(page, link)[0] for link in pages[page].links if not urlsplit(link).scheme}
        waiting += sorted(reached & set(pages) - seen)
        seen |= reached
    assert set(pages) - seen - {"index.html", "genindex.html", "py-modindex.html", "search.html"} == set()


def test_every_link_and_place_is_there(site: Path, pages: dict[str, Page]) -> None:
    """Each relative link, anchors included, leads to something; so does each image, script and style."""
    broken = []
    for name, page in pages.items():
        for link in (*page.links, *page.assets):
            if urlsplit(link).scheme or (link.startswith("#") and len(link) == 1):
                continue
            file, place = target(name, link)
            known = pages[file].places if file in pages else set()
            if not (site / file).is_file() or (place and file in pages and place not in known):
                broken.append((name, link))
    assert broken == []


def test_nothing_is_loaded_from_the_network(site: Path, pages: dict[str, Page]) -> None:
    """No page, style sheet or script of the site names a font, script, image or style elsewhere."""
    assert {asset for page in pages.values() for asset in page.assets if urlsplit(asset).netloc} == set()
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", style.read_text(encoding="utf-8")) == []


def test_the_root_leads_to_the_first_page(site: Path) -> None:
    """Whoever opens the folder's `index.html` gets there."""
    assert f"url={START}" in (site / "index.html").read_text(encoding="utf-8")


def test_a_link_to_nothing_ends_the_build(tmp_path: Path) -> None:
    """A page, a place or a picture that is missing, and a page that no list names, are errors that name it.

    A link to the README leads to the first page instead, and one to a file that is no page is text.
    """
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copytree(ROOT / "docs" / "_site", docs / "_site", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "docs" / "conf.py", docs / "conf.py")
    (tmp_path / "README.md").write_text("# Not a page\n")
    (tmp_path / "code.py").touch()
    (docs / "page.md").write_text("# Page\n\n## Place\n\n[first](../README.md) [the code](../code.py)\n")
    (docs / "alone.md").write_text("# Alone\n")
    wrong = "[a](gone.md) [b](page.md#nowhere) ![c](gone.png)"
    (docs / "index.md").write_text(f"# Index\n\n[page](page.md#place)\n\n{wrong}\n\n```{{toctree}}\npage\n```\n")
    done = sphinx(tmp_path, tmp_path / "build")
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 4
    for what in ("gone.md", "nowhere", "gone.png", "alone.md"):
        assert what in done.stderr
    html = (tmp_path / "build" / "docs" / "page.html").read_text()
    assert re.search(r'<a [^>]*href="index.html[^>]*>(<[^>]*>)*first<', html)
    assert "the code" in html and "code.py" not in html
