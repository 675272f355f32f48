"""The tables and the figure of this study, from the records and predictions of its jobs.

python experiments/augmentation_as_regularizer/analysis.py results
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml

from harness.types import Estimate
from harness.variance import two_way_interval

POLICIES = ("identity", "hflip", "shifts_1px", "hflip_shifts")
TTA = "hflip_shifts"
TRAINED = {"none": "without", "shift_flip": "with"}
SCORES = {"accuracy": ("correct", 100.0), "calibrated NLL": ("nll_calibrated", -1.0)}
"""By name, the column of the predictions and what it is multiplied by: points, and nats that are better when larger."""
BLUE, ORANGE = "#0072B2", "#D55E00"

Cells = dict[tuple[float, str, str], np.ndarray]
"""`[S, N]` for each share of the training images, augmentation in training and policy."""


def read(results: Path) -> tuple[Cells, Cells, pd.Series]:
    """Correctness in points and NLL in nats of every test image, and the training accuracy of the last epoch."""
    found: dict[str, dict[tuple[float, str, str], dict[int, np.ndarray]]] = {name: {} for name in SCORES}
    fitted: dict[tuple[float, str], list[float]] = {}
    for file in sorted(results.glob("*/record.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        if record["study"] != "augmentation_as_regularizer":
            continue
        config = yaml.safe_load((file.parent / "config.yaml").read_text(encoding="utf-8"))
        cell = config["dataset"]["train_fraction"], config["augmentation"]["kind"]
        fitted.setdefault(cell, []).append(100 * record["history"]["accuracy"][-1])
        frame = pd.read_parquet(file.parent / "predictions.parquet")
        for name, (column, factor) in SCORES.items():
            for policy, rows in frame.groupby("policy", observed=True):
                values = factor * rows[column].to_numpy().astype(np.float64)
                found[name].setdefault((*cell, str(policy)), {})[record["seed"]] = values
    stacked = {
        name: {key: np.stack([one[seed] for seed in sorted(one)]) for key, one in cells.items()}
        for name, cells in found.items()
    }
    return (
        stacked["accuracy"],
        stacked["calibrated NLL"],
        pd.Series({key: np.mean(all_) for key, all_ in fitted.items()}),
    )


def interval(differences: np.ndarray) -> Estimate:
    """The mean of `[S, N]` differences and its 95 % interval over training seeds and images."""
    return two_way_interval(differences, resamples=2000, seed=0, level=0.95)


def gains(cells: Cells, share: float, policy: str) -> dict[str, Estimate]:
    """What augmentation gains in training and a policy at test, alone and together, and what is not additive."""
    plain, treated = ({kind: cells[share, kind, one] for kind in TRAINED} for one in ("identity", policy))
    return {
        "augmentation alone": interval(plain["shift_flip"] - plain["none"]),
        "TTA alone": interval(treated["none"] - plain["none"]),
        "TTA on top": interval(treated["shift_flip"] - plain["shift_flip"]),
        "augmentation, where TTA is used": interval(treated["shift_flip"] - treated["none"]),
        "both": interval(treated["shift_flip"] - plain["none"]),
        "interaction": interval(treated["shift_flip"] - plain["shift_flip"] - treated["none"] + plain["none"]),
    }


def written(found: Estimate, digits: int) -> str:
    """`+1.23 [+0.98, +1.48]`."""
    return f"{found.value:+.{digits}f} [{found.lower:+.{digits}f}, {found.upper:+.{digits}f}]"


def accuracies(cells: Cells, fitted: pd.Series) -> pd.DataFrame:
    """Mean accuracy in percent over seeds and images, one row a network, and how well it fits what it was shown."""
    rows = [
        {
            "images": f"{100 * share:g} %",
            "augmentation": TRAINED[kind],
            "on what it was shown": round(fitted[share, kind], 1),
            **{policy: round(float(cells[share, kind, policy].mean()), 2) for policy in POLICIES},
        }
        for share, kind in sorted(fitted.index)
    ]
    return pd.DataFrame(rows)


def draw(cells: Cells, shares: list[float], target: Path) -> None:
    """Left: accuracy against the share of training images, four lines; right: what TTA gains on either network."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for kind, colour in (("none", ORANGE), ("shift_flip", BLUE)):
        for policy, style, marker in (("identity", "--", "o"), (TTA, "-", "s")):
            runs = np.stack([cells[share, kind, policy].mean(axis=1) for share in shares])
            label = f"{TRAINED[kind]} augmentation, {'TTA' if policy == TTA else 'plain'}"
            left.errorbar(shares, runs.mean(axis=1), yerr=runs.std(axis=1, ddof=1), fmt=marker, ls=style, color=colour,
                          ms=5, capsize=2, label=label, mfc="white" if policy == "identity" else colour)  # fmt: skip
        name = "TTA alone" if kind == "none" else "TTA on top"
        found = [gains(cells, share, TTA)[name] for share in shares]
        ends = [[one.value - one.lower for one in found], [one.upper - one.value for one in found]]
        places = np.multiply(shares, 0.95 if kind == "none" else 1.05)
        right.errorbar(places, [one.value for one in found], yerr=ends, fmt="s-", color=colour, ms=5, capsize=2,
                       label=f"TTA on a network trained {TRAINED[kind]} augmentation")  # fmt: skip
    found = [gains(cells, share, TTA)["augmentation alone"] for share in shares]
    ends = [[one.value - one.lower for one in found], [one.upper - one.value for one in found]]
    right.errorbar(shares, [one.value for one in found], yerr=ends, fmt="^:", color="black", ms=5, capsize=2,
                   label="augmentation in training")  # fmt: skip
    left.set_ylabel("test accuracy, %")
    right.set_ylabel("gain, points")
    right.axhline(0, color="black", lw=0.8)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(shares, [f"{100 * share:g} %" for share in shares])
        axes.minorticks_off()
        axes.set_xlabel("share of the 49,500 training images (logarithmic)")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    figure.tight_layout()
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=110)


def main(results: Path) -> None:
    """Prints the tables, writes figures/gains.png beside this file."""
    correct, likelihood, fitted = read(results)
    shares = sorted({share for share, *_ in correct})
    print({key: len(one) for key, one in correct.items() if key[2] == TTA}, "networks\n")
    print(accuracies(correct, fitted).to_string(index=False))
    for name, cells, digits in (("accuracy, points", correct, 2), ("calibrated NLL, nats", likelihood, 3)):
        for policy in POLICIES[1:]:
            table = {
                f"{100 * share:g} %": {key: written(one, digits) for key, one in gains(cells, share, policy).items()}
                for share in shares
            }
            print(f"\ngains in {name}, TTA = {policy}\n{pd.DataFrame(table).to_string()}")
    draw(correct, shares, Path(__file__).parent / "figures" / "gains.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
