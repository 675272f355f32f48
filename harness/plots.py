"""Three pictures of a job as PNG files; the only importer of matplotlib.

Drawn with `Figure` objects alone: no global state, no display, safe in threads. Colours are from Okabe and Ito's
palette, which people with colour-blindness can tell apart, and shape says the same as colour.
"""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from matplotlib.transforms import Bbox

from harness.files import make_folder, write_atomically
from harness.pareto import pareto_front
from harness.records import IDENTITY, JobRecord, PolicyRecord

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#8A8A8A", "#222222"
RESOLUTION = 150
SIGNIFICANCE = 0.05
MOST_ROWS = 30
MOST_LABELS = 8


def write_plots(record: JobRecord, folder: Path) -> list[Path]:
    """Draw the pictures into `folder` and return their paths.

    `gains.png` needs a policy beside identity, `reliability.png` needs bins; without them it is left out.

    Raises:
        StoreError: where the folder cannot be written.
    """
    make_folder(folder)
    figures = {"accuracy_passes.png": draw_accuracy_passes(record)}
    if _with_gain(record):
        figures["gains.png"] = draw_gains(record)
    if record.reliability:
        figures["reliability.png"] = draw_reliability(record)
    return [_write(figure, folder / name) for name, figure in figures.items()]


def draw_gains(record: JobRecord) -> Figure:
    """Accuracy gain of every policy over identity with its interval, best on top.

    With more than 30 policies the best and the worst 15 are drawn, and the chosen one with them. Better and
    worse are said where the Holm-adjusted p value is below 0.05; an interval alone does not know how many were tried.
    """
    policies = sorted(_with_gain(record), key=lambda policy: policy.metrics["gain/accuracy"], reverse=True)
    rows = _ends(policies, record.recommendation.policy)
    figure = _figure((8, 1.7 + 0.27 * max(len(rows), 3)))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1)
    for row, policy in enumerate(rows):
        if policy is None:
            note = f"· · ·   {len(policies) - len(rows) + 1} more between   · · ·"
            axes.annotate(note, (0.5, row), xycoords=("axes fraction", "data"), ha="center", va="center", fontsize=8,
                          color=GREY, backgroundcolor="white")  # fmt: skip
        else:
            _draw_interval(axes, row, policy, chosen=policy.name == record.recommendation.policy)
    names = [_named(policy.name, record) if policy else "" for policy in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"accuracy gain over identity on test, percentage points, {record.level:.0%} interval")
    axes.grid(axis="x", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    _legend_of_gains(axes, rows)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    _title(figure, _gains_title(policies), _subtitle(record))
    return _clean(figure, axes)


def draw_accuracy_passes(record: JobRecord) -> Figure:
    """Test accuracy against forward passes per image; the policies that no cheaper one equals are joined and named."""
    policies = [policy for policy in record.policies if "test/accuracy" in policy.metrics]
    passes = np.array([policy.passes for policy in policies])
    accuracy = np.array([100 * policy.metrics["test/accuracy"] for policy in policies])
    front = pareto_front(passes, accuracy)
    figure = _figure((8, 5))
    axes = figure.subplots()
    axes.scatter(passes, accuracy, s=28, color=GREY, alpha=0.7, linewidths=0, label="policy")
    axes.step(passes[front], accuracy[front], where="post", color=BLUE, linewidth=1.4)
    axes.scatter(passes[front], accuracy[front], s=46, color=BLUE, zorder=3, label="no cheaper policy is as accurate")
    for index, policy in enumerate(policies):
        if policy.name in (IDENTITY, record.recommendation.policy):
            _mark_policy(axes, passes[index], accuracy[index], policy, record)
    _pass_axis(axes, passes)
    axes.set_xlabel("forward passes per image (logarithmic)")
    axes.set_ylabel("accuracy on test, %")
    axes.margins(0.08, 0.12)
    axes.grid(color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    _title(figure, _front_title(policies, front), _subtitle(record))
    named = [*front, *(i for i, policy in enumerate(policies) if policy.name == record.recommendation.policy)]
    _clean(figure, axes)
    _label_points(figure, axes, points=_unique(named, passes, accuracy, policies), obstacles=(passes, accuracy))
    return figure


def draw_reliability(record: JobRecord) -> Figure:
    """Accuracy against confidence in bins for identity and the chosen policy, with the counts underneath."""
    figure = _figure((6.4, 6.6))
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 3)), label="perfectly calibrated")
    styles = {record.recommendation.policy: (ORANGE, "s"), IDENTITY: (BLUE, "o")}
    for name, (colour, marker) in styles.items():
        if name in record.reliability:
            _draw_bins(axes, counts, record, name, colour=colour, marker=marker)
    axes.set_ylabel("accuracy in the bin")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    counts.set_ylabel("images")
    counts.set_xlabel("confidence of the prediction")
    counts.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for part in (axes, counts):
        part.grid(color="#E4E4E4", linewidth=0.8)
        part.set_axisbelow(True)
        _clean(figure, part)
    _title(figure, _reliability_title(record), _subtitle(record))
    return figure


