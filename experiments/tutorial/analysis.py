"""The tables and the figure of this study, from the records of its jobs.

python experiments/tutorial/analysis.py results
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

ARM = 10
"""Seeds below this are the article's baseline, the others its networks with TTA."""
ARTICLE = {
    "baseline": (0.690, 0.662, 0.698, 0.681, 0.686, 0.680, 0.697, 0.696, 0.689, 0.679),
    "TTA": (0.719, 0.716, 0.709, 0.694, 0.690, 0.694, 0.680, 0.676, 0.702, 0.704),
}
COPIES = {1: "copies_1", 3: "copies_3", 5: "copies_5", 7: "tutorial", 15: "copies_15"}
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"


def read(results: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accuracy in percent by seed and policy; the expected accuracy in percent by seed and number of copies."""
    accuracies, curves = {}, {}
    for file in sorted(results.glob("*/record.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        policies = {policy["name"]: policy["metrics"]["test/accuracy"] for policy in record["policies"]}
        if record["study"] == "tutorial" and set(COPIES.values()) <= set(policies):
            accuracies[record["seed"]] = policies
            table = pd.read_csv(file.parent / "tables" / "copies.csv").query("policy == 'tutorial'")
            curves[record["seed"]] = table.set_index("copies")["accuracy"]
    return 100 * pd.DataFrame(accuracies).T.sort_index(), 100 * pd.DataFrame(curves).T.sort_index()


def arms(name: str, baseline: np.ndarray, treated: np.ndarray) -> dict[str, object]:
    """One comparison of two groups of networks as the article has it; the sd is that of the population, as there."""
    test = stats.ttest_ind(treated, baseline, equal_var=False)
    low, high = test.confidence_interval()
    return {
        "comparison": name,
        "baseline": f"{baseline.mean():.2f} (sd {baseline.std():.2f})",
        "TTA": f"{treated.mean():.2f} (sd {treated.std():.2f})",
        "difference": f"{treated.mean() - baseline.mean():+.2f} [{low:+.2f}, {high:+.2f}]",
        "Welch t": f"{test.statistic:.2f}",
        "p": f"{test.pvalue:.3g}",
    }


def paired(accuracy: pd.DataFrame, policy: str) -> dict[str, object]:
    """A policy over identity on the same networks; the interval is Student's over networks."""
    gain = accuracy[policy] - accuracy["identity"]
    test = stats.ttest_1samp(gain, 0)
    low, high = test.confidence_interval()
    return {
        "policy": policy,
        "accuracy": f"{accuracy[policy].mean():.2f}",
        "gain": f"{gain.mean():+.2f} [{low:+.2f}, {high:+.2f}]",
        "sd of the gain": f"{gain.std():.2f}",
        "networks that gain": f"{(gain > 0).sum()} of {len(gain)}",
        "p": f"{test.pvalue:.1g}",
    }


def redraws(accuracy: pd.DataFrame, *, repeats: int = 20_000) -> tuple[np.ndarray, float]:
    """The article's difference for other choices of who is in which arm, and how often its p is below 0.05."""
    rng = np.random.default_rng(0)
    order = rng.permuted(np.tile(np.arange(len(accuracy)), (repeats, 1)), axis=1)
    half = len(accuracy) // 2
    baseline = accuracy["identity"].to_numpy()[order[:, :half]]
    treated = accuracy["tutorial"].to_numpy()[order[:, half:]]
    p = stats.ttest_ind(treated, baseline, equal_var=False, axis=1).pvalue
    return treated.mean(axis=1) - baseline.mean(axis=1), float((p < 0.05).mean())


def power(accuracy: pd.DataFrame, networks: int) -> float:
    """How often so many networks an arm would find the gain that pairing finds, at p < 0.05, with the spread seen here.

    The distribution of the t statistic is then the noncentral one, with 2 n - 2 degrees of freedom.
    """
    gain = (accuracy["tutorial"] - accuracy["identity"]).mean()
    spread = accuracy[["identity", "tutorial"]].std().mean()
    freedom, moved = 2 * networks - 2, gain / (spread * np.sqrt(2 / networks))
    edge = stats.t.ppf(0.975, freedom)
    return float(stats.nct.sf(edge, freedom, moved) + stats.nct.cdf(-edge, freedom, moved))


def curve(accuracy: pd.DataFrame, expected: pd.DataFrame) -> pd.DataFrame:
    """Gains over identity in points by number of copies: as drawn with seed 0, and expected over all draws."""
    rows = [
        {
            "copies": n,
            "drawn": (accuracy[policy] - accuracy["identity"]).mean(),
            "expected": (expected[n] - accuracy["identity"]).mean(),
        }
        for n, policy in COPIES.items()
    ]
    limit = (accuracy["tutorial_limit"] - accuracy["identity"]).mean()
    return pd.DataFrame([*rows, {"copies": np.inf, "drawn": limit, "expected": limit}])


def draw(accuracy: pd.DataFrame, expected: pd.DataFrame, target: Path) -> None:
    """Left: what the article's design sees of our networks; middle: the same networks paired; right: the copies."""
    figure, (unpaired, same, copies) = plt.subplots(1, 3, figsize=(11, 3.9), width_ratios=(1, 1, 1.3))
    groups = (accuracy["identity"][accuracy.index < ARM], accuracy["tutorial"][accuracy.index >= ARM])
    for place, (values, colour) in enumerate(zip(groups, (GREY, BLUE), strict=True)):
        spread = place + np.linspace(-0.13, 0.13, len(values))
        unpaired.plot(spread, values, "o", color=colour, ms=5)
        unpaired.plot([place - 0.22, place + 0.22], [values.mean()] * 2, color=colour, lw=2.5)
    unpaired.set_xticks([0, 1], [f"{len(groups[0])} networks,\nplain", f"{len(groups[1])} others,\nseven flips"])
    unpaired.set_title("As the article compares", fontsize=10)
    same.plot([0, 1], accuracy[["identity", "tutorial"]].T.to_numpy(), "o-", color=GREY, lw=0.8, ms=4)
    same.plot([0, 1], accuracy[["identity", "tutorial"]].mean(), color=BLUE, lw=3)
    same.set_xticks([0, 1], ["plain", "seven flips"])
    same.set_title("The same networks, paired", fontsize=10)
    ends = accuracy[["identity", "tutorial"]].to_numpy().min() - 0.3, accuracy["tutorial"].max() + 0.3
    for axes in (unpaired, same):
        axes.set_ylim(*ends)
    unpaired.set_ylabel("test accuracy, %")
    gains = expected.sub(accuracy["identity"], axis=0)
    gains = gains[[n for n in gains.columns if n <= 25]]
    error = 1.96 * gains.std() / np.sqrt(len(gains))
    copies.errorbar(
        gains.columns, gains.mean(), yerr=error, fmt="o-", color=BLUE, ms=4, label="n random flips, expected"
    )
    table = curve(accuracy, expected).iloc[:-1]
    copies.plot(table["copies"], table["drawn"], "x", color="black", ms=6, label="as drawn (seed 0)")
    limit = (accuracy["tutorial_limit"] - accuracy["identity"]).mean()
    copies.axhline(limit, color=ORANGE, lw=1.5)
    copies.plot([2], [limit], "s", color=ORANGE, ms=7, label="image and mirror image, once each")
    copies.axhline(0, color="black", lw=0.8)
    copies.set(xlabel="forward passes per image", ylabel="gain, points", title="")
    copies.set_title("How many copies?", fontsize=10)
    copies.legend(fontsize=7.5, loc="lower right")
    for axes in (unpaired, same, copies):
        axes.grid(alpha=0.25)
    figure.tight_layout()
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=110)


