"""The trained model in MLflow, once per digest, in the form of `mlflow.keras`; TensorFlow is not imported."""

import platform
import shutil
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import yaml
from mlflow import MlflowClient
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from harness.records import JobRecord, ModelRecord
from harness.tracking.server import store_lock

READY = "READY"


def ensure_model(client: MlflowClient, record: JobRecord, *, experiment_id: str, run_id: str, uri: str) -> str | None:
    """The id of the logged model with the record's digest, logged now where the experiment has none.

    None where there is none and the record names no `.keras` file that is still there.
    """
    with store_lock(uri):
        found = client.search_logged_models(
            [experiment_id], filter_string=f"tags.`tta.model_digest` = '{record.model.digest}'"
        )
        ready = [model.model_id for model in found if str(model.status) == READY]
        if ready:
            return str(ready[0])
        for broken_off in found:
            client.delete_logged_model(broken_off.model_id)
        return _log(client, record, experiment_id=experiment_id, run_id=run_id)


def package_model(keras_file: Path, folder: Path, *, model: ModelRecord, model_id: str | None = None) -> None:
    """Write the folder that `mlflow.keras.load_model` and MLflow's model server take, from a `.keras` file.

    Args:
        keras_file: the model; its bytes are copied.
        folder: an empty folder.
        model: what is known about it.
        model_id: MLflow's id of the logged model, where it is one.
    """
    (folder / "data").mkdir(parents=True)
    shutil.copyfile(keras_file, folder / "data" / "model.keras")
    (folder / "data" / "keras_module.txt").write_text("keras", encoding="utf-8")
    description = Model(signature=_signature(model), metadata={"tta.model_digest": model.digest}, model_id=model_id)
    description.add_flavor(
        "keras",
        data="data",
        keras_version=metadata.version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    save_description(description, folder, loader_module="mlflow.keras", requirements=requirements())


def save_description(description: Model, folder: Path, *, loader_module: str, requirements: Iterable[str]) -> None:
    """Writes `MLmodel` into a model's folder with the flavour that MLflow's server loads, and what it needs installed.

    Args:
        description: signature, metadata and the flavour of the model's own kind.
        folder: the model's.
        loader_module: of MLflow, which loads that kind.
        requirements: pinned packages.
    """
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    (folder / "python_env.yaml").write_text(yaml.safe_dump(environment), encoding="utf-8")
    description.add_flavor(
        "python_function",
        loader_module=loader_module,
        python_version=platform.python_version(),
        env={"virtualenv": "python_env.yaml"},
    )
    description.save(str(folder / "MLmodel"))


def _log(client: MlflowClient, record: JobRecord, *, experiment_id: str, run_id: str) -> str | None:
    model = record.model
    if model.path is None or not Path(model.path).is_file() or not model.path.endswith(".keras"):
        return None
    logged = client.create_logged_model(
        experiment_id,
        name=model_name(model.name),
        source_run_id=run_id,
        tags={"tta.model_digest": model.digest},
        params={"kind": model.kind, "source": model.source[:250], "output": model.output},
        model_type="classifier",
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        package_model(Path(model.path), folder, model=model, model_id=logged.model_id)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, READY)
    return str(logged.model_id)


def model_name(name: str) -> str:
    """MLflow takes no slash, colon, dot, percent or quote in a model's name."""
    return "".join("_" if letter in "/:.%\"'" else letter for letter in name)


def _signature(model: ModelRecord) -> ModelSignature:
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *model.input_shape))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, model.num_classes))]),
    )


def requirements() -> list[str]:
    """The packages that load the model; any of TensorFlow's builds is written as `tensorflow`."""
    versions = {dist.metadata["Name"].lower(): dist.version for dist in metadata.distributions()}
    tensorflow = versions.get("tensorflow") or versions.get("tensorflow-cpu") or versions.get("tensorflow_cpu")
    return [f"keras=={versions['keras']}", *([f"tensorflow=={tensorflow}"] if tensorflow else [])]
