"""The tables of the README, from the records of the three jobs.

python experiments/fashion_views/why.py results/small_cnn-fashion_mnist-seed*
"""

import json
import sys
from pathlib import Path

import pandas as pd

VIEWS = ("hflip_alone", "hflip", "vflip_alone", "rotate_90_alone", "zoom_in_10_alone", "shift_left_1")


def gains(folders: list[Path]) -> pd.DataFrame:
    """Accuracy gains in points: the mean over seeds, and each seed's."""
    columns = {}
    for folder in folders:
        record = json.loads((folder / "record.json").read_text())
        columns[f"seed {record['seed']}"] = {
            policy["name"]: 100 * policy["metrics"]["gain/accuracy"] for policy in record["policies"]
        }
    table = pd.DataFrame(columns)
    table.insert(0, "mean", table.mean(axis=1))
    return table.sort_values("mean", ascending=False)


def by_class(folders: list[Path]) -> pd.DataFrame:
    """Change of the share of correct images, in points by class, the mean over seeds."""
    tables = []
    for folder in folders:
        names = json.loads((folder / "record.json").read_text())["dataset"]["class_names"]
        frame = pd.read_parquet(folder / "predictions.parquet")
        right = frame.assign(right=frame["correct"].astype(float)).groupby(["policy", "label"], observed=True)["right"]
        shares = right.mean().unstack("policy")
        tables.append(100 * shares[list(VIEWS)].sub(shares["identity"], axis=0).set_axis(names))
    return sum(tables[1:], tables[0]) / len(tables)


def taken_for(folders: list[Path], *, policy: str, label: str) -> pd.Series:
    """What a class's images are taken for under one policy: images, the mean over seeds."""
    counts = []
    for folder in folders:
        names = json.loads((folder / "record.json").read_text())["dataset"]["class_names"]
        frame = pd.read_parquet(folder / "predictions.parquet")
        chosen = frame[(frame["policy"] == policy) & (frame["label"] == names.index(label))]
        counts.append(chosen["predicted"].map(dict(enumerate(names))).value_counts())
    return pd.concat(counts, axis=1).fillna(0).mean(axis=1).sort_values(ascending=False)


if __name__ == "__main__":
    jobs = sorted(Path(name) for name in sys.argv[1:])
    if not jobs:
        sys.exit(f"usage: {sys.argv[0]} results/JOB ...")
    print(gains(jobs).round(2).to_string())
    print(by_class(jobs).round(1).to_string())
    print(taken_for(jobs, policy="hflip_alone", label="Ankle boot").round(0).head(4).to_string())
