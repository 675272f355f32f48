"""Selection: the rule's every branch, on results written by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from harness.errors import ConfigError
from harness.policies.policy import IDENTITY_POLICY, Policy
from harness.selection import choose, cost_text, verdict_of
from harness.transforms.flips import HorizontalFlip, VerticalFlip
from harness.types import Estimate
from harness.views import IDENTITY, View

HFLIP, VFLIP = View((HorizontalFlip(),)), View((VerticalFlip(),))
UP, ACROSS, DOWN = (0.01, 0.02), (-0.01, 0.02), (-0.02, -0.01)


@dataclass(frozen=True)
class Result:
    """What `choose` looks at."""

    policy: Policy
    validation: Mapping[str, float]
    gains: Mapping[str, Estimate]

    @property
    def passes(self) -> float:
        """One a view."""
        return float(len(self.policy.views))

    @property
    def test_passes(self) -> float:
        """The same."""
        return self.passes

    @property
    def p_values_adjusted(self) -> Mapping[str, float]:
        """Of accuracy."""
        return {"accuracy": 0.5}


def result(
    policy: Policy | str, score: float, *, gain: tuple[float, float] = UP, accuracy: tuple[float, float] = UP
) -> Result:
    """A result whose three validation NLLs are `score`, and accuracy 1 - score."""
    policy = Policy(policy, (IDENTITY, HFLIP)) if isinstance(policy, str) else policy
    validation = {"nll_calibrated": score, "nll": score, "accuracy": 1 - score}
    nll, right = (Estimate(sum(pair) / 2, *pair) for pair in (gain, accuracy))
    return Result(policy, validation, {"nll_calibrated": nll, "nll": nll, "accuracy": right})


IDENTITY_RESULT = result(IDENTITY_POLICY, 0.5, gain=(0.0, 0.0), accuracy=(0.0, 0.0))


@pytest.mark.parametrize("criterion", ["nll_calibrated", "nll"])
@pytest.mark.parametrize(
    ("gain", "accuracy", "verdict"),
    [
        (UP, UP, "ship"),
        (UP, ACROSS, "ship"),
        (UP, DOWN, "do not ship"),
        (ACROSS, UP, "undecided"),
        (ACROSS, ACROSS, "undecided"),
        (ACROSS, DOWN, "do not ship"),
        (DOWN, UP, "do not ship"),
        (DOWN, DOWN, "do not ship"),
        ((0.0, 0.1), UP, "undecided"),
    ],
)
def test_verdicts(criterion: str, gain: tuple[float, float], accuracy: tuple[float, float], verdict: str) -> None:
    """Ship, do not ship or undecided for every position of the two intervals."""
    found = choose([IDENTITY_RESULT, result("p", 0.4, gain=gain, accuracy=accuracy)], criterion=criterion)
    assert (found.policy, found.verdict, found.criterion) == ("p", verdict, criterion)


@pytest.mark.parametrize(("accuracy", "verdict"), [(UP, "ship"), (ACROSS, "undecided"), (DOWN, "do not ship")])
def test_accuracy_as_criterion_looks_at_accuracy_alone(accuracy: tuple[float, float], verdict: str) -> None:
    """With accuracy as the criterion, the NLL interval has no say."""
    for gain in (UP, DOWN):
        found = choose([IDENTITY_RESULT, result("p", 0.4, gain=gain, accuracy=accuracy)], criterion="accuracy")
        assert found.verdict == verdict
        assert "NLL" not in found.reason + found.rule


def test_identity_selected_says_that_no_policy_is_better() -> None:
    """Where identity is best on validation, it stays, and the reason says so."""
    found = choose([IDENTITY_RESULT, result("p", 0.6)])
    assert (found.policy, found.verdict) == ("identity", "do not ship")
    assert "No policy is better than identity" in found.reason


def test_validation_alone_chooses() -> None:
    """The policy with the best validation score is taken even where another has the better test gain."""
    found = choose([IDENTITY_RESULT, result("good", 0.4, gain=DOWN), result("lucky", 0.45, gain=(0.5, 0.6))])
    assert (found.policy, found.verdict) == ("good", "do not ship")


def test_ties_go_to_fewer_passes_then_identity_then_the_first_name() -> None:
    """Equal validation scores, up to float rounding: the cheaper policy wins, identity before others, then by name."""
    two, also_two = result("b", 0.5), result("a", 0.5 + 1e-15)
    one = result(Policy("z", (HFLIP,)), 0.5)
    assert choose([two, also_two]).policy == "a"
    assert choose([two, also_two, one]).policy == "z"
    assert choose([two, one, result(Policy("a1", (IDENTITY,)), 0.5), IDENTITY_RESULT]).policy == "identity"
    assert choose([result("b", 0.5 - 1e-9), also_two]).policy == "b"


def test_the_order_of_results_does_not_matter() -> None:
    """The same policy is chosen from any order."""
    results = [IDENTITY_RESULT, result("b", 0.4), result("a", 0.4), result("c", 0.45)]
    assert choose(results) == choose(results[::-1])


def test_the_reason_is_one_sentence_for_people() -> None:
    """Accuracy in percentage points, NLL in nats, the intervals and their level, the passes, the adjusted p."""
    found = choose([IDENTITY_RESULT, result(Policy("flips", (IDENTITY, HFLIP, VFLIP)), 0.4, gain=(0.03, 0.05))])
    assert found.reason == (
        "flips over identity on test: accuracy +1.50 points [+1.00, +2.00], calibrated NLL gain +0.0400 nats "
        "[+0.0300, +0.0500] (95% intervals), for 3 forward passes instead of 1; McNemar p after Holm 0.5."
    )
    assert "\n" not in found.rule
    assert found.rule.endswith("else undecided.")


def test_a_single_view_costs_as_much_as_identity() -> None:
    """One forward pass is not "1 instead of 1"."""
    assert "for 1 forward pass, as many as identity" in choose([result(Policy("h", (HFLIP,)), 0.1)]).reason


def test_unknown_criterion_is_refused() -> None:
    """A misspelt criterion is answered with the nearest name."""
    with pytest.raises(ConfigError, match="did you mean accuracy"):
        choose([IDENTITY_RESULT], criterion="acuracy")


@pytest.mark.parametrize(
    ("gains", "p", "verdict"),
    [
        ((0.01, 0.02), (0.5, 0.04), "ship"),
        ((0.01, 0.02), (0.01, 0.06), "undecided"),
        ((-0.01, 0.02), (0.04, 0.01), "do not ship"),
        ((-0.01, 0.02), (0.06, 0.01), "ship"),
        ((0.01, -0.02), (0.01, 0.01), "do not ship"),
        ((0.01, -0.02), (0.01, 0.5), "undecided"),
    ],
)
def test_the_verdict_on_one_of_many(gains: tuple[float, float], p: tuple[float, float], verdict: str) -> None:
    """A positive gain with a small adjusted p ships; a negative one, of accuracy too, does not; else undecided."""
    names = ("accuracy", "nll_calibrated")
    found = verdict_of(
        dict(zip(names, gains, strict=True)),
        dict(zip(names, p, strict=True)),
        criterion="nll_calibrated",
        level=0.95,
    )
    assert found == verdict


def test_the_price_of_images_that_differ_is_a_mean() -> None:
    """Whole numbers are forward passes, others passes on average."""
    assert cost_text(1) == "1 forward pass, as many as identity"
    assert cost_text(4.0) == "4 forward passes instead of 1"
    assert cost_text(1.306) == "1.31 passes on average"
