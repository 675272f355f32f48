"""What the pages say holds: every policy composes, nothing that can be chosen or is logged goes without a page."""

import importlib.util
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import yaml

from harness.build import policies
from harness.compose import compose
from harness.corruptions.registry import CORRUPTIONS
from harness.evaluation import Settings, evaluate
from harness.firewall import Examples
from harness.job_record import policy_record
from harness.metrics import example_scores, summary
from harness.policies.logits import ViewLogits
from harness.policies.policy import Policy
from harness.policies.registry import AGGREGATIONS
from harness.transforms.registry import TRANSFORMS
from harness.types import Predictions

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "methods").glob("*.md"))
TEXT = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
LINKED = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("experiments/*/*.md")]
}
METHODS = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def name_of(block: str) -> str:
    """The name of the one policy that a block of YAML defines."""
    (name,) = yaml.safe_load(block)
    return str(name)


SNIPPETS = [
    pytest.param(block, id=f"{page.stem}:{name_of(block)}")
    for page in PAGES
    for block in re.findall(r"^```yaml policy\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
]
PEER_SETS = re.findall(r"^\|[^|\n]*\| `(\w+)` \| (\d+) \|", TEXT["methods/views.md"], re.MULTILINE)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Policy, ...]:
    """The policies of all pages' YAML, saved as the pages say to, under one command."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "conf" / "tta").mkdir(parents=True)
    for snippet in SNIPPETS:
        block = str(snippet.values[0])
        (folder / "conf" / "tta" / f"{name_of(block)}.yaml").write_text(block, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found, notes = policies(compose([f"tta=[{','.join(name_of(str(one.values[0])) for one in SNIPPETS)}]"]))
    assert not notes
    return found


@pytest.mark.parametrize("block", SNIPPETS)
def test_every_policy_on_a_page_composes(block: str, composed: tuple[Policy, ...]) -> None:
    """Saved under its name in the user's `conf/tta`, it becomes policies of that name, a row for each aggregation."""
    node = yaml.safe_load(block)[name_of(block)]
    given = node.get("aggregation")
    rows = len(given) if isinstance(given, list) else node.get("up_to", 1)
    found = [policy for policy in composed if policy.name.split(".")[0] == name_of(block)]
    assert len(found) == rows * len(node.get("view_seeds", [0]))


def test_no_policy_on_a_page_goes_unchecked() -> None:
    """A YAML block of a methods page is marked `yaml policy`, and each name is there once."""
    assert re.findall(r"^```ya?ml(?! policy$).*$", METHODS, re.MULTILINE) == []
    names = [str(snippet.id).split(":")[1] for snippet in SNIPPETS]
    assert len(set(names)) == len(names) > 0


@pytest.mark.parametrize("kind", AGGREGATIONS)
def test_every_aggregation_has_an_entry_to_copy(kind: str) -> None:
    """Some policy on a page uses it, and so it has been composed above."""
    used = [str(snippet.values[0]) for snippet in SNIPPETS]
    assert any(re.search(rf"\b{kind}\b", block.partition("aggregation:")[2]) for block in used)
    assert f"`{kind}`" in TEXT["methods/README.md"]


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_every_transform_is_described(kind: str) -> None:
    """Its name stands at the head of a row of one of the two pages on views."""
    assert re.search(rf"^\| `{kind}` \|", TEXT["methods/views.md"] + TEXT["methods/random-views.md"], re.MULTILINE)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_every_corruption_is_described(kind: str) -> None:
    """Its name stands at the head of a row of the page on robustness."""
    assert re.search(rf"^\| `{kind}` \|", TEXT["methods/robustness.md"], re.MULTILINE)


def test_peers_have_as_many_views_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of other libraries' sets names every policy of `suite/peers`, with its number of views."""
    monkeypatch.chdir(tmp_path)
    found = policies(compose(["tta=suite/peers"]))[0][1:]
    assert {name: int(count) for name, count in PEER_SETS} == {one.name: len(one.views) for one in found}