def _with_gain(record: JobRecord) -> list[PolicyRecord]:
    return [policy for policy in record.policies if policy.name != IDENTITY and "gain/accuracy" in policy.metrics]


def _ends(policies: Sequence[PolicyRecord], keep: str) -> list[PolicyRecord | None]:
    """The rows to draw; None stands for the policies left out."""
    if len(policies) <= MOST_ROWS:
        return list(policies)
    half = MOST_ROWS // 2
    kept = [policy for policy in policies[half:-half] if policy.name == keep]
    return [*policies[:half], *kept, None, *policies[-half:]]


def _draw_interval(axes: Axes, row: int, policy: PolicyRecord, *, chosen: bool) -> None:
    gain, lower, upper = (100 * policy.metrics.get(f"gain/accuracy{end}", math.nan) for end in ("", "_lower", "_upper"))
    colour, marker = _sign_style(policy)
    if chosen:
        axes.axhspan(row - 0.5, row + 0.5, color="#FFF3C4", zorder=0)
    axes.plot([lower, upper], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([gain], [row], marker=marker, color=colour, markersize=6.5, markeredgecolor="white", markeredgewidth=0.6)


def _sign_style(policy: PolicyRecord) -> tuple[str, str]:
    if not policy.metrics.get("gain/p_value_adjusted", 1.0) < SIGNIFICANCE:
        return GREY, "o"
    return (GREEN, "^") if policy.metrics["gain/accuracy"] > 0 else (ORANGE, "v")


def _legend_of_gains(axes: Axes, rows: Sequence[PolicyRecord | None]) -> None:
    words = {GREEN: "better (adjusted p < 0.05)", ORANGE: "worse (adjusted p < 0.05)", GREY: "not told apart"}
    for colour, marker in dict.fromkeys(_sign_style(policy) for policy in rows if policy):
        axes.plot([], [], color=colour, marker=marker, linewidth=2, label=words[colour])


def _gains_title(policies: Sequence[PolicyRecord]) -> str:
    better = sum(_sign_style(policy)[0] == GREEN for policy in policies)
    worse = sum(_sign_style(policy)[0] == ORANGE for policy in policies)
    rest = len(policies) - better - worse
    total = f"{len(policies)} {'policy' if len(policies) == 1 else 'policies'}"
    return f"Of {total}, {better} better than identity, {worse} worse, {rest} not told apart"


def _front_title(policies: Sequence[PolicyRecord], front: Sequence[int]) -> str:
    best = policies[front[-1]]
    accuracy = f"{100 * best.metrics['test/accuracy']:.2f} %"
    if len(policies) == 1:
        return f"{best.name} alone: {accuracy}"
    if best.name == IDENTITY:
        return f"No policy is more accurate than identity ({accuracy}), at any price"
    return f"Highest accuracy: {accuracy} with {best.passes:.3g} passes ({best.name})"


def _reliability_title(record: JobRecord) -> str:
    chosen = record.recommendation.policy
    errors = {name: record.policy(name).metrics.get("test/ece", math.nan) for name in {IDENTITY, chosen}}
    if chosen == IDENTITY:
        return f"Calibration of identity: ECE {100 * errors[IDENTITY]:.2f} %"
    return f"Calibration: ECE {100 * errors[IDENTITY]:.2f} % (identity), {100 * errors[chosen]:.2f} % (chosen)"


def _subtitle(record: JobRecord) -> str:
    count = record.dataset.splits["test"].count
    return f"{record.dataset.name}, {record.model.name}, seed {record.seed}, {count} test images"


def _named(name: str, record: JobRecord) -> str:
    return f"{name} (chosen)" if name == record.recommendation.policy else name


def _mark_policy(axes: Axes, passes: float, accuracy: float, policy: PolicyRecord, record: JobRecord) -> None:
    chosen = policy.name == record.recommendation.policy
    words = "chosen on validation" + (" (identity)" if policy.name == IDENTITY else "") if chosen else "identity"
    axes.scatter([passes], [accuracy], s=150 if chosen else 60, marker="*" if chosen else "D",
                 color=ORANGE, edgecolors="white", linewidths=0.7, zorder=4, label=words)  # fmt: skip


def _pass_axis(axes: Axes, passes: np.ndarray) -> None:
    axes.set_xscale("log", base=2)
    top = math.ceil(math.log2(max(int(passes.max()), 2)))
    axes.set_xticks([2**power for power in range(top + 1)])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()


def _unique(
    named: Sequence[int], passes: np.ndarray, accuracy: np.ndarray, policies: Sequence[PolicyRecord]
) -> list[tuple[float, float, str]]:
    """The points that get a name: the chosen policy and the ends of the front first."""
    order = list(dict.fromkeys([named[-1], named[0], *reversed(named)]))
    return [(float(passes[i]), float(accuracy[i]), policies[i].name) for i in order[:MOST_LABELS]]


def _label_points(
    figure: Figure,
    axes: Axes,
    *,
    points: Sequence[tuple[float, float, str]],
    obstacles: tuple[np.ndarray, np.ndarray],
) -> None:
    """Write each point's name at the first place around it that covers no other name, the border or a point."""
    figure.draw_without_rendering()
    dots = axes.transData.transform(np.column_stack(obstacles))
    taken: list[Bbox] = []
    frame = axes.get_window_extent()
    places = [(dx, dy, ha, va) for step in (9, 20, 34) for dx, dy, ha, va in (
        (-step, step, "right", "bottom"), (0, step, "center", "bottom"), (step, step, "left", "bottom"),
        (step, 0, "left", "center"), (-step, 0, "right", "center"),
        (step, -step, "left", "top"), (0, -step, "center", "top"), (-step, -step, "right", "top"))]  # fmt: skip
    # In a crowd a name may cover points, never another name.
    avoided = [(place, dots) for place in places] + [(place, np.empty((0, 2))) for place in places]
    for x, y, name in points:
        for (dx, dy, ha, va), points_to_avoid in avoided:
            label = axes.annotate(name, (x, y), (dx, dy), textcoords="offset points", ha=ha, va=va, fontsize=8,
                                  color=INK, arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6,
                                                         "shrinkA": 0, "shrinkB": 3}, zorder=5,
                                  bbox={"boxstyle": "square,pad=0.1", "color": "white", "alpha": 0.75})  # fmt: skip
            box = label.get_window_extent().padded(2)
            inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
            free = not any(box.overlaps(other) for other in taken)
            if inside and free and not box.count_contains(points_to_avoid):
                taken.append(box)
                break
            label.remove()


def _draw_bins(axes: Axes, counts: Axes, record: JobRecord, name: str, *, colour: str, marker: str) -> None:
    bins = record.reliability[name]
    edges, count = np.array(bins.edges), np.array(bins.count)
    filled = count > 0
    label = _named(name, record)
    axes.plot(np.array(bins.confidence)[filled], np.array(bins.accuracy)[filled], color=colour, marker=marker,
              markersize=5.5, linewidth=1.6, markeredgecolor="white", markeredgewidth=0.6, label=label)  # fmt: skip
    counts.stairs(count, edges, color=colour, linewidth=1.6, linestyle="-" if name == IDENTITY else (0, (4, 2)))


def _figure(size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    return figure


def _title(figure: Figure, title: str, subtitle: str) -> None:
    figure.suptitle(title, fontsize=11, fontweight="bold", color=INK, x=0.012, ha="left")
    figure.axes[0].set_title(subtitle, fontsize=9, color="#555555", loc="left")


def _clean(figure: Figure, axes: Axes) -> Figure:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
    return figure


def _write(figure: Figure, path: Path) -> Path:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).figure.savefig(buffer, format="png", dpi=RESOLUTION)
    write_atomically(path, lambda stream: stream.write(buffer.getvalue()))
    return path
