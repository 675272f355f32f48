"""The Pareto front is what its definition says, and the policies on it are the ones to price."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.pareto import pareto_front, worth_pricing
from harness.records import JobRecord


def test_the_front_equals_the_definition() -> None:
    """A point is on the front when no other costs at most as much and scores at least as much (first of equals)."""
    random = np.random.default_rng(0)
    for _ in range(50):
        cost, score = random.integers(1, 6, 12), random.integers(0, 6, 12).astype(float)
        expected = {
            (cost[i], score[i])
            for i in range(12)
            if not any((cost[j] <= cost[i]) & (score[j] >= score[i]) & ((cost[j], score[j]) != (cost[i], score[i]))
                       for j in range(12))
        }  # fmt: skip
        front = pareto_front(cost, score)
        assert {(cost[i], score[i]) for i in front} == expected
        assert len(front) == len(expected)


def test_what_is_worth_a_price(make_job: Callable[..., JobRecord]) -> None:
    """Identity, what is best for its price in accuracy or calibrated NLL, and the chosen one even where it is not."""
    record = make_job((0.02, -0.03, 0.01, 0.05), chosen=2)
    assert worth_pricing(record) == ("identity", "policy_1", "policy_2", "policy_4")
    calibrated = replace(record.policies[3], metrics={**record.policies[3].metrics, "test/nll_calibrated": 0.1})
    record = replace(record, policies=(*record.policies[:3], calibrated, record.policies[4]))
    assert worth_pricing(record) == ("identity", "policy_1", "policy_2", "policy_3", "policy_4")
