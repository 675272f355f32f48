"""A policy: a name, its views, and how their logits are aggregated."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError
from harness.parameters import spec
from harness.policies.base import Aggregation
from harness.policies.fixed import MeanProbs
from harness.views import IDENTITY, View


@dataclass(frozen=True)
class Policy:
    """Which views are predicted, and how they become one prediction.

    Attributes:
        name: a label for people; part of no key.
        views: at least one; a view that is given twice is kept once, in first-seen order.
        aggregation: what is done with their logits; one that learns is fitted on validation.

    Raises:
        ConfigError: for an empty name, no views, or an anchored aggregation whose first view is not identity.
    """

    name: str
    views: tuple[View, ...]
    aggregation: Aggregation = MeanProbs()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("a policy needs a name; give it one that tells it from the others")
        if not self.views:
            raise ConfigError(f"policy {self.name!r} has no views; give at least one, e.g. identity")
        object.__setattr__(self, "views", tuple(dict.fromkeys(self.views)))
        if self.aggregation.anchored and self.views[0] != IDENTITY:
            raise ConfigError(
                f"policy {self.name!r}: {self.aggregation.kind} treats the plain image apart from the other views; "
                f"give identity as the first view, got {self.views[0].name}"
            )

    @property
    def spec(self) -> dict[str, Any]:
        """What it does as plain data: equal for two policies that differ in name only."""
        return {"views": [view.spec for view in self.views], "aggregation": spec(self.aggregation)}


IDENTITY_POLICY = Policy("identity", (IDENTITY,))
"""The reference of every gain: the model's ordinary prediction, one forward pass."""


def without_view_seed(name: str) -> str:
    """The name that policies share which differ in the seed of their random views: `tutorial` of `tutorial.seed3`."""
    return re.sub(r"\.seed\d+(?=\.|$)", "", name)


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
    if policy != IDENTITY_POLICY:
        raise ConfigError("the name 'identity' is kept for the plain prediction; rename the policy that uses it")


def required_views(policies: Sequence[Policy]) -> tuple[View, ...]:
    """The union of the policies' views in first-seen order, identity always there and first: what has to be run."""
    return tuple(dict.fromkeys(view for policy in (IDENTITY_POLICY, *policies) for view in policy.views))
