"""What a job will cost, before it costs anything."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.fingerprint import canonical_json
from harness.policies.policy import Policy, required_views
from harness.store import LogitKey, LogitStore
from harness.types import Dataset
from harness.views import ForwardPass


@dataclass(frozen=True)
class Plan:
    """The forward passes of a job.

    Attributes:
        policies: identity first.
        passes: the union over policies and splits, each once.
        stored: how many of them the store holds.
        trains: True where a model must be trained first.
        examples: image evaluations that are still to be computed.
        seconds: estimated time for them, from this model's earlier passes; None where nothing was measured yet.
    """

    policies: tuple[Policy, ...]
    passes: tuple[ForwardPass, ...]
    stored: int
    trains: bool
    examples: int
    seconds: float | None

    @property
    def views(self) -> int:
        """Number of unique views."""
        return len({item.view for item in self.passes})

    @property
    def asked(self) -> int:
        """Forward passes that the policies would cost without sharing, over the same splits."""
        return sum(len(policy.views) for policy in self.policies) * len({item.split for item in self.passes})

    @property
    def to_compute(self) -> int:
        """Forward passes that are not stored."""
        return len(self.passes) - self.stored


def required_passes(policies: Sequence[Policy], dataset: Dataset) -> tuple[ForwardPass, ...]:
    """The union of views over every split that is predicted, each pass once."""
    return tuple(ForwardPass(split, view) for split in dataset.evaluated for view in required_views(policies))


def engine_label(engine: str, batch_size: int | None) -> str:
    """What names an engine in the store: its precision, and a batch size whose bits may differ from the usual ones.

    Multiples of 64 give the same bits; short batches take kernels that round differently.
    """
    usual = batch_size is None or batch_size % 64 == 0
    return f"{engine}-float32" if usual else f"{engine}-float32-batch{batch_size}"


def logit_key(item: ForwardPass, *, dataset: Dataset, model_digest: str, engine: str) -> LogitKey:
    """The key that a pass is stored under."""
    return LogitKey(
        model=model_digest,
        split=dataset.split(item.split).digest,
        view=canonical_json(item.view.spec),
        view_name=item.view.name,
        engine=engine,
    )


def make_plan(
    policies: Sequence[Policy], *, dataset: Dataset, store: LogitStore, model_digest: str | None, engine: str
) -> Plan:
    """The plan of a job; `model_digest` is None where the model is not known yet, so that nothing can be stored."""
    passes = required_passes(policies, dataset)
    missing, rates = list(passes), []
    if model_digest is not None:
        keys = {item: logit_key(item, dataset=dataset, model_digest=model_digest, engine=engine) for item in passes}
        notes = {item: store.note(key) for item, key in keys.items()}
        missing = [item for item in passes if not notes[item]]
        rates = [note["seconds"] / len(dataset.split(item.split)) for item, note in notes.items() if "seconds" in note]
    examples = sum(len(dataset.split(item.split)) for item in missing)
    return Plan(
        policies=tuple(policies),
        passes=passes,
        stored=len(passes) - len(missing),
        trains=model_digest is None,
        examples=examples,
        seconds=float(np.median(rates)) * examples if rates and missing else None,
    )
