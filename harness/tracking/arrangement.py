"""An experiment arranged for the MLflow UI: saved views, a description, the metric to look at first.

Best effort: what goes wrong here fails nothing else, and `tracking.arrange=false` leaves it out.
"""

import contextlib
import json
from collections.abc import Mapping
from hashlib import sha256

from mlflow import MlflowClient

from harness.tracking.saved_views import PREFIX, SORTED_BY, is_outdated, saved_views

NOTE = "mlflow.note.content"
OURS = "tta.description"  # of the note, what we wrote last: one that differs is a user's
DATASETS = "tta.datasets"
PRIMARY = {"mlflow.experiment.primaryMetric.name": SORTED_BY, "mlflow.experiment.primaryMetric.greaterIsBetter": "True"}
DESCRIPTION = """\
**Which test-time augmentation policy should I ship, is the gain real, what does it cost?** \
Unfold for what the rows and columns are.

One run per job, and below it one run per policy, all on the same images and the same trained model. Open the saved \
view **TTA policies** (the button at the top right) for the leaderboard, its chart icon for gain \
against cost; **TTA jobs** shows what each job recommends. The page of a job has the answer in its description, the \
whole leaderboard as `leaderboard.json` and `leaderboard.csv`, and plots among its artifacts.

| column | meaning |
|:--|:--|
| `gain/nll_calibrated` | calibrated negative log-likelihood of identity minus the policy's, nats; the table is sorted \
by it |
| `gain/accuracy`, `_lower`, `_upper` | accuracy minus identity's on the same test images, with its interval |
| `cost/passes` | forward passes per image; identity needs 1 |
| `cost/latency_ratio` | measured latency of one image over identity's, once `harness price` has run |
| `test/accuracy`, `test/nll_calibrated` | the policy's own numbers on test |
| `verdict` | ship, do not ship or undecided, as one of all policies that were tried |
| `gain/p_value_adjusted` | of the accuracy gain (McNemar), adjusted for all policies that were tried (Holm) |

Policies are chosen on validation and reported on test. Rows of several data sets, models or seeds are not averaged: \
`harness combine` does that.
"""


def arrange(client: MlflowClient, experiment_id: str, *, dataset: str | None = None) -> None:
    """Write what the experiment lacks, and replace what an earlier version of ours wrote; a user's own stays.

    Args:
        client: of the tracker.
        experiment_id: the experiment.
        dataset: one that its runs have from now on; several get views of their own.
    """
    with contextlib.suppress(Exception):
        tags = client.get_experiment(experiment_id).tags
        for name, value in _changes(tags, dataset=dataset).items():
            client.set_experiment_tag(experiment_id, name, value)


def _changes(tags: Mapping[str, str], *, dataset: str | None) -> dict[str, str]:
    known = _datasets(tags)
    datasets = sorted(known | {dataset}) if dataset else sorted(known)
    changes = {name: value for name, value in PRIMARY.items() if name not in tags}
    changes |= {
        name: value
        for name, value in saved_views(datasets).items()
        if name not in tags or (name.startswith(PREFIX) and is_outdated(tags[name], value))
    }
    if _is_ours(tags) and tags.get(NOTE) != DESCRIPTION:
        changes |= {NOTE: DESCRIPTION, OURS: _digest(DESCRIPTION)}
    if set(datasets) != known:
        changes[DATASETS] = json.dumps(datasets)
    return changes


def _is_ours(tags: Mapping[str, str]) -> bool:
    """Whether the description is as we left it, or nobody has written one; one that a user emptied stays empty."""
    note = tags.get(NOTE, "")
    return tags[OURS] == _digest(note) if OURS in tags else not note


def _datasets(tags: Mapping[str, str]) -> set[str]:
    try:
        found = json.loads(tags.get(DATASETS, "[]"))
    except ValueError:
        return set()
    return set(map(str, found)) if isinstance(found, list) else set()


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
