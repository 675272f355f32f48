"""Parts of the README on the site's first page."""

import pytest
from _site import readme


@pytest.fixture(autouse=True)
def _readme(tmp_path, monkeypatch) -> None:
    text = (
        "# Name\n\nLead [one](docs/one.md#two).\n\n## First\n\nText [study](experiments/x/README.md)\n\n### Deeper\n\n"
    )
    (tmp_path / "README.md").write_text(f"{text}[out](https://example.org), [below](#first)\n\n## Second\n\nEnd.\n")
    monkeypatch.setattr(readme, "ROOT", tmp_path)


def test_the_lead_is_what_stands_before_the_first_section() -> None:
    """The title itself is left out, and links are those of a page in the folder."""
    assert readme.section("#", folder="docs") == "Lead [one](one.md#two)."


def test_a_section_ends_at_the_next_of_its_rank() -> None:
    """Deeper headings belong to it; links to other sites and places stay as they are."""
    assert readme.section("## First", folder="docs") == (
        "Text [study](../experiments/x/README.md)\n\n### Deeper\n\n[out](https://example.org), [below](#first)"
    )
    assert readme.section("## Second", folder="docs") == "End."


def test_a_heading_that_has_gone_is_said() -> None:
    """A renamed heading ends the build instead of leaving a hole."""
    with pytest.raises(ValueError, match="no heading '## Third'"):
        readme.section("## Third", folder="docs")
