"""Pictures: the Pareto front is right, every policy is drawn or counted, labels do not collide."""

import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from harness import plots
from harness.records import JobRecord

MakeJob = Callable[..., JobRecord]


def words(figure: Figure) -> list[str]:
    """Every tick label and text of a figure's first axes, and its title."""
    axes = figure.axes[0]
    title = figure.get_suptitle()
    return [title, *(label.get_text() for label in axes.get_yticklabels()), *(text.get_text() for text in axes.texts)]


def test_three_pictures_are_written(make_job: MakeJob, tmp_path: Path) -> None:
    """Each is a PNG of a size that can be read."""
    paths = plots.write_plots(make_job(), tmp_path / "plots")
    assert {path.name for path in paths} == {"gains.png", "accuracy_passes.png", "reliability.png"}
    for path in paths:
        data = path.read_bytes()
        width, height = struct.unpack(">II", data[16:24])
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert width >= 900
        assert height >= 300


def test_identity_alone_has_no_picture_of_gains(make_job: MakeJob, tmp_path: Path) -> None:
    """Where there is nothing to compare, nothing empty is drawn."""
    paths = plots.write_plots(make_job((), chosen=0), tmp_path)
    assert {path.name for path in paths} == {"accuracy_passes.png", "reliability.png"}


def test_the_title_counts_by_the_adjusted_p_value(make_job: MakeJob) -> None:
    """An interval that excludes zero is not enough: many were tried."""
    figure = plots.draw_gains(make_job((0.02, 0.012, 0.001, -0.03)))
    assert words(figure)[0] == "Of 4 policies, 1 better than identity, 1 worse, 2 not told apart"


@pytest.mark.parametrize(("count", "chosen", "rows"), [(30, 1, 30), (60, 1, 30), (60, 30, 31)])
def test_long_lists_keep_the_ends_and_the_chosen_policy(make_job: MakeJob, count: int, chosen: int, rows: int) -> None:
    """The best and the worst are drawn, the chosen one always, and the rest is counted."""
    gains = tuple(0.05 - 0.002 * index for index in range(count))
    found = words(plots.draw_gains(make_job(gains, chosen=chosen)))
    drawn = [text for text in found if text.startswith("policy_")]
    assert len(drawn) == rows
    assert drawn[0].startswith("policy_1")
    assert drawn[-1] == f"policy_{count}"
    assert f"policy_{chosen} (chosen)" in drawn
    left_out = [text for text in found if "more between" in text]
    assert left_out == ([] if count == rows else [f"· · ·   {count - rows} more between   · · ·"])


def test_names_on_the_front_do_not_collide(make_job: MakeJob) -> None:
    """No two names overlap, and the chosen policy and the most accurate one are named."""
    random = np.random.default_rng(1)
    record = make_job(tuple(random.normal(0, 0.02, 60)), chosen=20)
    figure = plots.draw_accuracy_passes(record)
    labels = [text for text in figure.axes[0].texts if isinstance(text, Annotation)]
    boxes = [label.get_window_extent() for label in labels]
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))
    best = max(record.policies, key=lambda policy: policy.metrics["test/accuracy"])
    assert {"policy_20", best.name} <= {label.get_text() for label in labels}


def test_empty_bins_are_not_drawn(make_job: MakeJob) -> None:
    """A bin without images has no accuracy: it is no point of the curve."""
    record = make_job()
    bins = record.reliability["identity"]
    with_empty = type(bins)((0.0, 0.3, 0.6, 1.0), (0.0, 0.5, 0.9), (0.0, 0.4, 0.8), (0, 50, 150))
    figure = plots.draw_reliability(make_job(reliability={"identity": with_empty}))
    curve = next(line for line in figure.axes[0].lines if line.get_label() == "identity")
    assert list(curve.get_xdata()) == [0.5, 0.9]  # type: ignore[arg-type]
    assert list(curve.get_ydata()) == [0.4, 0.8]  # type: ignore[arg-type]
