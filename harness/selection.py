"""Which policy to ship: chosen on validation, judged on test.

Two questions have two answers. The recommendation is one policy, chosen by validation alone; only its test numbers
enter its verdict, so that looking at many policies on validation does not make its interval too narrow. The verdict of
each policy in the leaderboard answers for somebody who reads all of them on test, and so is corrected for their number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.errors import ConfigError, unknown_name
from harness.policies.policy import IDENTITY_POLICY, Policy
from harness.types import Estimate

Verdict = Literal["ship", "do not ship", "undecided"]

CRITERIA: dict[str, str] = {
    "nll_calibrated": "calibrated NLL",
    "nll": "NLL",
    "accuracy": "accuracy",
}
"""Criteria for choosing, and their names in sentences."""


class Candidate(Protocol):
    """What has to be known about a policy to choose it, and to judge it."""

    @property
    def policy(self) -> Policy: ...  # noqa: D102

    @property
    def validation(self) -> Mapping[str, float]: ...  # noqa: D102

    @property
    def passes(self) -> float: ...  # noqa: D102

    @property
    def test_passes(self) -> float: ...  # noqa: D102

    @property
    def gains(self) -> Mapping[str, Estimate]: ...  # noqa: D102

    @property
    def p_values_adjusted(self) -> Mapping[str, float]: ...  # noqa: D102


@dataclass(frozen=True)
class Recommendation:
    """The chosen policy and what the test split says about it.

    Attributes:
        policy: its name.
        verdict: `ship`, `do not ship` or `undecided`.
        reason: one sentence with its gains, their intervals and its cost.
        rule: one sentence that states how the verdict is reached.
        criterion: what the choice was made by.
    """

    policy: str
    verdict: Verdict
    reason: str
    rule: str
    criterion: str


def choose(results: Sequence[Candidate], *, criterion: str = "nll_calibrated") -> Recommendation:
    """The policy that is best on validation, with a verdict from its gains on test.

    Best is the lowest NLL (with or without temperature) or the highest accuracy; among equals the fewest forward
    passes per image, then identity, then the first name. Scores within 1e-12 are equal, so that float rounding chooses
    nothing.

    Raises:
        ConfigError: for an unknown criterion.
    """
    if criterion not in CRITERIA:
        raise ConfigError(unknown_name("selection criterion", criterion, CRITERIA))
    sign = -1.0 if criterion == "accuracy" else 1.0

    def order(one: Candidate) -> tuple[float, float, bool, str]:
        name = one.policy.name
        score = round(sign * one.validation[criterion], 12)
        return score, one.passes, name != IDENTITY_POLICY.name, name

    chosen = min(results, key=order)
    return Recommendation(
        policy=chosen.policy.name,
        verdict=_verdict(chosen, criterion),
        reason=_reason(chosen, criterion),
        rule=_rule(criterion),
        criterion=criterion,
    )


def verdict_of(gains: Mapping[str, float], p_adjusted: Mapping[str, float], *, criterion: str, level: float) -> Verdict:
    """The verdict on one of many policies that are all looked at on test.

    Args:
        gains: over identity on test, positive is better, of accuracy and of the criterion.
        p_adjusted: of the same, corrected for the number of policies tried.
        criterion: what counts.
        level: 1 - level is the largest p that counts as found.
    """
    found = {name: p_adjusted[name] <= 1 - level for name in ("accuracy", criterion)}
    if any(found[name] and gains[name] < 0 for name in found):
        return "do not ship"
    return "ship" if found[criterion] and gains[criterion] > 0 else "undecided"


def verdict_rule(criterion: str, *, tried: int, level: float) -> str:
    """The rule of `verdict_of` in one sentence."""
    return (
        f"Verdict of a row: ship if its {CRITERIA[criterion]} gain on test is positive with an adjusted p (Holm over "
        f"{tried} policies tried) of at most {1 - level:.2g}, do not ship if that gain or the accuracy gain is "
        "negative with such a p, else undecided."
    )


def verdict_by_intervals(gains: Mapping[str, Estimate], *, criterion: str) -> Verdict:
    """The verdict on one policy looked at alone: by the intervals of its gains over identity, as they are.

    Args:
        gains: of accuracy and of the criterion, positive is better.
        criterion: what counts.
    """
    accuracy, gain = gains["accuracy"], gains[criterion]
    # A gain of nothing at all, on no resample, is no chance finding: the policy does what identity does.
    if accuracy.upper < 0 or gain.upper < 0 or gain.lower == gain.upper == 0:
        return "do not ship"
    return "ship" if gain.lower > 0 else "undecided"


def _verdict(chosen: Candidate, criterion: str) -> Verdict:
    if chosen.policy.name == IDENTITY_POLICY.name:
        return "do not ship"
    return verdict_by_intervals(chosen.gains, criterion=criterion)


def _rule(criterion: str) -> str:
    name = CRITERIA[criterion]
    chosen = f"The policy with the best {name} on validation is judged on test: "
    if criterion == "accuracy":
        return chosen + (
            "ship if the interval of its accuracy gain over identity lies above zero, "
            "do not ship if it lies below zero or identity itself is best, else undecided."
        )
    return chosen + (
        f"ship if the interval of its {name} gain over identity lies above zero and that of its accuracy gain "
        "does not lie below zero, do not ship if either lies below zero or identity itself is best, else undecided."
    )


def _reason(chosen: Candidate, criterion: str) -> str:
    name = CRITERIA[criterion]
    if chosen.policy.name == IDENTITY_POLICY.name:
        return f"No policy is better than identity: it has the best {name} on validation, with 1 forward pass."
    accuracy = chosen.gains["accuracy"]
    gained = [f"accuracy {100 * accuracy.value:+.2f} points [{100 * accuracy.lower:+.2f}, {100 * accuracy.upper:+.2f}]"]
    if criterion != "accuracy":
        gain = chosen.gains[criterion]
        gained.append(f"{name} gain {gain.value:+.4f} nats [{gain.lower:+.4f}, {gain.upper:+.4f}]")
    return (
        f"{chosen.policy.name} over identity on test: {', '.join(gained)} ({accuracy.level:.0%} intervals), "
        f"for {cost_text(chosen.test_passes)}; McNemar p after Holm {_p(chosen.p_values_adjusted['accuracy'])}."
    )


def cost_text(passes: float) -> str:
    """The price of a policy against identity's single pass; a mean per image where images differ."""
    if passes == 1:
        return "1 forward pass, as many as identity"
    return f"{passes:.0f} forward passes instead of 1" if passes == round(passes) else f"{passes:.2f} passes on average"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"
