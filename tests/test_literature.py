"""Protocols of the literature, against numbers of its own code."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from harness.calibration import calibrated_nll, fit_temperature
from harness.literature import paper_calibrated_nll

GOLDEN = json.loads((Path(__file__).parent / "golden" / "ensembles.json").read_text())
LOG_PROBS = special.log_softmax(np.array(GOLDEN["logits"]), axis=1)
LABELS = np.array(GOLDEN["labels"])


@pytest.mark.parametrize("case", GOLDEN["calibrated"], ids=lambda case: f"seed {case['seed']}")
def test_it_is_the_literatures(case: dict[str, float]) -> None:
    """Minus the calibrated log-likelihood of pytorch-ensembles on the same halves.

    Within 1e-4: theirs is float32, and its search stops about 1e-4 away from the best temperature.
    """
    assert paper_calibrated_nll(LOG_PROBS, LABELS, seed=int(case["seed"])) == pytest.approx(-case["ll"], abs=1e-4)


def test_the_seed_decides_the_halves() -> None:
    """One seed gives one number; another seed another, near it."""
    first = paper_calibrated_nll(LOG_PROBS, LABELS, seed=0)
    assert paper_calibrated_nll(LOG_PROBS, LABELS, seed=0) == first
    assert paper_calibrated_nll(LOG_PROBS, LABELS, seed=1) != first


def test_it_is_a_little_worse_than_fitting_on_all() -> None:
    """A temperature from one half cannot beat, on both halves together, the best one for all of test."""
    best = calibrated_nll(LOG_PROBS, LABELS, temperature=fit_temperature(LOG_PROBS, LABELS)).mean()
    assert best <= paper_calibrated_nll(LOG_PROBS, LABELS, seed=0) < best + 0.2


def test_an_odd_number_of_examples_and_too_few() -> None:
    """Three examples make halves of two and one; one example makes none."""
    assert np.isfinite(paper_calibrated_nll(LOG_PROBS[:3], LABELS[:3], seed=0))
    with pytest.raises(ValueError, match="at least two examples"):
        paper_calibrated_nll(LOG_PROBS[:1], LABELS[:1], seed=0)
