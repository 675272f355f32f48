"""A job's answer, cards and rows as text; numbers are those of the record, rounded as everywhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.latency_record import Latency, Timing
from harness.records import IDENTITY, JobRecord, PolicyRecord
from harness.report import (
    corrected_text,
    gain_text,
    p_text,
    passes_text,
    percent,
    points,
    price_text,
    ranked,
    recommendation_headline,
    shown,
)
from harness.selection import cost_text

MOST_CARDS = 6
MOST_CORRUPTION_ROWS = 12
ALL_CARDS = 8  # policies, up to which each has a card
SIGNS = {"ship": "▲", "do not ship": "▼", "undecided": "●", "": "◆"}
STYLES = {"ship": "ship", "do not ship": "dont", "undecided": "open", "": "reference"}


@dataclass(frozen=True)
class Verdict:
    """A verdict with its sign and its style's name, which say the same."""

    text: str
    sign: str
    style: str


@dataclass(frozen=True)
class Card:
    """One policy at a glance: its name, verdict, lines of (what, number), and remarks."""

    policy: str
    chosen: bool
    verdict: Verdict
    facts: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A cell of the table: its text, and what it is sorted by."""

    text: str
    key: float | str


@dataclass(frozen=True)
class Row:
    """A row of the table: of a policy, or of a job with what commands call it."""

    policy: str
    chosen: bool
    verdict: Verdict
    cells: tuple[Cell, ...]
    job: str = ""


def verdict(text: str) -> Verdict:
    """A verdict, or none for identity."""
    return Verdict(text or "reference", SIGNS[text], STYLES[text])


def answer(record: JobRecord, latency: Latency | None) -> str:
    """The recommendation in one sentence, with its gain, interval and price."""
    headline = recommendation_headline(record)
    policy = record.policy(record.recommendation.policy)
    if policy.name == IDENTITY:
        accuracy = percent(policy.metric("test/accuracy"))
        return f"{headline}: ship the plain model, {accuracy} % accuracy for 1 pass per image"
    gain = f"{gain_text(policy)} points of accuracy on test for {cost_text(policy.passes)}"
    ratio = latency_ratio(policy, latency)
    return f"{headline}: {gain}" + (f" and {ratio} the latency" if ratio else "")


def lead(record: JobRecord) -> str:
    """The sentence below the answer: the reason, or where identity was chosen what the next policy does."""
    following = record.highlighted
    if record.recommendation.policy != IDENTITY or following is None:
        return record.recommendation.reason
    price = price_text(following)
    return f"The next on validation is {following.name}: {gain_text(following)} points on test for {price}."


def latency_ratio(policy: PolicyRecord, latency: Latency | None) -> str:
    """The latency over identity's at the smallest batch, e.g. `3.1 ×`; empty where it was not measured."""
    timing = _alone(policy, latency)
    return "" if timing is None else f"{timing.ratio:.3g} ×"


def _alone(policy: PolicyRecord, latency: Latency | None) -> Timing | None:
    """The timing at the smallest batch."""
    return latency.of(policy.name, latency.batches[0]) if latency is not None and latency.timings else None


def cards(record: JobRecord, latency: Latency | None) -> list[Card]:
    """A card for each policy beside identity; of many, for the chosen one and those of the best calibrated NLL."""
    limit = None if len(record.policies) <= ALL_CARDS else MOST_CARDS + 1
    policies = [policy for policy in shown(record, limit=limit) if policy.name != IDENTITY]
    policies.sort(key=lambda policy: policy.name != record.recommendation.policy)
    return [_card(policy, record, latency) for policy in policies]


def _card(policy: PolicyRecord, record: JobRecord, latency: Latency | None) -> Card:
    level, nll = f"{record.level:.0%}", policy.metric("test/nll_calibrated")
    chosen = policy.name == record.recommendation.policy
    facts = (
        (f"gain, points [{level}]", gain_text(policy)),
        ("accuracy", f"{percent(policy.metric('test/accuracy'))} %"),
        ("adjusted p, accuracy", p_text(policy)),
        ("corrected / corrupted", corrected_text(policy)),
        ("calibrated NLL", f"{nll:.4f}" if math.isfinite(nll) else ""),
        (f"NLL gain [{level}]", nll_gain(policy)),
        ("price", f"{price_text(policy)} per image"),
        *_latency_facts(policy, latency),
    )
    remarks = (f"chosen on validation; judged alone: {record.recommendation.verdict}",) if chosen else ()
    return Card(policy.name, chosen, verdict(policy.verdict), tuple(one for one in facts if one[1]), remarks)


def nll_gain(policy: PolicyRecord) -> str:
    """Gain in calibrated NLL, nats, with its interval, e.g. `+0.0390 [+0.0210, +0.0570]`; empty where there is none."""
    value, lower, upper = (policy.metric(f"gain/nll_calibrated{end}") for end in ("", "_lower", "_upper"))
    return f"{value:+.4f} [{lower:+.4f}, {upper:+.4f}]" if math.isfinite(value + lower + upper) else ""


