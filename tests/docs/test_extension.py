"""What is done to pages before Sphinx reads them."""

import pytest
from _site import extension


def filled(page: str, text: str) -> str:
    """A page's text as Sphinx reads it."""
    source = [text]
    extension.fill(None, page, source)  # type: ignore[arg-type]
    return source[0]


def test_a_marker_is_replaced_on_a_line_of_its_own() -> None:
    """Elsewhere it is text."""
    text = filled("docs/reference/x", "# X\n\n<!-- site: exit_codes -->\n\nSee `<!-- site: exit_codes -->`.\n")
    assert "| 0 | done |" in text
    assert "See `<!-- site: exit_codes -->`." in text


def test_the_pages_of_a_folder_follow_its_readme() -> None:
    """In the sidebar only, unless the README asks for the list; nothing is added to other pages."""
    assert ":hidden:\n:maxdepth: 1\n*" in filled("docs/methods/README", "# Methods\n")
    listed = filled("docs/how-to/README", "# How to\n\n<!-- site: pages -->\n")
    assert ":hidden:" not in listed and listed.count("toctree") == 1
    assert filled("docs/faq", "# FAQ\n") == "# FAQ\n"
    assert filled("experiments/x/README", "# X\n") == "# X\n"


def test_an_unknown_marker_is_an_error() -> None:
    """A misspelt name does not leave a hole in a page."""
    with pytest.raises(KeyError):
        filled("docs/x", "<!-- site: comands -->\n")
