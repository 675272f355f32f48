"""A policy: a name, its views, and how their logits are aggregated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError
from harness.policies.aggregation import aggregation
from harness.views import IDENTITY, View


@dataclass(frozen=True)
class Policy:
    """Which views are predicted, and how they become one prediction.

    Attributes:
        name: a label for people; part of no key.
        views: at least one; a view that is given twice is kept once, in first-seen order.
        aggregation: a name that `harness.policies.aggregation.aggregation` knows.
        fit_split: the split that a policy which learns is fitted on, else None; never `test`.

    Raises:
        ConfigError: for an empty name, no views, an unknown aggregation, or a fit on the test split.
    """

    name: str
    views: tuple[View, ...]
    aggregation: str = "mean_probs"
    fit_split: str | None = None

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("a policy needs a name; give it one that tells it from the others")
        if not self.views:
            raise ConfigError(f"policy {self.name!r} has no views; give at least one, e.g. identity")
        if self.fit_split == "test":
            raise ConfigError(f"policy {self.name!r} would be fitted on test; use validation")
        aggregation(self.aggregation)
        object.__setattr__(self, "views", tuple(dict.fromkeys(self.views)))


IDENTITY_POLICY = Policy("identity", (IDENTITY,))
"""The reference of every gain: the model's ordinary prediction, one forward pass."""


def with_identity(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    """The policies in their order behind `IDENTITY_POLICY`, which is always there and first.

    Raises:
        ConfigError: for two policies of one name, or another policy under the name `identity`.
    """
    others: dict[str, Policy] = {}
    for policy in policies:
        if policy.name == IDENTITY_POLICY.name:
            _refuse_impostor(policy)
        elif others.setdefault(policy.name, policy) != policy:
            raise ConfigError(f"two different policies are called {policy.name!r}; rename one of them")
    return (IDENTITY_POLICY, *others.values())


def _refuse_impostor(policy: Policy) -> None:
    if policy.views != IDENTITY_POLICY.views or policy.aggregation == "vote":
        raise ConfigError("the name 'identity' is kept for the plain prediction; rename the policy that uses it")


def required_views(policies: Sequence[Policy]) -> tuple[View, ...]:
    """The union of the policies' views in first-seen order, identity always there and first: what has to be run."""
    return tuple(dict.fromkeys(view for policy in (IDENTITY_POLICY, *policies) for view in policy.views))
