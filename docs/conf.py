"""Sphinx reads the repository as it is: the pages below `docs/`, the studies' READMEs and the changelog.

`make docs` builds them strictly. Source files stay where they are, so that a link between two pages leads to the same
place in the repository and on the site.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.append(str(DOCS))

from harness import __version__  # noqa: E402

project = "TTA harness"
author = "The TTA harness authors"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "_site.extension"]
root_doc = "docs/index"
PAGES = ("docs", "experiments", "CHANGELOG.md")
include_patterns = ["docs/**.md", "experiments/*/README.md", "CHANGELOG.md"]
# Not looked into, whatever lies there.
exclude_patterns = [path.name for path in DOCS.parent.iterdir() if path.name not in PAGES]

nitpicky = True  # a name in the Python pages that leads nowhere is an error
suppress_warnings: list[str] = []
nitpick_ignore_regex = [
    # Nothing is looked up on the network, so that other people's types are names without a link.
    ("py:.*", r"(numpy|np|collections|pathlib|typing|pandas|pd|dataclasses)\..*"),
    ("py:.*", r"[A-Z]"),  # letters of shapes
]
highlight_language = "none"
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_block", "deflist"]
# Docstrings are Markdown in this respect: `name` is code.
default_role = "code"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "special-members": "__call__"}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"TTA harness {version}"
html_static_path = ["_site/style"]
html_css_files = ["site.css"]
html_extra_path = ["_site/entrance"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
templates_path: list[str] = []