def _latency_facts(policy: PolicyRecord, latency: Latency | None) -> list[tuple[str, str]]:
    if latency is None:
        return []
    facts = []
    for batch in latency.batches:
        timing = latency.of(policy.name, batch)
        if timing is not None:
            p50 = f", p50 {timing.milliseconds['p50']:.3g} ms" if "p50" in timing.milliseconds else ""
            facts.append((f"latency (batch {batch})", f"{timing.ratio:.3g} ×{p50}"))
    return facts


def table_columns(record: JobRecord, latency: Latency | None) -> list[str]:
    """The headings behind policy and verdict."""
    timed = ["latency ×"] if latency is not None and latency.timings else []
    return [
        "passes",
        *timed,
        "accuracy %",
        f"gain, points [{record.level:.0%}]",
        "corrected / corrupted",
        "p adj.",
        "NLL cal.",
        "optimism",
        "ECE %",
    ]


def table_rows(record: JobRecord, latency: Latency | None) -> list[Row]:
    """All policies by calibrated NLL on test, cells in the order of `table_columns`."""
    timed = latency is not None and bool(latency.timings)
    return [_row(policy, record, latency, timed=timed) for policy in ranked(record)]


def _row(policy: PolicyRecord, record: JobRecord, latency: Latency | None, *, timed: bool) -> Row:
    def number(name: str, text: str) -> Cell:
        value = policy.metric(name)
        return Cell(text if math.isfinite(value) else "–", value if math.isfinite(value) else "")

    timing = _alone(policy, latency)
    cells = [
        Cell(passes_text(policy), policy.passes),
        *([Cell(latency_ratio(policy, latency) or "–", timing.ratio if timing else "")] if timed else []),
        number("test/accuracy", percent(policy.metric("test/accuracy"))),
        Cell(gain_text(policy), 0.0) if policy.name == IDENTITY else number("gain/accuracy", gain_text(policy)),
        number("gain/corrected", corrected_text(policy)),
        number("gain/p_value_adjusted", p_text(policy)),
        number("test/nll_calibrated", f"{policy.metric('test/nll_calibrated'):.4f}"),
        number("optimism/nll_calibrated", f"{policy.metric('optimism/nll_calibrated'):+.4f}"),
        number("test/ece", percent(policy.metric("test/ece"))),
    ]
    return Row(policy.name, policy.name == record.recommendation.policy, verdict(policy.verdict), tuple(cells))


def facts(record: JobRecord) -> list[tuple[str, str]]:
    """What the numbers are about."""
    model = record.model
    splits = ", ".join(f"{name} {split.count:,}" for name, split in record.dataset.splits.items() if "@" not in name)
    copies = sum("@" in name for name in record.dataset.splits)
    size = "×".join(map(str, model.input_shape))
    return [
        ("data", f"{record.dataset.name}: {splits}" + (f", {copies} corrupted copies of test" if copies else "")),
        (
            "model",
            f"{model.name}, {model.source}; input {size}, {model.num_classes} classes, digest {model.digest[:12]}",
        ),
        ("seed", str(record.seed)),
        ("finished", record.finished),
        ("record", record.job_id[:12]),
        *(
            (name, text)
            for name, text in (("study", record.study), ("sweep", record.sweep), ("commit", record.commit))
            if text
        ),
    ]


def latency_notes(latency: Latency | None) -> list[str]:
    """When and where latency was measured, and what is to be said of it."""
    if latency is None:
        return []
    where = f"Latency measured {latency.measured} on {latency.machine}, {latency.device}, load {latency.load:.2g}"
    return [where + ("; noisy: do not rely on it" if latency.noisy else ""), *latency.notes]


def corruption_rows(table: Sequence[Mapping[str, Any]], record: JobRecord) -> list[tuple[str, ...]]:
    """Policy, mean accuracy in percent, mean gain and worst gain in points with where it is; most gain first."""
    kept = {IDENTITY, record.recommendation.policy}
    ordered = sorted(table, key=lambda row: -row["mean_gain"])
    shown = [row for place, row in enumerate(ordered) if place < MOST_CORRUPTION_ROWS or row["policy"] in kept]
    return [
        (
            row["policy"],
            percent(row["mean_accuracy"]),
            points(row["mean_gain"]),
            f"{points(row['worst_gain'])} ({row['worst_gain_corruption']})",
            f"{row['mean_nll_calibrated']:.4f}",
        )
        for row in shown
    ]


def short_name(record: JobRecord) -> str:
    """Data set, model and seed in a line."""
    return f"{record.dataset.name} · {record.model_name} · seed {record.seed}"


def overview_answer(records: Sequence[JobRecord]) -> str:
    """What several jobs recommend, in one sentence."""
    ships = [record.recommendation.policy for record in records if record.recommendation.verdict == "ship"]
    if not ships:
        return f"In none of {len(records)} jobs a policy is worth shipping"
    counts = {name: ships.count(name) for name in ships}
    often = max(counts, key=lambda name: (counts[name], name))
    most = f", most often {often} ({counts[often]} ×)" if len(counts) > 1 else f": {often}"
    return f"In {len(ships)} of {len(records)} jobs a policy is worth shipping{most}"
