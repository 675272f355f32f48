"""The tables and the figure of this study, from the records of its jobs.

python experiments/folder/analysis.py results
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

POLICIES = ("identity", "hflip", "jpeg_95_alone", "jpeg_75_alone", "jpeg_40_alone")
ORDERS = {
    "numbered": "numbered:\nno order at all",
    "sorted": "sorted by\nbrightness",
    "bursts": "bursts: five files\nof each thing",
}
RULES = {"stratified": ("#0072B2", "o"), "keras": ("#D55E00", "s")}


def read(results: Path) -> dict[tuple[str, str], tuple[dict[str, Any], Path]]:
    """Record and folder of each job, by the tree that it read and the rule that divided it."""
    found = {}
    for file in sorted(results.glob("*/record.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["study"] == "folder":
            config = yaml.safe_load((file.parent / "config.yaml").read_text(encoding="utf-8"))
            tree = Path(config["dataset"]["path"]).name
            foreign = " judging" if config["model"]["kind"] == "checkpoint" else ""
            found[tree + foreign, config["dataset"].get("split_rule", "stratified")] = (record, file.parent)
    return found


def leaderboard(record: dict[str, Any]) -> dict[str, object]:
    """What identifies a job's network and images, and the accuracies in percent."""
    numbers = {one["name"]: round(100 * one["metrics"]["test/accuracy"], 2) for one in record["policies"]}
    splits = record["dataset"]["splits"]
    return {
        "train, validation, test": " ".join(str(splits[name]["count"]) for name in ("train", "validation", "test")),
        "test digest": splits["test"]["digest"][:8],
        "network": record["model"]["digest"][:8],
        **{name: numbers[name] for name in POLICIES},
    }


def same_predictions(one: Path, other: Path) -> str:
    """Whether two jobs predicted the same for every image and policy, to the last bit of what is stored."""
    first, second = (pd.read_parquet(job / "predictions.parquet").drop(columns="example") for job in (one, other))
    return "equal to the last bit" if first.equals(second) else "different"


def accuracy(record: dict[str, Any]) -> tuple[float, float, float]:
    """Identity's accuracy in percent, with its 95 % interval (binomial)."""
    value = next(one["metrics"]["test/accuracy"] for one in record["policies"] if one["name"] == "identity")
    half = 1.96 * float(np.sqrt(value * (1 - value) / record["dataset"]["splits"]["test"]["count"]))
    return 100 * value, 100 * (value - half), 100 * (value + half)


def mirror_gain(record: dict[str, Any]) -> tuple[float, float, float]:
    """What the mirror image gains in NLL, in nats, with its paired 95 % interval."""
    metrics = next(one["metrics"] for one in record["policies"] if one["name"] == "hflip")
    return metrics["gain/nll"], metrics["gain/nll_lower"], metrics["gain/nll_upper"]


def draw(jobs: dict[tuple[str, str], tuple[dict[str, Any], Path]], target: Path) -> None:
    """Test accuracy, and what a mirror image gains, under the two rules for three orders of files."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.7))
    for axes, number, digits in zip(panels, (accuracy, mirror_gain), (".1f", "+.3f"), strict=True):
        for shift, (rule, (colour, marker)) in zip((-0.08, 0.08), RULES.items(), strict=True):
            found = np.array([number(jobs[order, rule][0]) for order in ORDERS])
            places, value = np.arange(len(ORDERS)) + shift, found[:, 0]
            ends = [value - found[:, 1], found[:, 2] - value]
            axes.errorbar(places, value, yerr=ends, fmt=marker, color=colour, capsize=3, label=f"split_rule: {rule}")
            for place, one in zip(places, value, strict=True):
                axes.annotate(f"{one:{digits}}", (place, one), xytext=(100 * shift, 0), textcoords="offset points",
                              ha="left" if shift > 0 else "right", va="center", fontsize=8)  # fmt: skip
        axes.set_xticks(range(len(ORDERS)), list(ORDERS.values()))
        axes.set_xlim(-0.65, 2.65)
        axes.grid(alpha=0.25, axis="y")
    panels[0].set_ylabel("test accuracy, % (95 %)")
    panels[1].set_ylabel("NLL gain of the mirror image, nats (95 %)")
    panels[1].axhline(0, color="black", lw=0.8)
    panels[0].legend(fontsize=8, loc="upper left")
    figure.tight_layout()
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=110)


def main(results: Path) -> None:
    """Prints the tables, writes figures/rules.png beside this file."""
    jobs = read(results)
    rows = {" ".join(key): leaderboard(record) for key, (record, _) in jobs.items()}
    print(pd.DataFrame(rows).T.to_string(), end="\n\n")
    for key, (record, _) in jobs.items():
        print(" ".join(key), *record["dataset"]["notes"], sep="\n  ")
    files, arrays = (jobs[name, "stratified"][1] for name in ("png", "arrays.npz"))
    print(f"\npredictions from PNG files and from arrays: {same_predictions(files, arrays)}")
    draw(jobs, Path(__file__).parent / "figures" / "rules.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
