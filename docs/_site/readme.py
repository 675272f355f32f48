"""Parts of the README, so that it and the site's first page say the same."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LINK = re.compile(r"\]\((?!\w+:|#)([^)]*)\)")


def section(heading: str, *, folder: str) -> str:
    """The text below a heading of the README, to the next heading of its rank or a higher one.

    Args:
        heading: with its `#`, e.g. `## How it works`; `#` alone is what stands between the title and the first `##`.
        folder: where the text goes, relative to the README: links are written anew for a page there.

    Raises:
        ValueError: where the README has no such heading.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = r"^# [^\n]*$" if heading == "#" else rf"^{re.escape(heading)}$"
    found = re.search(rf"{start}\n(.*?)(?=^##? |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"README.md has no heading {heading!r}")
    return LINK.sub(lambda link: f"]({os.path.relpath(link[1], folder)})", found[1]).strip()