def main(results: Path) -> None:
    """Prints the tables, writes figures/tutorial.png beside this file."""
    accuracy, expected = read(results)
    first, second = accuracy[accuracy.index < ARM], accuracy[accuracy.index >= ARM]
    article = {name: 100 * np.array(values) for name, values in ARTICLE.items()}
    rows = [
        arms("the article", article["baseline"], article["TTA"]),
        arms("here", first["identity"].to_numpy(), second["tutorial"].to_numpy()),
        arms("here, arms exchanged", second["identity"].to_numpy(), first["tutorial"].to_numpy()),
        arms("here, no TTA in either", first["identity"].to_numpy(), second["identity"].to_numpy()),
    ]
    print(f"{len(accuracy)} networks: seeds {', '.join(map(str, accuracy.index))}")
    print(pd.DataFrame(rows).to_string(index=False), end="\n\n")
    names = (*COPIES.values(), "tutorial_limit")
    print(pd.DataFrame([paired(accuracy, name) for name in names]).to_string(index=False), end="\n\n")
    differences, detected = redraws(accuracy)
    low, high = np.quantile(differences, [0.025, 0.975])
    print(f"other divisions into arms: {low:+.2f} to {high:+.2f} in 95 of 100, p < 0.05 in {100 * detected:.0f} of 100")
    found = ", ".join(f"{n} an arm in {100 * power(accuracy, n):.0f} of 100" for n in (10, 20, 30))
    print(f"the paired gain would be found by {found}\n")
    print(curve(accuracy, expected).round(3).to_string(index=False), end="\n\n")
    more = (accuracy["tutorial_limit"] - accuracy["tutorial"]).to_numpy()
    print(f"two exact passes over seven drawn: {more.mean():+.2f} points, p {stats.ttest_1samp(more, 0).pvalue:.1g}")
    draw(accuracy, expected, Path(__file__).parent / "figures" / "tutorial.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
