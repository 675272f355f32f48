"""Tables of transforms, aggregations and corruptions hold everything that the registries know."""

from _site.listings import aggregations, corruptions, transforms
from _site.markdown import table

from harness.corruptions.registry import CORRUPTIONS
from harness.policies.registry import AGGREGATIONS
from harness.transforms.registry import TRANSFORMS


def kinds(page: str) -> list[str]:
    """The names at the heads of the rows."""
    return [line.split("|")[1].strip(" `") for line in page.splitlines()[2:]]


def test_every_transform_has_a_row() -> None:
    """In the order of the registry, with parameters, ranges and defaults."""
    assert kinds(transforms()) == list(TRANSFORMS)
    (row,) = (line for line in transforms().splitlines() if line.startswith("| `crop`"))
    assert "`fraction in (0, 1]`" in row and r"center \| top_left" in row


def test_every_aggregation_has_a_row() -> None:
    """In the order of the registry, with its nature."""
    assert kinds(aggregations()) == list(AGGREGATIONS)
    assert "| `exact_exit` | adaptive |" in aggregations()
    assert "`fraction=0.1 in (0, 1]`" in aggregations()


def test_every_corruption_has_a_row() -> None:
    """With the published parameters of all five severities for both sizes."""
    assert kinds(corruptions()) == list(CORRUPTIONS)
    assert "| `jpeg_compression` | quality 80, 65, 58, 50, 40 | quality 25, 18, 15, 10, 7 |" in corruptions()


def test_a_cell_cannot_break_its_table() -> None:
    """Bars are escaped and lines joined."""
    assert table(["a"], [["x | y\n z"]]).splitlines()[2] == r"| x \| y z |"
