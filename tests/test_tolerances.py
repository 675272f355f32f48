"""What rounding may do to a number, by its kind."""

import math

import numpy as np
import pytest

from harness.tolerances import (
    IMAGE,
    KINDS,
    MEAN,
    P_VALUE,
    SHARE,
    STATISTIC,
    TEMPERATURE,
    Sizes,
    allowed,
    allowed_share,
    kind_of,
)

SIZES = Sizes(validation=50, test=200, classes=10, views=7)


@pytest.mark.parametrize(
    ("subject", "name", "kind"),
    [
        ("policy hflip", "test/nll", MEAN),
        ("policy hflip", "test/brier", MEAN),
        ("policy hflip", "gain/nll_calibrated_lower", MEAN),
        ("policy hflip", "corruptions/mean_nll_calibrated", MEAN),
        ("job", "headroom/ensemble_brier", MEAN),
        ("policy hflip", "what/nobody_knows", MEAN),
        ("policy hflip", "validation/accuracy", SHARE),
        ("policy hflip", "gain/accuracy_upper", SHARE),
        ("policy hflip", "gain/corrected", SHARE),
        ("policy hflip", "test/ece_equal_mass_lower", SHARE),
        ("policy hflip", "conformal/aps_size", SHARE),
        ("policy exit", "cost/passes", SHARE),
        ("job", "headroom/oracle", SHARE),
        ("table agreement: identity", "shift(dx=1)", SHARE),
        ("table subsets_x: identity mean_probs", "validation_accuracy", SHARE),
        ("policy hflip", "gain/nll_calibrated_p_value_adjusted", P_VALUE),
        ("policy hflip", "gain/p_value_bh", STATISTIC),
        ("table error_correlation: identity", "rotate(5)", STATISTIC),
        ("policy hflip", "test/auroc_errors", STATISTIC),
        ("policy hflip", "temperature", TEMPERATURE),
    ],
)
def test_kinds(subject: str, name: str, kind: str) -> None:
    """A number's name says what it is; what is unknown is held to the strictest."""
    assert kind_of(subject, name) == kind


def test_every_kind_says_its_tolerance() -> None:
    """The sentence that people read holds the number that decides."""
    assert allowed(MEAN, 0.3) == allowed(MEAN, -1.0) == 1e-4 and "0.0001" in KINDS[MEAN]
    assert allowed(MEAN, 30.0) == pytest.approx(3e-3)
    assert allowed(IMAGE, 0.5) == 1e-3 and "0.001" in KINDS[IMAGE]
    assert allowed(TEMPERATURE, 2.0) == pytest.approx(2e-4) and "0.0001" in KINDS[TEMPERATURE]
    assert allowed(P_VALUE, 0.5) == pytest.approx(0.005, abs=2e-6) and "0.01" in KINDS[P_VALUE]
    assert allowed(P_VALUE, 1e-274) == pytest.approx(1e-6) and "1e-06" in KINDS[P_VALUE]
    assert allowed(STATISTIC, 1.0) == math.inf
    np.testing.assert_allclose(allowed(MEAN, np.array([0.1, 20.0])), [1e-4, 2e-3])


@pytest.mark.parametrize(
    ("subject", "name", "worth"),
    [
        ("policy hflip", "test/accuracy", 2 / 200),
        ("policy hflip", "validation/accuracy", 2 / 50),
        ("policy hflip", "optimism/accuracy", 2 / 50),
        ("policy hflip", "gain/corrected", 2.0),
        ("policy hflip", "cost/passes", 2 * 7 / 200),
        ("policy hflip", "conformal/aps_size", 2 * 10 / 200),
        ("policy hflip", "conformal/aps_worst_class_coverage", 2 * 10 / 200),
        ("table views_by_class: hflip cat", "accuracy", 2 * 10 / 50),
        ("table views: hflip", "difference", 2 / 50),
    ],
)
def test_two_images_are_worth(subject: str, name: str, worth: float) -> None:
    """By hand: two images of the split or of the class, in views or classes where those are counted."""
    assert allowed_share(subject, name, SIZES) == pytest.approx(worth)
