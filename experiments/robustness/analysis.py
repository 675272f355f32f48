"""The tables and the figure of this study, from the records and tables of its jobs.

python experiments/robustness/analysis.py results
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm

from harness.corruptions.registry import CORRUPTIONS

TITLES = {"none": "trained without augmentation", "shift_flip": "trained with shifts and flips"}
LARGEST = 8.0
"""Points at which the colours are at their ends; larger losses are written into their cells all the same."""


def read(results: Path) -> dict[str, Path]:
    """The folder of the job of each augmentation in training."""
    found = {}
    for file in sorted(results.glob("*/record.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["study"] == "robustness" and (file.parent / "tables" / "corruptions.csv").is_file():
            found[record["params"]["augmentation"]] = file.parent
    return found


def by_corruption(job: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gains in points by policy and corruption, the mean over severities, with the clean gain in front; half-widths.

    Severities of one corruption show the same images, so that the half-width of their mean is at most the mean of
    theirs: that is what is given.
    """
    table = pd.read_csv(job / "tables" / "corruptions.csv")
    table["kind"] = table["corruption"].str.partition(":")[0]
    table["half"] = (table["gain_upper"] - table["gain_lower"]) / 2
    means = 100 * table.groupby(["policy", "kind"])[["gain", "half"]].mean()
    gains, halves = means["gain"].unstack()[list(CORRUPTIONS)], means["half"].unstack()[list(CORRUPTIONS)]
    clean = pd.read_csv(job / "leaderboard.csv").set_index("policy")
    gains.insert(0, "clean", 100 * clean["gain/accuracy"])
    halves.insert(0, "clean", 50 * (clean["gain/accuracy_upper"] - clean["gain/accuracy_lower"]))
    order = gains[list(CORRUPTIONS)].mean(axis=1).sort_values(ascending=False).index.drop("identity")
    return gains.loc[order], halves.loc[order]


def identity(job: Path) -> pd.Series:
    """Identity's accuracy in percent by corruption, the mean over severities, and on clean images."""
    table = pd.read_csv(job / "tables" / "corruptions.csv").query("policy == 'identity'")
    means = 100 * table.groupby(table["corruption"].str.partition(":")[0])["accuracy"].mean()[list(CORRUPTIONS)]
    clean = 100 * pd.read_csv(job / "leaderboard.csv").set_index("policy")["test/accuracy"]["identity"]
    return pd.concat([pd.Series({"clean": clean}), means])


def by_severity(job: Path) -> pd.DataFrame:
    """Gains in points by policy and severity, the mean over corruptions."""
    table = pd.read_csv(job / "tables" / "corruptions.csv").query("policy != 'identity'")
    return 100 * table.groupby(["policy", table["corruption"].str.partition(":")[2]])["gain"].mean().unstack()


def draw(jobs: dict[str, Path], target: Path) -> None:
    """A map for each network: policies by clean image and corruption, gains written in, bold where sure."""
    figure, panels = plt.subplots(len(jobs), 1, figsize=(11.5, 4.9 * len(jobs)), squeeze=False)
    for axes, (kind, job) in zip(panels[:, 0], jobs.items(), strict=True):
        gains, halves = by_corruption(job)
        axes.imshow(gains, cmap="PuOr_r", norm=TwoSlopeNorm(0, -LARGEST, LARGEST), aspect="auto")
        for (row, column), gain in np.ndenumerate(gains.to_numpy()):
            sure = abs(gain) > halves.to_numpy()[row, column]
            colour = "white" if abs(gain) > 0.7 * LARGEST else "black"
            weight = "bold" if sure else "normal"
            axes.text(column, row, f"{gain:+.1f}", ha="center", va="center", fontsize=7.5, weight=weight, color=colour)
        base = identity(job)
        labels = [f"{name.replace('_', ' ')}\n({base[name]:.0f} %)" for name in gains.columns]
        axes.set_xticks(range(len(labels)), labels, rotation=55, ha="right", fontsize=8, rotation_mode="anchor")
        axes.set_yticks(range(len(gains)), gains.index, fontsize=9)
        axes.axvline(0.5, color="black", lw=1.5)
        axes.set_title(f"Gain over identity, points; network {TITLES[kind]}", fontsize=10)
    figure.tight_layout()
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=100)


def main(results: Path) -> None:
    """Prints the tables, writes figures/gains.png beside this file."""
    jobs = read(results)
    for kind, job in jobs.items():
        gains, halves = by_corruption(job)
        corrupted = gains[list(CORRUPTIONS)]
        helped = (corrupted > halves[list(CORRUPTIONS)]).sum(axis=1)
        harmed = (corrupted < -halves[list(CORRUPTIONS)]).sum(axis=1)
        summary = pd.DataFrame(
            {"clean": gains["clean"], "clean ±": halves["clean"], "corrupted": corrupted.mean(axis=1),
             "best": corrupted.idxmax(axis=1), "of": corrupted.max(axis=1), "worst": corrupted.idxmin(axis=1),
             "by": corrupted.min(axis=1), "helps": helped, "harms": harmed}
        )  # fmt: skip
        print(f"{TITLES[kind]}: {job.name}\n{identity(job).round(1).to_frame().T.to_string(index=False)}\n")
        print(f"{summary.round(2).to_string()}\n\n{by_severity(job).round(2).to_string()}\n")
        print(f"{gains.round(1).T.to_string()}\n\nhalf-widths\n{halves.round(1).T.to_string()}\n")
    draw(jobs, Path(__file__).parent / "figures" / "gains.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
