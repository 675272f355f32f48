"""The page of what each config group offers: the files of `conf/`, as they are."""

from pathlib import Path

from _site.markdown import block, folded
from _site.schema import config_groups
from harness.config import conf_folder

ABOUT = {
    "augmentation": "Random copies at training time.",
    "dataset": "What is classified.",
    "evaluation": "How policies are compared.",
    "model": "What classifies.",
    "tracking": "Where results are logged.",
    "training": "How a model is trained, where one is.",
    "tta": "Policies. `tta=[hflip,shifts]` takes several.",
    "views": "Named lists of views, which policies refer to.",
}
SUITES = "tta/suite"


def choices() -> str:
    """Markdown: a section a group, an entry a file, its YAML folded beneath."""
    parts = ["## Primary file", _file(conf_folder() / "harness.yaml", name="harness.yaml")]
    for group in config_groups():
        parts += [f"## {group}", ABOUT.get(group, "")]
        parts += [_file(path, name=f"{group}={path.stem}") for path in files(group)]
    parts += ["## Suites", "Lists of policies, chosen like one."]
    parts += [_file(path, name=f"tta=suite/{path.stem}") for path in files(SUITES)]
    return "\n\n".join(parts)


def files(group: str) -> list[Path]:
    """The files of a group, or of the suites, in the order of their names."""
    return sorted((conf_folder() / group).glob("*.yaml"))


def summary(path: Path) -> str:
    """The first comment of a file that stands on a line of its own, or nothing."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line), "")


def _file(path: Path, *, name: str) -> str:
    text = block(path.read_text(encoding="utf-8"), language="yaml")
    return f"### {name}\n\n{summary(path)}\n\n{folded('YAML', text)}"
