"""Runs by a query, all pages of them; the child runs of a job: one for each policy."""

from mlflow import MlflowClient
from mlflow.entities import Run


def all_runs(client: MlflowClient, query: str, *, experiment_id: str) -> list[Run]:
    """The experiment's runs that a query finds, in MLflow's order: the newest first."""
    runs, token = [], None
    while True:
        page = client.search_runs([experiment_id], filter_string=query, max_results=1000, page_token=token)
        runs.extend(page)
        token = page.token
        if not token:
            return runs


def children(client: MlflowClient, parent_run_id: str, *, experiment_id: str) -> list[Run]:
    """All child runs of a parent."""
    return all_runs(client, f"tags.`mlflow.parentRunId` = '{parent_run_id}'", experiment_id=experiment_id)
