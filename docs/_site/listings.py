"""Tables of what can be named in a policy or asked of a job, from the registries."""

from collections.abc import Sequence

from _site.markdown import code, table
from harness.corruptions.registry import CORRUPTIONS
from harness.corruptions.severities import CIFAR_C, IMAGENET_C, Levels
from harness.parameters import number, parameter_texts
from harness.policies import registry as aggregations_known
from harness.transforms import registry as transforms_known


def transforms() -> str:
    """A row for each transform: what it does, its parameters with ranges and defaults."""
    rows = []
    for kind, _, rgb in transforms_known.describe():
        cls = transforms_known.transform_class(kind)
        what = f"{_first_line(cls)}{' RGB only.' if rgb else ''}"
        rows.append((code(kind), what, _parameters(parameter_texts(cls))))
    return table(("kind", "what", "parameters"), rows)


def aggregations() -> str:
    """A row for each aggregation: fixed, learned or adaptive, what it does, its parameters."""
    rows = []
    for one in aggregations_known.describe():
        texts = parameter_texts(aggregations_known.aggregation_class(one.kind))
        rows.append((code(one.kind), one.nature, one.summary, _parameters(texts)))
    return table(("kind", "nature", "what", "parameters"), rows)


def corruptions() -> str:
    """A row for each corruption: its parameters at severities 1 to 5, for small images and for large ones."""
    rows = [(code(name), _levels(CIFAR_C[name]), _levels(IMAGENET_C[name])) for name in CORRUPTIONS]
    return table(("corruption", "up to 64 pixels a side", "larger"), rows)


def _parameters(texts: Sequence[str]) -> str:
    """One a line, with room to break a line between choices."""
    return "<br>".join(code(text.replace("|", " | ")) for text in texts)


def _levels(levels: Levels) -> str:
    names = levels[0]
    return "; ".join(f"{name} {', '.join(number(level[name]) for level in levels)}" for name in names)


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().split("\n")[0]
