"""Policies: what makes one, which name is kept, and the union of views."""

import pytest

from harness.errors import ConfigError
from harness.policies.anchored import AnchorProbs
from harness.policies.policy import IDENTITY_POLICY, Policy, required_views, with_identity
from harness.policies.votes import Vote
from harness.transforms.flips import HorizontalFlip, VerticalFlip
from harness.views import IDENTITY, View

HFLIP, VFLIP = View((HorizontalFlip(),)), View((VerticalFlip(),))


def test_views_keep_their_order_and_come_once() -> None:
    """A view given twice is one view, in first-seen order; so is a chain that does nothing beside identity."""
    policy = Policy("p", (VFLIP, IDENTITY, View((VerticalFlip(),)), View(()), HFLIP))
    assert policy.views == (VFLIP, IDENTITY, HFLIP)


def test_policies_of_one_content_are_equal_and_hashable() -> None:
    """A policy is a value."""
    assert len({Policy("p", (HFLIP, HFLIP)), Policy("p", (HFLIP,))}) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": " ", "views": (IDENTITY,)}, "needs a name"),
        ({"name": "p", "views": ()}, "no views"),
        ({"name": "p", "views": (HFLIP, IDENTITY), "aggregation": AnchorProbs(0.5)}, "give identity as the first view"),
    ],
)
def test_what_is_no_policy_is_refused(arguments: dict[str, object], says: str) -> None:
    """No name, no views, and an anchored aggregation without its anchor each give one clear line."""
    with pytest.raises(ConfigError, match=says):
        Policy(**arguments)  # type: ignore[arg-type]


def test_identity_is_added_in_front() -> None:
    """Where it is missing, identity comes first; the others keep their order."""
    a, b = Policy("b", (HFLIP,)), Policy("a", (VFLIP,))
    assert with_identity([a, b]) == (IDENTITY_POLICY, a, b)


def test_identity_is_moved_to_the_front_and_kept_once() -> None:
    """Identity in the middle is the one reference."""
    a = Policy("a", (HFLIP,))
    assert with_identity([a, Policy("identity", (IDENTITY,)), a]) == (IDENTITY_POLICY, a)


def test_the_name_identity_is_kept() -> None:
    """No other policy may call itself identity: every gain is measured against that name."""
    for impostor in (Policy("identity", (IDENTITY, HFLIP)), Policy("identity", (IDENTITY,), Vote())):
        with pytest.raises(ConfigError, match="'identity' is kept"):
            with_identity([impostor])


def test_two_policies_of_one_name_are_refused() -> None:
    """A name tells one policy from the others."""
    with pytest.raises(ConfigError, match="two different policies are called 'p'"):
        with_identity([Policy("p", (HFLIP,)), Policy("p", (VFLIP,))])


def test_required_views_are_the_union() -> None:
    """Shared views are run once, identity is always run, and the order is that of first use."""
    policies = [Policy("a", (VFLIP, HFLIP)), Policy("b", (IDENTITY, HFLIP)), Policy("c", (VFLIP,), Vote())]
    assert required_views(policies) == (IDENTITY, VFLIP, HFLIP)
    assert required_views([]) == (IDENTITY,)


def test_the_spec_tells_what_is_done_and_not_what_it_is_called() -> None:
    """Two names for one thing have one spec; another view, aggregation or parameter has another."""
    spec = Policy("a", (IDENTITY, HFLIP), AnchorProbs(0.5)).spec
    assert spec == Policy("b", (IDENTITY, HFLIP), AnchorProbs(0.5)).spec
    others = [
        Policy("a", (IDENTITY, VFLIP), AnchorProbs(0.5)),
        Policy("a", (IDENTITY, HFLIP), AnchorProbs(0.25)),
        Policy("a", (IDENTITY, HFLIP), Vote()),
    ]
    assert all(other.spec != spec for other in others)
