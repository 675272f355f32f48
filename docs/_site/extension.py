"""What is done to the pages when the site is built.

- A comment `<!-- site: NAME -->` on a line of its own is replaced by what `PARTS` makes under that name.
- A README is the parent of the other pages of its folder: where they are not listed by `<!-- site: pages -->`, they
  follow it in the sidebar. No list of pages has to be kept.
- A link to the README leads to the first page, and a link to a file that is no page becomes its name.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

from _site.choices import choices
from _site.commands import commands, errors, exit_codes
from _site.configuration import configuration
from _site.listings import aggregations, corruptions, transforms
from _site.python import python
from _site.readme import section

MARKER = re.compile(r"^<!-- site: (\w+)(?: (.+))? -->$", re.MULTILINE)
PAGES = "```{toctree}\n:glob:\n:maxdepth: 1\n*\n```\n"
HIDDEN = PAGES.replace(":glob:", ":glob:\n:hidden:")
PARTS: Mapping[str, Callable[[], str]] = {
    "configuration": configuration,
    "choices": choices,
    "commands": commands,
    "exit_codes": exit_codes,
    "errors": errors,
    "transforms": transforms,
    "aggregations": aggregations,
    "corruptions": corruptions,
    "python": python,
    "pages": lambda: PAGES,
}


def setup(app: Sphinx) -> Mapping[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    app.connect("doctree-read", mend_links)
    app.connect("doctree-read", name_attributes)
    app.connect("autodoc-process-signature", plain_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(_app: Sphinx, page: str, source: list[str]) -> None:
    """Replaces the markers of a page, and puts the pages of a folder below its README.

    Raises:
        KeyError: for a marker that names nothing.
    """
    text = source[0]
    if page.startswith("docs/") and page.endswith("/README") and "<!-- site: pages -->" not in text:
        text += "\n" + HIDDEN
    source[0] = MARKER.sub(lambda found: part(found[1], found[2], folder=str(Path(page).parent)), text)


def part(name: str, argument: str | None, *, folder: str) -> str:
    """The Markdown that a marker stands for."""
    return section(argument or "#", folder=folder) if name == "readme" else PARTS[name]()


def mend_links(app: Sphinx, document: nodes.document) -> None:
    """Leads links to the README to the first page; makes links to files that are no pages literal text."""
    for link in list(document.findall(pending_xref)):
        if link.get("refdomain") == "doc" and link["reftarget"] not in app.env.found_docs:
            if link["reftarget"] == "README":
                link["reftarget"] = app.config.root_doc
            elif (Path(app.srcdir) / f"{link['reftarget']}.md").is_file():
                _as_text(link)
    for file in list(document.findall(download_reference)):
        _as_text(file)


def name_attributes(_app: Sphinx, document: nodes.document) -> None:
    """Calls what docstrings list under `Attributes:` so, where Sphinx says variables."""
    for name in document.findall(nodes.field_name):
        if name.astext() == "Variables":
            name[:] = [nodes.Text("Attributes")]


def plain_signature(
    _app: Sphinx, _what: str, _name: str, thing: Any, _options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Signatures that can be read: none for a protocol, whose is `*args, **kwargs`, and no name of a factory."""
    if getattr(thing, "_is_protocol", False):
        return "", None
    return signature and signature.replace("<factory>", "..."), returns


def _as_text(link: nodes.Element) -> None:
    text = link.astext()
    literal = len(link.children) == 1 and any(isinstance(node, nodes.literal) for node in link.findall())
    link.replace_self(nodes.literal(text, text) if literal else nodes.inline(text, text))
