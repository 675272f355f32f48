"""The child runs of a job: one for each policy."""

from mlflow import MlflowClient
from mlflow.entities import Run


def children(client: MlflowClient, parent_run_id: str, *, experiment_id: str) -> list[Run]:
    """All child runs of a parent."""
    query, runs, token = f"tags.`mlflow.parentRunId` = '{parent_run_id}'", [], None
    while True:
        page = client.search_runs([experiment_id], filter_string=query, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs
