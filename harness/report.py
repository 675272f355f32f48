"""Leaderboard and recommendation for people: terminal, Markdown and CSV, all from a `JobRecord`.

Policies are chosen on validation and reported on test, and both are said. Percent and percentage points appear
only in what people read; the CSV holds fractions.
"""

import csv
import io
import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.record_files import write_text
from harness.records import IDENTITY, JobRecord, PolicyRecord

HEADLINES = {
    "ship": "Ship {policy}",
    "do not ship": "Do not ship {policy}: it is not better than identity",
    "undecided": "Undecided: the gain of {policy} may be chance",
}
STYLES = {"ship": "green", "do not ship": "cyan", "undecided": "yellow"}
VERDICT_WIDTH = 112  # of the terminal, from which on the verdict of each row is shown
WARNINGS = 5  # shown; the record holds all
FACTS = ("verdict", "aggregation", "views", "temperature")
PREFIXES = ("test/", "gain/", "cost/", "validation/", "optimism/", "corruptions/", "conformal/")


@dataclass(frozen=True)
class Column:
    """One column of the terminal's table: its heading, how a cell is written, and from which width it is shown."""

    heading: str
    cell: Callable[[PolicyRecord], str]
    min_width: int = 0


def ranked(record: JobRecord) -> list[PolicyRecord]:
    """The policies by calibrated NLL on test, lowest first; ties and missing numbers by name, last."""

    def key(policy: PolicyRecord) -> tuple[float, str]:
        nll = policy.metric("test/nll_calibrated")
        return (math.inf if math.isnan(nll) else nll, policy.name)

    return sorted(record.policies, key=key)


def shown(record: JobRecord, *, limit: int | None) -> list[PolicyRecord]:
    """The first `limit` of `ranked`, with identity and the chosen policy always among them."""
    policies = ranked(record)
    if limit is None or len(policies) <= limit:
        return policies
    marked = {IDENTITY, record.recommendation.policy}
    room = limit - sum(policy.name in marked for policy in policies[limit:])
    return policies[: max(room, 0)] + [policy for policy in policies[max(room, 0) :] if policy.name in marked]


def percent(value: float) -> str:
    """A fraction as percent with two decimals, `–` where it is not a number."""
    return f"{100 * value:.2f}" if math.isfinite(value) else "–"


def points(value: float) -> str:
    """A difference of fractions in percentage points, with its sign and two decimals."""
    return f"{100 * value + 0.0:+.2f}" if math.isfinite(value) else "–"


def gain_text(policy: PolicyRecord) -> str:
    """Accuracy gain in points with its interval, e.g. `+1.30 [+0.60, +2.00]`; `reference` for identity."""
    if policy.name == IDENTITY:
        return "reference"
    value, lower, upper = (policy.metric(f"gain/accuracy{end}") for end in ("", "_lower", "_upper"))
    return f"{points(value)} [{points(lower)}, {points(upper)}]"


def corrected_text(policy: PolicyRecord) -> str:
    """Corrected and corrupted examples, e.g. `+31/-12`; empty for identity."""
    corrected, corrupted = policy.metric("gain/corrected"), policy.metric("gain/corrupted")
    if policy.name == IDENTITY or math.isnan(corrected + corrupted):
        return ""
    return f"+{corrected:.0f}/-{corrupted:.0f}"