def witnesses() -> list[list[str]]:
    """The rows of `docs/witnesses.md`: what, witness, tolerance, tests."""
    lines = [line for line in TEXT["witnesses.md"].splitlines() if line.startswith("|") and "`tests/" in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_no_row_goes_without_a_witness() -> None:
    """Every row has four cells, none empty, and the test files it names exist."""
    rows = witnesses()
    assert len(rows) == TEXT["witnesses.md"].count("\n|") - 2 * TEXT["witnesses.md"].count("\n|:--|")
    for row in rows:
        assert len(row) == 4 and all(row), row
        files = re.findall(r"`(tests/[^`]+)`", row[3])
        assert files and all((ROOT / file).is_file() for file in files), row


def test_everything_that_can_be_chosen_has_a_witness() -> None:
    """Every aggregation, transform and corruption is named in the first cell of a row."""
    named = {name for row in witnesses() for name in re.findall(r"`(\w+)`", row[0])}
    assert {*AGGREGATIONS, *TRANSFORMS, *CORRUPTIONS} - named == set()


def logits(seed: int, *, views: int = 3, examples: int = 60, classes: int = 7) -> np.ndarray:
    """Made-up logits `[V, N, C]` float32 that are right more often than chance."""
    stream = np.random.default_rng(seed)
    favoured = (np.arange(examples) % classes)[:, None] == np.arange(classes)
    found: np.ndarray = (stream.normal(size=(views, examples, classes)) + favoured).astype(np.float32)
    return found


def test_every_metric_of_the_summary_has_a_witness_and_a_meaning() -> None:
    """What `harness.metrics.summary` logs is in a row of the witnesses and of the table of metrics."""
    values = logits(0)[0].astype(np.float64)
    log_probs = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    names = set(summary(example_scores(Predictions(log_probs, np.arange(60) % 7))))
    assert len(names) == 9
    witnessed = {name for row in witnesses() for name in re.findall(r"`(\w+)`", row[0])}
    assert names - witnessed == set()
    assert {name for name in names if f"`{name}`" not in TEXT["metrics.md"]} == set()


def test_every_number_of_a_policy_is_explained() -> None:
    """Each name that a record holds is in `docs/metrics.md`, those of a split without their prefix."""
    labels = np.arange(60) % 7
    examples = {
        split: Examples(np.array([f"{split}{i}" for i in range(60)]), labels) for split in ("validation", "test")
    }
    found = evaluate((), lambda split, _view: logits(len(split))[0], examples, settings=Settings(resamples=100))
    names = {re.sub("^(test|validation)/", "", name) for name in policy_record(found.identity, {}).metrics}
    assert {name for name in names if f"`{name}`" not in TEXT["metrics.md"]} == set()


def test_the_aggregations_of_the_how_to_work(tmp_path: Path) -> None:
    """The two blocks of Python of `add-an-aggregation.md` are modules that do what the page says."""
    blocks = re.findall(r"^```python\n(.*?)^```$", TEXT["how-to/add-an-aggregation.md"], re.DOTALL | re.MULTILINE)
    first, second = (imported(block, tmp_path / f"theirs_{place}.py") for place, block in enumerate(blocks))
    stored = ViewLogits.of(logits(0))
    fitted = second.AccuracyWeights(power=2).fit(stored, np.arange(60) % 7)
    for function in (first.root_mean_square, fitted, second.FirstViews(2)):
        np.testing.assert_allclose(np.exp(function(stored.stacked())).sum(axis=1), 1, atol=1e-9)
    assert set(second.FirstViews(2).passes(stored.stacked())) == {2}
    with pytest.raises(ValueError, match="power must be a number in"):
        second.AccuracyWeights(power=-1)


def imported(code: str, file: Path) -> Any:
    """The module of this code."""
    file.write_text(code, encoding="utf-8")
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def headings(text: str) -> list[str]:
    """The places that a link into a page can name."""
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found]


@pytest.mark.parametrize("page", sorted(LINKED))
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of a page is a file of the repository, and a place in it is a heading there."""
    for file, place in re.findall(r"\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)", LINKED[page]):
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), file
        assert not place or place in headings(target.read_text(encoding="utf-8")), place


@pytest.mark.parametrize("page", sorted(LINKED))
def test_links_to_other_sites_are_well_formed(page: str) -> None:
    """Nothing is fetched; but each is https, names a host, and holds nothing that an address cannot hold."""
    for address in re.findall(r"\]\((\w+:[^)]*)\)|<(https?:[^>]*)>", LINKED[page]):
        parts = urlsplit(next(filter(None, address)))
        assert parts.scheme == "https", address
        assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc), address
        assert re.fullmatch(r"[!-~]*", parts.geturl()), address
