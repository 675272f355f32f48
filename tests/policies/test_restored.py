"""What a job writes down of a fit is enough to have the fit again."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from harness.errors import ConfigError, DataError
from harness.fingerprint import canonical
from harness.policies.base import Aggregation, Fitted
from harness.policies.logits import ViewLogits
from harness.policies.registry import AGGREGATIONS, make_aggregation
from harness.policies.restored import restored
from tests.policies.parameters import PARAMETERS

V, N, C = 5, 90, 4
LABELS = np.arange(N) % C


def logits(seed: int) -> np.ndarray:
    """Made-up logits `[V, N, C]` float32 that are right more often than chance."""
    stream = np.random.default_rng(seed)
    found: np.ndarray = (stream.normal(size=(V, N, C)) + (LABELS[:, None] == np.arange(C))).astype(np.float32)
    return found


@pytest.mark.parametrize("kind", AGGREGATIONS)
def test_a_fit_comes_back_from_json(kind: str) -> None:
    """Every kind: the same bits and the same passes on logits that the fit has not seen."""
    aggregation = make_aggregation(kind, PARAMETERS.get(kind, {}))
    fitted = aggregation.fit(ViewLogits.of(logits(0)), LABELS)
    written = json.loads(json.dumps(canonical(fitted.parameters())))
    again = restored(aggregation, written)
    assert np.array_equal(again(logits(1)), fitted(logits(1)))
    assert np.array_equal(again.passes(logits(1)), fitted.passes(logits(1)))


def test_negative_weights_come_back() -> None:
    """Weights of either sign are another class of fit than those without."""
    aggregation = make_aggregation("covariance_weights", {"nonnegative": False})
    again = restored(aggregation, {"space": "probs", "weights": [1.25, -0.25, 0.0, 0.0, 0.0]})
    assert np.allclose(np.exp(again(logits(1))).sum(axis=1), 1)


@pytest.mark.parametrize(
    "learned", [{}, {"space": "probs", "weights": [0.4, 0.4]}, {"space": "logits", "weights": "x"}]
)
def test_damage_is_one_line(learned: dict[str, Any]) -> None:
    """Something missing, weights that do not sum to one, or no numbers at all."""
    with pytest.raises(DataError, match=r"what augtta has learned is damaged .* run the job again"):
        restored(make_aggregation("augtta", {}), learned)


@dataclass(frozen=True)
class Foreign(Aggregation):
    """A learned aggregation of another package."""

    kind: ClassVar[str] = "foreign"
    learns: ClassVar[bool] = True

    def fit(self, _logits: ViewLogits, _labels: np.ndarray) -> Fitted:
        """Nothing that anybody else knows."""
        raise NotImplementedError


def test_what_another_package_learned_stays_there() -> None:
    """Only it could read its own parameters."""
    with pytest.raises(ConfigError, match="foreign of another package cannot be restored"):
        restored(Foreign(), {"weights": [1]})