def p_text(policy: PolicyRecord) -> str:
    """Holm-adjusted p value; below 0.001 only that is said; empty for identity."""
    value = policy.metric("gain/p_value_adjusted")
    if policy.name == IDENTITY or math.isnan(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def passes_text(policy: PolicyRecord) -> str:
    """Forward passes per image: a whole number, or the mean with two decimals where images differ."""
    return f"{policy.passes:.0f}" if policy.passes == round(policy.passes) else f"{policy.passes:.2f}"


def price_text(policy: PolicyRecord) -> str:
    """Forward passes per image with their noun, e.g. `5 passes`."""
    return f"{passes_text(policy)} {'pass' if policy.passes == 1 else 'passes'}"


def verdict_text(policy: PolicyRecord) -> str:
    """The verdict on a policy as one of all that were tried; empty for identity."""
    return policy.verdict


def recommendation_headline(record: JobRecord) -> str:
    """The answer in one line, without numbers."""
    choice = record.recommendation
    if choice.policy == IDENTITY:
        return "No policy is better than identity"
    return HEADLINES[choice.verdict].format(policy=choice.policy)


def recommendation_numbers(record: JobRecord) -> str:
    """The chosen policy's numbers on test in one line."""
    policies = dict.fromkeys((IDENTITY, record.recommendation.policy))
    accuracy = " → ".join(percent(record.policy(name).metric("test/accuracy")) for name in policies)
    chosen = record.policy(record.recommendation.policy)
    return f"{' → '.join(policies)}: test accuracy {accuracy} %, {price_text(chosen)} per image"


def corruption_numbers(record: JobRecord) -> list[str]:
    """The chosen policy and identity on corrupted copies of test, where there are any, in one line."""
    chosen, identity = record.policy(record.recommendation.policy), record.policy(IDENTITY)
    mean = identity.metric("corruptions/mean_accuracy")
    if math.isnan(mean):
        return []
    best = max(record.policies, key=lambda policy: policy.metric("corruptions/mean_gain"))
    copies = sum("@" in name for name in record.dataset.splits)
    return [
        f"on {copies} corrupted copies of test: identity {percent(mean)} % in the mean, {chosen.name} "
        f"{points(chosen.metric('corruptions/mean_gain'))} points, most gains {best.name} "
        f"{points(best.metric('corruptions/mean_gain'))} (tables/corruptions*.csv)"
    ]


def render_recommendation(record: JobRecord, console: Console) -> None:
    """Print the recommendation: the answer, the numbers, the reason, the rule, and the warnings."""
    choice = record.recommendation
    lines = [
        Text(recommendation_numbers(record)),
        *(Text(line) for line in corruption_numbers(record)),
        Text(choice.reason),
        Text(choice.rule, style="dim"),
    ]
    lines += [Text(f"warning: {warning}", style="yellow") for warning in _first(record.warnings)]
    console.print(
        Panel(
            Group(*lines),
            title=Text(recommendation_headline(record), style="bold"),
            title_align="left",
            border_style=STYLES[choice.verdict],
        )
    )


def render_leaderboard(record: JobRecord, console: Console, *, limit: int | None = None) -> None:
    """Print the policies by calibrated NLL on test, as many columns as the console's width takes.

    Args:
        record: the job.
        console: where to print; without colour the marks still tell identity and the chosen policy.
        limit: rows at most; identity and the chosen policy are always among them.
    """
    chosen, reference = _marks(console)
    policies = shown(record, limit=limit)
    columns = [column for column in _columns(record) if console.width >= column.min_width]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("policy", overflow="fold")
    for column in columns:
        table.add_column(column.heading, justify="right", no_wrap=True)
    for policy in policies:
        mark = _mark(policy.name, record=record, chosen=chosen, reference=reference)
        style = STYLES[record.recommendation.verdict] if chosen in mark else ""
        table.add_row(mark, Text(policy.name), *(column.cell(policy) for column in columns), style=style)
    console.print(table)
    wide = console.width >= VERDICT_WIDTH
    caption = _caption(record, len(policies), chosen=chosen, reference=reference, wide=wide)
    console.print(Text(caption, style="dim"))


def markdown_note(
    record: JobRecord, *, limit: int = 10, run_id: str | None = None, child_runs: int | None = None
) -> str:
    """The job as Markdown, conclusion first, because viewers fold what comes after a few lines.

    Args:
        record: the job.
        limit: rows of the leaderboard at most.
        run_id: of the job in MLflow, for the commands that start from it.
        child_runs: how many policies have a run of their own there.
    """
    choice = record.recommendation
    count = record.dataset.splits["test"].count
    parts = [
        f"**{recommendation_headline(record)}** – {recommendation_numbers(record)}",
        *corruption_numbers(record),
        choice.reason,
        f"*{record.question}*",
        _markdown_table(record, shown(record, limit=limit)),
        f"Test split, {count} examples, by calibrated NLL; {_where_all_are(record, child_runs)}. "
        f"{choice.rule} {record.verdict_rule} Optimism: calibrated NLL on test minus on validation.",
        "\n".join(f"- {fact}" for fact in _facts(record)),
    ]
    if record.warnings:
        parts.append("**Warnings**\n\n" + "\n".join(f"- {warning}" for warning in _first(record.warnings)))
    commands = [record.command, *(_commands(choice.policy, run_id) if run_id else ())]
    parts.append("Run it again, reproduce it, ship it:\n\n```\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(parts) + "\n"


def _where_all_are(record: JobRecord, child_runs: int | None) -> str:
    count = len(record.policies)
    if child_runs is None or child_runs >= count:
        return f"{count} policies in all in `leaderboard.csv`"
    return (
        f"{count} policies in all in `leaderboard.csv` and `leaderboard.json`, {child_runs} of them with a run of "
        "their own (`tracking.child_runs`)"
    )


def _commands(policy: str, run_id: str) -> list[str]:
    """What starts from the job's run: reproduction, the report, the chosen policy as one model."""
    name = shlex.quote(policy)
    file = shlex.quote(f"{policy}.keras".replace("/", "_"))
    return [
        f"harness reproduce {run_id}",
        f"harness report {run_id}",
        f"harness export {run_id} --policy {name} --format keras --output {file}",
    ]


def leaderboard_columns(record: JobRecord) -> list[str]:
    """The columns of the table that is kept: the name, every metric of any policy by prefix and name, then facts."""
    names = {name for policy in record.policies for name in policy.metrics}
    order = [name for prefix in PREFIXES for name in sorted(names) if name.startswith(prefix)]
    rest = sorted(names.difference(order))
    return ["policy", "chosen", *order, *rest, *FACTS]


def leaderboard_rows(record: JobRecord) -> list[list[str | float | bool | None]]:
    """The rows of the table that is kept, ranked; fractions, unrounded; None where a policy has no such number."""
    metrics = leaderboard_columns(record)[2 : -len(FACTS)]
    return [
        [
            policy.name,
            policy.name == record.recommendation.policy,
            *(policy.metrics.get(name) for name in metrics),
            policy.verdict,
            policy.aggregation,
            " ".join(policy.views),
            policy.temperature,
        ]
        for policy in ranked(record)
    ]


def write_leaderboard_csv(record: JobRecord, path: Path) -> None:
    """Write the whole leaderboard as CSV: one header line, numbers in full precision, empty where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(leaderboard_columns(record))
    writer.writerows(leaderboard_rows(record))
    write_text(path, stream.getvalue())


def _first(warnings: Sequence[str]) -> list[str]:
    """The first few, and how many more the record holds."""
    rest = len(warnings) - WARNINGS
    more = [f"{rest} more in record.json; tables/views.csv has every view"] if rest > 0 else []
    return [*warnings[:WARNINGS], *more]


def _marks(console: Console) -> tuple[str, str]:
    return ("★", "○") if console.encoding.lower().startswith("utf") else ("*", "o")


def _mark(name: str, *, record: JobRecord, chosen: str, reference: str) -> str:
    return (chosen if name == record.recommendation.policy else "") + (reference if name == IDENTITY else "")


def _columns(record: JobRecord) -> Sequence[Column]:
    """Columns in the order of reading; `min_width` drops the less telling ones on narrow terminals."""
    has_top5 = any("test/top5_accuracy" in policy.metrics for policy in record.policies)
    top5 = [Column("top-5 %", lambda policy: percent(policy.metric("test/top5_accuracy")), 132)] if has_top5 else []
    return [
        Column("passes", passes_text),
        Column("accuracy %", lambda policy: percent(policy.metric("test/accuracy"))),
        *top5,
        Column(f"gain, points [{record.level:.0%}]", gain_text, 70),
        Column("corrected/\ncorrupted", corrected_text, 100),
        Column("p adj.,\naccuracy", p_text, 96),
        Column("NLL cal.", lambda policy: f"{policy.metric('test/nll_calibrated'):.4f}", 80),
        Column("optimism", lambda policy: f"{policy.metric('optimism/nll_calibrated'):+.4f}", 124),
        Column("ECE %", lambda policy: percent(policy.metric("test/ece")), 140),
        Column("verdict", verdict_text, VERDICT_WIDTH),
    ]


def _caption(record: JobRecord, rows: int, *, chosen: str, reference: str, wide: bool) -> str:
    count = record.dataset.splits["test"].count
    total = len(record.policies)
    which = f"{rows} of {total} policies" if rows < total else f"{total} policies"
    marks = f"{chosen} chosen on validation   {reference} identity"
    if record.recommendation.policy == IDENTITY:
        marks = f"{chosen}{reference} identity, chosen on validation"
    caption = f"{marks}   {which} by NLL cal., {count:,} test images"
    more = "" if rows == total else "; all of them in leaderboard.csv"
    return f"{caption}{more}\n{record.verdict_rule}" if wide and record.verdict_rule else f"{caption}{more}"


def _markdown_table(record: JobRecord, policies: Sequence[PolicyRecord]) -> str:
    # MLflow takes no table with a column of fewer than two dashes for one.
    lines = [
        f"| | policy | passes | accuracy % | gain, points [{record.level:.0%}] | corrected/corrupted | p adj. "
        "| NLL cal. | optimism | ECE % | verdict |",
        "|:--:|:--|--:|--:|--:|--:|--:|--:|--:|--:|:--|",
    ]
    for policy in policies:
        cells = [
            _mark(policy.name, record=record, chosen="★", reference="○"),
            policy.name.replace("|", "\\|"),
            passes_text(policy),
            percent(policy.metric("test/accuracy")),
            gain_text(policy),
            corrected_text(policy),
            p_text(policy).replace("<", "&lt;"),
            f"{policy.metric('test/nll_calibrated'):.4f}",
            f"{policy.metric('optimism/nll_calibrated'):+.4f}",
            percent(policy.metric("test/ece")),
            verdict_text(policy),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _facts(record: JobRecord) -> list[str]:
    data, model = record.dataset, record.model
    copies = sum("@" in name for name in data.splits)
    splits = ", ".join(f"{name} {split.count}" for name, split in data.splits.items() if "@" not in name)
    splits += f", {copies} corrupted copies of test" if copies else ""
    size = "×".join(str(side) for side in model.input_shape)
    return [
        f"data: {data.name} ({splits}; {len(data.class_names)} classes)",
        *data.notes,
        f"model: {model.name}, {model.source}, digest `{model.digest[:12]}`, input {size}, "
        f"output {model.output}, preprocessing: {model.preprocessing}",
        f"seed: {record.seed}",
    ]
