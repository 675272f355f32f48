"""The tracker: a job's folder on disk told to MLflow, and read back; the only importer of mlflow.

    location    where the tracker is, what still has to be told to it (no mlflow)
    jobs        a job's folder to one parent run and a child run per policy
    artifacts   files and folders of a job's folder to a run
    children    the child runs of a job
    latency     a measurement of latency on runs that are there already
    entries     a record's tags, params, metrics and data sets
    model       the trained model, logged once per digest, without TensorFlow
    policy_model  a policy as an MLflow model around a SavedModel
    registry    a policy's model as a version of a registered model
    reading     a logged job's configuration and numbers; a logged model's file
    arrangement what the UI shows first: saved views, a description, the primary metric
    saved_views their format, which is the UI's own
    ui          the MLflow UI on loopback, and the link that opens it well

Always explicit ids: no active run, no autolog, nothing asynchronous.
"""

import os

# Read by mlflow when it is imported or called. The first three are about privacy and noise; the client's own
# seven retries would hold a job for four minutes where a server does not answer; and what is too long is an error.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_TRUNCATE_LONG_VALUES": "false",
}.items():
    os.environ.setdefault(_name, _value)
