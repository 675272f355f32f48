"""The story of an export: the policy is put together, checked against its own numbers, written beside and renamed."""

import contextlib
import importlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ConfigError, StoreError
from harness.export import card, keras_file, onnx_file, saved_model
from harness.export.deployable import deployable
from harness.export.job import ExportJob, ShippedPolicy
from harness.export.parity import Parity, Reference, reference

SUFFIXES = {"keras": ".keras", "onnx": ".onnx"}
"""Endings that programs ask for; the other formats are folders."""

Model = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: where. policy: which. parity: how near to the job's numbers. about: the model's metadata.
    """

    path: Path
    policy: ShippedPolicy
    parity: Parity
    about: dict[str, Any]


def check_target(form: str, target: Path) -> None:
    """Refuses a place where nothing can be written, before anything is computed.

    Raises:
        ConfigError: where it exists, or has an ending that its readers would not take.
    """
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target} exists already: remove it, or give another --output")
    suffix = SUFFIXES.get(form)
    if suffix and target.suffix != suffix:
        raise ConfigError(f"format {form} is a file that ends in {suffix}, got --output {target}")
    if form == "onnx":
        onnx_file.require()


def export(job: ExportJob, policy_name: str, form: str, target: Path) -> Exported:
    """Writes a policy of a job as one model, whole or not at all.

    Args:
        job: opened.
        policy_name: its name in the leaderboard.
        form: `keras`, `savedmodel`, `onnx` or `mlflow`.
        target: the file or folder; must not exist.

    Raises:
        ConfigError: for an unknown policy, or a target that cannot be.
        ModelError: where the format cannot hold the policy, or gives other numbers than the job recorded.
        StoreError: where the disk is full or the folder cannot be written.
    """
    check_target(form, target)
    policy, expected = job.policy(policy_name), reference(job, policy_name)
    with _in_one_line(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:40]}-"))
        try:
            done = WRITERS[form](job, policy, expected, temporary / target.name)
            (temporary / target.name).rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return Exported(target, policy, *done)


@contextlib.contextmanager
def _in_one_line(target: Path) -> Iterator[None]:
    """Turns what the operating system says while `target` is written into one line."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}; --output says where") from error


Done = tuple[Parity, dict[str, Any]]


def _keras(job: ExportJob, policy: ShippedPolicy, expected: Reference, path: Path) -> Done:
    model = keras_file.build(job, policy)
    parity, about = _described(job, policy, expected, keras_file.predict(model), "a Keras model")
    page = card.page(job, policy, parity, usage=keras_file.USAGE.format(name=path.name))
    keras_file.write(model, path, metadata=card.to_json(about), page=page)
    expected.compare(keras_file.load(path)).require(policy.name, "a .keras file")
    return parity, about


def _saved_model(job: ExportJob, policy: ShippedPolicy, expected: Reference, path: Path) -> Done:
    model = deployable(job, policy.name)
    parity, about = _described(job, policy, expected, model, "a TensorFlow function")
    saved_model.write(model, path)
    (path / card.METADATA).write_text(card.to_json(about), encoding="utf-8")
    usage = saved_model.USAGE.format(name=path.name)
    (path / card.README).write_text(card.page(job, policy, parity, usage=usage), encoding="utf-8")
    expected.compare(saved_model.load(path)).require(policy.name, "a SavedModel")
    return parity, about


def _onnx(job: ExportJob, policy: ShippedPolicy, expected: Reference, path: Path) -> Done:
    model = onnx_file.build(job, policy)
    parity, about = _described(job, policy, expected, onnx_file.predict(model), "ONNX")
    page = card.page(job, policy, parity, usage=onnx_file.USAGE.format(name=path.name))
    onnx_file.write(model, path, metadata=about, readme=page)
    expected.compare(onnx_file.load(path)).require(policy.name, "an .onnx file")
    return parity, about


def _mlflow(job: ExportJob, policy: ShippedPolicy, expected: Reference, path: Path) -> Done:
    # Imported by this format alone: mlflow takes more than a second.
    mlflow_folder = importlib.import_module("harness.export.mlflow_folder")
    model = deployable(job, policy.name)
    parity, about = _described(job, policy, expected, model, "a TensorFlow function")
    page = card.page(job, policy, parity, usage=mlflow_folder.usage(path.name, files=f"{path.name}/"))
    mlflow_folder.write(model, path, about=about, page=page, example=expected.images[:1])
    expected.compare(mlflow_folder.load(path)).require(policy.name, "an MLflow model")
    return parity, about


def _described(
    job: ExportJob, policy: ShippedPolicy, expected: Reference, model: Model, what: str
) -> tuple[Parity, dict[str, Any]]:
    """The parity of what was put together, which must hold, and the metadata that states it."""
    parity = expected.compare(model)
    parity.require(policy.name, what)
    return parity, card.metadata(job, policy, parity)


WRITERS: dict[str, Callable[[ExportJob, ShippedPolicy, Reference, Path], Done]] = {
    "keras": _keras,
    "savedmodel": _saved_model,
    "onnx": _onnx,
    "mlflow": _mlflow,
}
