"""A verdict on a reproduction as text for a terminal, as Markdown for a run's page, and as one JSON value.

Names may come from somebody else's run: no control character of theirs reaches a terminal.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.reproduction import Comparison, Difference
from harness.reproduction_facts import GROUPS, Fact
from harness.tolerances import KINDS

SHOWN, FEW = 10, 3
HEADLINE = {
    "identical": "every number has the same bits",
    "within tolerance": "none is off by more than rounding explains",
    "different": "numbers are off by more than rounding explains",
}


@dataclass(frozen=True)
class Reproduction:
    """Everything that is said about a second run.

    Attributes:
        comparison, facts: what differs.
        name: the job's. started: when the first run did.
        how: `from the store` or `from nothing`.
        trained, computed: models trained and forward passes run this time.
        reproduces: the first run's id, None for a folder. reproduction: the second run's, None where it is not logged.
        given: what the user said anew, by key.
        warnings: sentences.
    """

    comparison: Comparison
    facts: tuple[Fact, ...]
    name: str
    started: str
    how: str
    trained: int
    computed: int
    reproduces: str | None = None
    reproduction: str | None = None
    given: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`identical`, `within tolerance` or `different`."""
        return self.comparison.verdict


def text_lines(found: Reproduction) -> Iterator[str]:
    """Lines for a terminal, the verdict first."""
    for line in _lines(found):
        yield plain(line)


def markdown(found: Reproduction) -> str:
    """For the second run's page: the verdict, and the same lines as in the terminal."""
    first = f"Reproduction of run `{found.reproduces}`, {found.how}: **{found.verdict}**."
    return "\n".join([first, "", "```", *text_lines(found), "```", ""])


def as_json(found: Reproduction) -> str:
    """One strict JSON value; a number that is not finite becomes the string `inf`, `-inf` or `nan`."""
    comparison = found.comparison
    kinds = sorted({item.kind for item in comparison.differences})
    value: dict[str, Any] = {
        "verdict": comparison.verdict,
        "reproduces": found.reproduces,
        "reproduction": found.reproduction,
        "name": found.name,
        "started": found.started,
        "how": found.how,
        "models_trained": found.trained,
        "forward_passes_run": found.computed,
        "given": dict(found.given),
        "compared": comparison.compared,
        "only_in_the_reproduction": comparison.added,
        "differences": [_difference(item) for item in comparison.differences],
        "tolerance": {kind: KINDS[kind] for kind in kinds},
        "classes_changed": dict(comparison.flips),
        "images_moved": {"count": comparison.moved_images, "first": list(comparison.images)},
        "facts": {group: [_fact(fact) for fact in found.facts if fact.group == group] for group in GROUPS},
        "warnings": list(found.warnings),
    }
    return json.dumps(value, indent=1, allow_nan=False)


def plain(text: str) -> str:
    """The text with control characters spelt out."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _lines(found: Reproduction) -> Iterator[str]:
    comparison = found.comparison
    yield f"{found.name}, run {found.started}, again {found.how}"
    yield f"models trained: {found.trained}, forward passes run: {found.computed}"
    said = HEADLINE[comparison.verdict] + (", on other data" if any(one.group == "data" for one in found.facts) else "")
    yield f"verdict: {comparison.verdict} ({comparison.compared:,} numbers compared: {said})"
    beyond = [item for item in comparison.differences if item.beyond]
    rounding = [item for item in comparison.differences if not item.beyond]
    yield from _listed(f"{len(beyond):,} beyond rounding", beyond)
    if rounding and not beyond:
        yield from _listed(f"{len(rounding):,} off by rounding", rounding, shown=FEW)
    yield from _predictions(comparison)
    for kind in dict.fromkeys(item.kind for item in beyond[:SHOWN] or rounding[:FEW]):
        yield f"  tolerance, {kind}: {KINDS[kind]}"
    if comparison.added:
        yield f"  {comparison.added:,} numbers are in the second run only; they decide nothing"
    for group in GROUPS:
        for fact in found.facts:
            if fact.group == group:
                yield f"  {group:12} {fact}"


def _listed(title: str, items: Sequence[Difference], *, shown: int = SHOWN) -> Iterator[str]:
    if not items:
        return
    yield f"  {title}:"
    for item in items[:shown]:
        yield f"    {item}"
    rest = len(items) - len(items[:shown])
    if rest:
        yield f"    and {rest:,} more (--json has all)"


def _predictions(comparison: Comparison) -> Iterator[str]:
    if comparison.moved_images:
        named = ", ".join(comparison.images) + (", …" if comparison.moved_images > len(comparison.images) else "")
        yield f"  test images whose prediction without TTA moved beyond rounding: {comparison.moved_images:,} ({named})"
    if comparison.flips:
        most = sorted(comparison.flips.items(), key=lambda item: -item[1])
        named = ", ".join(f"{name} {count}" for name, count in most[:5]) + (", …" if len(most) > 5 else "")
        yield f"  test images that get another class: {named}"


def _difference(item: Difference) -> dict[str, Any]:
    return {
        "where": str(item.place),
        "kind": item.kind,
        "before": item.before,
        "after": item.after,
        "off": _finite(item.off),
        "allowed": _finite(item.allowed),
        "beyond": item.beyond,
    }


def _fact(fact: Fact) -> dict[str, str]:
    return {"what": fact.what, "before": fact.before, "after": fact.after, "why": fact.why}


def _finite(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
