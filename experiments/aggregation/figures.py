"""The figures of this study, from the tables that `harness combine --study aggregation` writes.

python experiments/aggregation/figures.py results/combined/tables
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

FAMILIES = {
    "no views (control)": ("no_views",),
    "fixed": ("pool.", "hflip", "shifts"),
    "searched": ("gps", "best_subset"),
    "learned": ("augtta", "classtta", "covariance", "stacking", "m_atta", "v_atta"),
    "adaptive": ("selective", "early_exit", "learned_early_exit", "exact_exit", "loss_ridge"),
}
# Okabe and Ito's palette: told apart with any colour vision; the marker tells the family as well.
LOOKS = {
    "fixed": ("#999999", "o"),
    "searched": ("#0072B2", "s"),
    "learned": ("#D55E00", "^"),
    "adaptive": ("#009E73", "D"),
    "no views (control)": ("#000000", "X"),
}
NAMED = ("no_views.stacking", "no_views.classtta", "hflip", "gps(2)", "gps(5)", "gps(20)", "classtta", "augtta",
         "pool.mean_probs", "exact_exit", "selective(0.3)", "stacking")  # fmt: skip
TITLES = {"cifar10": "CIFAR-10", "fashion_mnist": "Fashion-MNIST"}


def family(policy: str) -> str:
    """The family of a policy, by its name."""
    return next((name for name, starts in FAMILIES.items() if policy.startswith(starts)), "fixed")


def draw(axes: plt.Axes, table: pd.DataFrame, score: str, *, scale: float, floor: float) -> None:
    """Gains against passes, with their intervals; policies below `floor` are counted in the corner."""
    shown = table[table[score] * scale >= floor]
    for name, (colour, marker) in LOOKS.items():
        part = shown[shown["policy"].map(family) == name]
        value, low, high = (part[f"{score}{end}"] * scale for end in ("", "_lower", "_upper"))
        axes.errorbar(part["passes"], value, yerr=[value - low, high - value], fmt=marker, color=colour, ms=4.5,
                      lw=0.8, alpha=0.85, label=name)  # fmt: skip
    for _, row in shown[shown["policy"].isin(NAMED)].iterrows():
        late = row["passes"] > 8
        axes.annotate(row["policy"].replace("pool.", "pool "), (row["passes"], row[score] * scale),
                      xytext=(-5 if late else 5, 3), textcoords="offset points", fontsize=7,
                      ha="right" if late else "left")  # fmt: skip
    hidden = len(table) - len(shown)
    if hidden:
        axes.text(0.02, 0.03, f"{hidden} below {floor:g}", transform=axes.transAxes, fontsize=7)
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xlim(0.85, 25)
    axes.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    axes.grid(alpha=0.25)


def main(folder: Path) -> None:
    """Writes figures/budget.png beside this file."""
    tables = {name: next(folder.glob(f"{name}-*_cnn.csv")) for name in TITLES}
    figure, panels = plt.subplots(2, 2, figsize=(10.5, 8), sharex=True)
    for row, (name, file) in zip(panels, tables.items(), strict=True):
        table = pd.read_csv(file).query("policy != 'identity'")
        draw(row[0], table, "accuracy_gain", scale=100, floor=-1.5)
        draw(row[1], table, "nll_calibrated_gain", scale=1, floor=-0.03)
        row[0].set_ylabel(f"{TITLES[name]}\naccuracy gain, points")
        row[1].set_ylabel("calibrated NLL gain, nats")
    for axes in panels[1]:
        axes.set_xlabel("forward passes per image, mean (logarithmic)")
    panels[0][0].legend(fontsize=8, loc="upper left")
    figure.suptitle("Gain over identity on test: mean and 95 % interval over 3 training seeds and 10,000 images")
    figure.tight_layout()
    target = Path(__file__).parent / "figures"
    target.mkdir(exist_ok=True)
    figure.savefig(target / "budget.png", dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
