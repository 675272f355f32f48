"""The test images that most policies get wrong: a table for people who look at single images."""

import json

import numpy as np

from harness.evaluation import Evaluation
from harness.json_output import strict
from harness.records import Cell, Table
from harness.types import Split

MOST_ROWS = 200
COLUMNS = (
    "example",
    "label",
    "identity",
    "identity_confidence",
    "chosen",
    "chosen_confidence",
    "policies_wrong",
    "nll_calibrated",
)


def hardest_images(evaluation: Evaluation, chosen: str, test: Split) -> Table:
    """At most 200 images, those first that most policies get wrong, then by the chosen policy's calibrated NLL.

    One row an image: its id, its label, what identity and the chosen policy predict and how certainly, how many of the
    policies (identity among them) are wrong, and the chosen policy's calibrated NLL. An image that every policy gets
    right is no row.
    """
    wrong = np.sum([~result.scores.correct for result in evaluation.results], axis=0)
    policy, identity = evaluation.result(chosen), evaluation.identity
    order = np.lexsort((-policy.nll_calibrated, -wrong))[:MOST_ROWS]
    rows: list[tuple[Cell, ...]] = [
        (
            str(test.ids[place]),
            test.class_names[int(test.labels[place])],
            *(
                cell
                for result in (identity, policy)
                for cell in (
                    test.class_names[int(result.scores.predicted[place])],
                    round(float(result.scores.confidence[place]), 6),
                )
            ),
            int(wrong[place]),
            round(float(policy.nll_calibrated[place]), 6),
        )
        for place in order
        if wrong[place]
    ]
    return Table("hardest_images", COLUMNS, tuple(rows))


def logged_table(table: Table) -> str:
    """The table in the form of MLflow's logged tables; numbers that are not finite become null."""
    rows = strict(table.rows)
    return json.dumps({"columns": table.columns, "data": rows}, allow_nan=False, ensure_ascii=False) + "\n"
