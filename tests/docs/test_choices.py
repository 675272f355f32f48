"""The page of choices shows every file of `conf/`, as `harness list` does."""

import pytest
from _site.choices import choices, files, summary

from harness.commands.list import LISTINGS
from harness.config import conf_folder

PAGE = choices()


def test_every_file_is_shown_in_full() -> None:
    """Each YAML file's text stands on the page, below its name."""
    for file in conf_folder().rglob("*.yaml"):
        assert f"```yaml\n{file.read_text(encoding='utf-8').rstrip()}\n```" in PAGE, file


def test_names_are_those_of_the_command_line() -> None:
    """A choice is headed by what one writes to choose it."""
    for heading in ("dataset=cifar10", "model=checkpoint", "tta=hflip", "tta=suite/quick", "views=no_flips"):
        assert f"### {heading}\n" in PAGE


@pytest.mark.parametrize(("group", "listing"), [("dataset", "datasets"), ("model", "models"), ("tta", "policies")])
def test_the_summary_is_that_of_the_listing(
    group: str, listing: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The few words beside a name are those that `harness list` prints."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert [(file.stem, summary(file)) for file in files(group)] == LISTINGS[listing]()
