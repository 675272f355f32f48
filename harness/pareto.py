"""Which policies are worth a look: those that no cheaper one equals."""

import numpy as np

from harness.records import IDENTITY, JobRecord

SCORES = {"test/accuracy": 1.0, "test/nll_calibrated": -1.0}
"""What a policy may be the best in for its price, and the sign that makes higher better."""


def pareto_front(cost: np.ndarray, score: np.ndarray) -> list[int]:
    """Indices of the points that score more than every point of equal or lower cost, by cost.

    Args:
        cost: `[P]`, lower is better.
        score: `[P]`, higher is better.
    """
    front: list[int] = []
    for index in np.lexsort((-score, cost)):
        if not front or score[index] > score[front[-1]]:
            front.append(int(index))
    return front


def worth_pricing(record: JobRecord) -> tuple[str, ...]:
    """Names of the policies whose latency matters: identity, the chosen one, and those on a Pareto front.

    There are two fronts, of accuracy and of calibrated NLL on test against forward passes per image. By passes.
    """
    cost = np.array([policy.passes for policy in record.policies])
    found = {IDENTITY, record.recommendation.policy}
    for name, sign in SCORES.items():
        score = np.array([sign * policy.metric(name) for policy in record.policies])
        known = np.flatnonzero(np.isfinite(score))
        found |= {record.policies[known[place]].name for place in pareto_front(cost[known], score[known])}
    ordered = sorted(record.policies, key=lambda policy: (policy.name != IDENTITY, policy.passes))
    return tuple(policy.name for policy in ordered if policy.name in found)
