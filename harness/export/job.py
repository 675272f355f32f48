"""A finished job opened again: its data, its network, and what each of its policies learned."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.config import Checkpoint, parse
from harness.errors import ConfigError, DataError, ModelError, unknown_name
from harness.model_source import AS_TRAINED, ModelInfo, logit_digest
from harness.models.checkpoint import Network, load_network
from harness.policies.base import Aggregation, Fitted
from harness.policies.registry import make_aggregation
from harness.policies.restored import restored
from harness.record_files import CONFIG, FITTED, read_record
from harness.records import JobRecord
from harness.runner import prepare
from harness.transforms.registry import make_transform
from harness.types import Dataset
from harness.views import View


@dataclass(frozen=True)
class ShippedPolicy:
    """A policy as it came out of a job.

    Attributes:
        name: its label in the leaderboard.
        views: all of them, in their order. aggregation: what was asked. fitted: what came out.
        temperature: applied after the aggregation.
    """

    name: str
    views: tuple[View, ...]
    aggregation: Aggregation
    fitted: Fitted
    temperature: float


@dataclass(frozen=True, eq=False)
class ExportJob:
    """A finished job with everything that its policies need.

    Attributes:
        folder: where it is. record: its numbers.
        dataset: the same images as then. info, network: the same network as then.
        learned: what each policy learned, by its name: the contents of `fitted.json`.
        experiment: where the job is tracked.
    """

    folder: Path
    record: JobRecord
    dataset: Dataset
    info: ModelInfo
    network: Network
    learned: Mapping[str, Any]
    experiment: str

    def policy(self, name: str) -> ShippedPolicy:
        """The policy called `name`.

        Raises:
            ConfigError: where the job has none.
            DataError: where what it learned is damaged.
        """
        if name not in self.learned:
            raise ConfigError(unknown_name(f"policy of {self.record.name}", name, self.learned))
        try:
            return _policy(name, self.learned[name])
        except (KeyError, TypeError, AttributeError, ConfigError) as error:
            raise DataError(
                f"{self.folder / FITTED}: policy {name} cannot be read ({error}): run the job again"
            ) from error


def open_job(folder: Path) -> ExportJob:
    """The job of a folder; its data are read and its network is loaded once, for as many policies as are wanted.

    Raises:
        DataError: where the job or its data set is gone, damaged, or no longer the same.
        ModelError: where its network is gone or no longer the same.
    """
    record = read_record(folder)
    learned = _read(folder / FITTED, json.loads)
    config = parse(_read(folder / CONFIG, yaml.safe_load))
    # The tracker's address stays: a checkpoint may lie there. Corrupted copies of test are not needed.
    tracking = config.tracking.model_copy(update={"enabled": False})
    job = prepare(config.model_copy(update={"corruption": None, "tracking": tracking}))
    _check_data(record, job.dataset)
    info = job.source.cached()
    trust = isinstance(config.model, Checkpoint) and config.model.trust
    if info is None and isinstance(config.model, Checkpoint):
        info = job.source.obtain(None)  # type: ignore[arg-type]  # nothing is trained
    elif info is None:
        info = _at_its_path(record)
    if info is None:
        raise ModelError(
            f"the network of {record.name} is no longer in {config.store}: `{record.command}` trains it again "
            f"(in the folder where the job was run)"
        )
    network = load_network(info.path, trust=trust)
    if {info.digest, logit_digest(network.digest, info.preprocessing, info.output)} != {record.model.digest}:
        raise ModelError(
            f"{info.path} is not the network of {record.name}: its digest is {info.digest[:12]}, the job's "
            f"{record.model.digest[:12]}; run the job again with it"
        )
    return ExportJob(folder, record, job.dataset, info, network, learned, config.tracking.experiment)


def _at_its_path(record: JobRecord) -> ModelInfo | None:
    """A model that was trained for the job, where its file is still there and the job is looked at from elsewhere."""
    model = record.model
    if model.path is None or not Path(model.path).is_file():
        return None
    return ModelInfo(
        name=model.name,
        kind=model.kind,
        digest=model.digest,
        fingerprint=model.fingerprint,
        source=model.source,
        input_shape=model.input_shape,
        num_classes=model.num_classes,
        output=model.output,
        units=model.num_classes,
        preprocessing=AS_TRAINED,
        path=Path(model.path),
    )


def _read(path: Path, decode: Any) -> Any:
    try:
        return decode(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} is missing or damaged ({error.__class__.__name__}): run the job again") from error


def _check_data(record: JobRecord, dataset: Dataset) -> None:
    expected, found = record.dataset.splits["test"].digest, dataset.test.digest
    if expected != found:
        raise DataError(
            f"the test images of {record.dataset.name} are not those that {record.name} was judged on: their digest is "
            f"{found[:12]}, the job's {expected[:12]}; bring back the data, or run the job again"
        )


def _policy(name: str, data: Mapping[str, Any]) -> ShippedPolicy:
    views = tuple(View(tuple(_made(make_transform, one) for one in chain)) for chain in data["views"])
    aggregation = _made(make_aggregation, data["aggregation"])
    temperature = float(data["temperature"])
    if not temperature > 0:
        raise DataError(f"policy {name} has temperature {temperature}")
    return ShippedPolicy(name, views, aggregation, restored(aggregation, data["learned"]), temperature)


def _made(make: Any, data: Mapping[str, Any]) -> Any:
    return make(data["kind"], {key: value for key, value in data.items() if key != "kind"})
