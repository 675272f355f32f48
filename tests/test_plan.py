"""What a job costs, told before it does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import DataError
from harness.plan import engine_label, logit_key, make_plan, required_passes
from harness.policies.fixed import MaxProbs, MeanLogits
from harness.policies.policy import Policy
from harness.policies.votes import Vote
from harness.store import LogitStore
from harness.transforms.flips import HorizontalFlip, VerticalFlip
from harness.types import ArrayImages, Dataset, Split
from harness.views import IDENTITY, ForwardPass, View

HFLIP, VFLIP = View((HorizontalFlip(),)), View((VerticalFlip(),))
POLICIES = (
    Policy("identity", (IDENTITY,)),
    Policy("hflip", (IDENTITY, HFLIP)),
    Policy("hflip.vote", (IDENTITY, HFLIP), Vote()),
    Policy("flips", (IDENTITY, HFLIP, VFLIP), MeanLogits()),
)
MODEL = "f" * 64


def split(name: str, count: int) -> Split:
    """A split of black images."""
    images = ArrayImages(np.zeros((count, 2, 2, 1), np.uint8))
    return Split(name, images, np.zeros(count, np.int64), ("a", "b"), f"{count:064x}")


DATA = Dataset("toy", None, split("validation", 10), split("test", 40))


def fill(store: LogitStore, *passes: ForwardPass, engine: str = "exact", seconds: float = 1.0) -> None:
    """Stores logits for the passes as if they had been run."""
    for one in passes:
        key = logit_key(one, dataset=DATA, model_digest=MODEL, engine=engine)
        store.put(key, np.zeros((len(DATA.split(one.split)), 2), np.float32), note={"seconds": seconds})


@pytest.fixture
def store(tmp_path: Path) -> LogitStore:
    """A new store."""
    return LogitStore(tmp_path)


def test_the_union_of_views_runs_once_over_both_splits() -> None:
    """Four policies ask for eight views; three differ, so that six passes do."""
    passes = required_passes(POLICIES, DATA)
    assert len(passes) == 6
    assert set(passes) == {
        ForwardPass(name, view) for name in ("validation", "test") for view in (IDENTITY, HFLIP, VFLIP)
    }


def test_corrupted_copies_are_predicted_too(store: LogitStore) -> None:
    """Each copy of test costs every view once more, over its own images; what is stored of test is not its own."""
    fog = replace(DATA.test, name="test@fog:3", digest="d" * 64)
    data = replace(DATA, slices=(fog,))
    passes = required_passes(POLICIES, data)
    assert [one.split for one in passes] == ["validation"] * 3 + ["test"] * 3 + ["test@fog:3"] * 3
    fill(store, *required_passes(POLICIES, DATA))
    plan = make_plan(POLICIES, dataset=data, store=store, model_digest=MODEL, engine="exact")
    assert (plan.stored, plan.to_compute, plan.examples, plan.asked) == (6, 3, 3 * 40, 24)
    with pytest.raises(DataError, match="no split 'test@fog:4'"):
        data.split("test@fog:4")


def test_a_plan_before_the_model_is_known(store: LogitStore) -> None:
    """Everything is to be computed and nothing can be estimated."""
    plan = make_plan(POLICIES, dataset=DATA, store=store, model_digest=None, engine="exact")
    assert plan.trains
    assert (plan.views, plan.asked, plan.to_compute, plan.stored) == (3, 16, 6, 0)
    assert plan.examples == 3 * 50
    assert plan.seconds is None


def test_a_plan_counts_what_is_stored_and_estimates_the_rest(store: LogitStore) -> None:
    """Identity's 50 images took 0.1 s each, so the 100 that are left take 10 s."""
    fill(store, ForwardPass("validation", IDENTITY), seconds=1.0)
    fill(store, ForwardPass("test", IDENTITY), seconds=4.0)
    plan = make_plan(POLICIES, dataset=DATA, store=store, model_digest=MODEL, engine="exact")
    assert not plan.trains
    assert (plan.stored, plan.to_compute, plan.examples) == (2, 4, 100)
    assert plan.seconds == pytest.approx(10)


def test_a_plan_of_nothing_left(store: LogitStore) -> None:
    """All stored: no passes, no images, no time."""
    fill(store, *required_passes(POLICIES, DATA))
    plan = make_plan(POLICIES, dataset=DATA, store=store, model_digest=MODEL, engine="exact")
    assert (plan.to_compute, plan.examples, plan.seconds) == (0, 0, None)


@pytest.mark.parametrize(("model", "engine"), [("e" * 64, "exact"), (MODEL, "fast")])
def test_another_model_or_engine_costs_all(store: LogitStore, model: str, engine: str) -> None:
    """One changed weight is another digest, and every pass is missing."""
    fill(store, *required_passes(POLICIES, DATA))
    plan = make_plan(POLICIES, dataset=DATA, store=store, model_digest=model, engine=engine)
    assert plan.to_compute == 6


def test_another_aggregation_costs_nothing(store: LogitStore) -> None:
    """The names and aggregations of policies are in no key."""
    fill(store, *required_passes(POLICIES, DATA))
    others = [Policy(f"other {one.name}", one.views, MaxProbs()) for one in POLICIES]
    assert make_plan(others, dataset=DATA, store=store, model_digest=MODEL, engine="exact").to_compute == 0


def test_a_batch_size_whose_bits_may_differ_is_in_the_key() -> None:
    """Multiples of 64 give the same bits and share their logits; 7 and 1 do not."""
    assert engine_label("exact", None) == engine_label("exact", 64) == engine_label("exact", 256) == "exact-float32"
    assert engine_label("exact", 7) == "exact-float32-batch7"
    assert engine_label("fast", 1) == "fast-float32-batch1"
