"""The expensive loop, with models that are arithmetic and count how often they are asked."""

import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ModelError
from harness.inference import ALONE, STREAMED_GROUP, alone_difference, batch_size_for, forward, run_missing
from harness.plan import logit_key
from harness.store import LogitKey, LogitStore
from harness.transforms.flips import HorizontalFlip, VerticalFlip
from harness.transforms.random import RandomFlip
from harness.types import ArrayImages, Dataset, Split, TrainedModel
from harness.views import IDENTITY, ForwardPass, View, chain

HFLIP, VFLIP = View((HorizontalFlip(),)), View((VerticalFlip(),))
SIZE = (4, 5, 1)


@dataclass
class Model:
    """A linear network of the pixels; counts calls and examples."""

    fail: bool = False
    weights: np.ndarray = field(default_factory=lambda: np.random.default_rng(1).normal(size=(20, 3)))
    calls: int = 0
    examples: int = 0
    loads: int = 0

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits `[n, 3]`, worked out in float64 so that no batch rounds differently."""
        self.calls += 1
        self.examples += len(images)
        assert images.dtype == np.float32
        assert images.shape[1:] == SIZE
        logits = (images.reshape(len(images), 20).astype(np.float64)[:, :, None] * self.weights).sum(axis=1)
        return (logits * (np.nan if self.fail else 1)).astype(np.float32)

    def load(self) -> TrainedModel:
        """The model as the loop gets it."""
        self.loads += 1
        return TrainedModel("linear", "f" * 64, SIZE, 3, self.predict, notes={"fast_folded": 2})


@dataclass
class Streamed:
    """A source that makes its images when they are read, and counts that."""

    count: int
    in_memory: bool = False
    side: tuple[int, int, int] = SIZE
    reads: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int]:
        """As a source has it."""
        return self.side

    def __len__(self) -> int:
        return self.count

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Pixels that tell which example they belong to."""
        self.reads.extend(indices.tolist())
        pixels = np.arange(int(np.prod(self.side)))
        return ((indices[:, None] * 7 + pixels * 11) % 256).astype(np.uint8).reshape(-1, *self.side)


def split(name: str, count: int, *, images: object = None) -> Split:
    """A split of `count` images made of noise, or of the images given."""
    rng = np.random.default_rng(sum(name.encode()))
    source = images or ArrayImages(rng.integers(0, 256, (count, *SIZE), dtype=np.uint8))
    digest = f"{sum(name.encode()):064x}"
    return Split(name, source, rng.integers(0, 3, count), ("a", "b", "c"), digest)  # type: ignore[arg-type]


@dataclass
class Bench:
    """A store, splits and a model, and a run of passes over them."""

    store: LogitStore
    splits: dict[str, Split]
    model: Model = field(default_factory=Model)
    told: list[tuple[int, str]] = field(default_factory=list)

    def keys(self, *views: View) -> dict[ForwardPass, LogitKey]:
        """The passes of these views over every split."""
        data = Dataset("toy", None, self.splits["validation"], self.splits["test"])
        passes = [ForwardPass(name, view) for name in self.splits for view in views]
        return {one: logit_key(one, dataset=data, model_digest="f" * 64, engine="exact") for one in passes}

    def run(self, *views: View, batch_size: int | None = None) -> int:
        """Passes computed."""
        return run_missing(
            self.keys(*views),
            self.splits,
            store=self.store,
            load_model=self.model.load,
            batch_size=batch_size,
            advance=lambda count, name: self.told.append((count, name)),
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A new bench with 10 validation and 23 test images in memory."""
    return Bench(LogitStore(tmp_path), {"validation": split("validation", 10), "test": split("test", 23)})


def expected(view: View, part: Split) -> np.ndarray:
    """What the model gives for each example alone."""
    rows = []
    for index in range(len(part)):
        indices = np.array([index])
        rows.append(Model().predict(view(part.images.read(indices), indices, size=SIZE[:2]))[0])
    return np.stack(rows)


def test_each_missing_pass_runs_once(bench: Bench) -> None:
    """Three views over two splits are six passes; the same again are none, and the model is not even loaded.

    Beside them identity's pass gives the model two images of each split alone.
    """
    assert bench.run(IDENTITY, HFLIP, VFLIP) == 6
    assert bench.model.examples == 3 * 33 + 2 * ALONE
    assert bench.model.loads == 1
    assert bench.run(IDENTITY, HFLIP, VFLIP) == 0
    assert bench.model.examples == 3 * 33 + 2 * ALONE
    assert bench.model.loads == 1


def test_only_what_is_missing_runs(bench: Bench) -> None:
    """A view that was run for another policy costs nothing; nothing stored is stored again."""
    bench.run(IDENTITY, HFLIP)
    before = {path: path.stat().st_mtime_ns for path in bench.store.root.rglob("*.npy")}
    assert bench.run(IDENTITY, VFLIP) == 2
    assert bench.model.examples == 3 * 33 + 2 * ALONE
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_logits_are_stored_in_the_order_of_the_examples(bench: Bench) -> None:
    """Row i belongs to example i, for a batch size that does not divide N."""
    bench.run(IDENTITY, HFLIP, batch_size=4)
    for one, key in bench.keys(IDENTITY, HFLIP).items():
        np.testing.assert_array_equal(bench.store.get(key), expected(one.view, bench.splits[one.split]))


@pytest.mark.parametrize("batch_size", [1, 4, 23, 64, 256])
def test_the_batch_size_does_not_change_logits(bench: Bench, batch_size: int) -> None:
    """Nor do random views: each example draws by its own index, whatever batch it comes in."""
    view = View((RandomFlip(horizontal=True, vertical=True, seed=3),))
    (logits,) = forward(
        [view], bench.splits["test"], model=bench.model.load(), batch_size=batch_size, advance=lambda *_: None
    )
    np.testing.assert_array_equal(logits, expected(view, bench.splits["test"]))
    assert not np.array_equal(logits, expected(IDENTITY, bench.splits["test"]))


def test_progress_is_told_for_every_image_evaluation(bench: Bench) -> None:
    """The numbers add up to what the plan says."""
    bench.run(IDENTITY, HFLIP, batch_size=4)
    assert sum(count for count, name in bench.told if name == "identity") == 33
    assert sum(count for count, _ in bench.told) == 66


def test_the_side_file_notes_what_it_cost(bench: Bench) -> None:
    """Seconds, batch size, the model's name and its notes are beside the logits."""
    bench.run(IDENTITY)
    note = bench.store.note(next(iter(bench.keys(IDENTITY).values())))
    assert note["model_name"] == "linear"
    assert note["batch_size"] == 256
    assert note["fast_folded"] == 2
    assert note["seconds"] >= 0


def test_logits_that_are_not_finite_are_refused(bench: Bench) -> None:
    """One line that says which view of which split, and nothing is stored."""
    bench.model.fail = True
    with pytest.raises(ModelError, match="not finite on validation under view identity") as caught:
        bench.run(IDENTITY)
    assert "\n" not in str(caught.value)
    assert not list(bench.store.root.rglob("*.npy"))
    bench.model.fail = False
    assert bench.run(IDENTITY) == 2  # no lock is left behind


def test_streamed_images_are_read_once_for_a_group_of_views(tmp_path: Path) -> None:
    """Eight views of images on disk cost one reading of each image, nine cost two."""
    sources = {"validation": Streamed(6), "test": Streamed(11)}
    splits = {name: split(name, len(source), images=source) for name, source in sources.items()}
    bench = Bench(LogitStore(tmp_path), splits)
    views = [View((RandomFlip(seed=0, copy=copy),)) for copy in range(STREAMED_GROUP)]
    assert bench.run(*views, batch_size=4) == 2 * STREAMED_GROUP
    assert sorted(sources["test"].reads) == list(range(11))
    assert sorted(sources["validation"].reads) == list(range(6))
    fresh = replace(bench, store=LogitStore(tmp_path / "other"))
    fresh.run(*views, IDENTITY, batch_size=4)
    assert sorted(sources["test"].reads) == sorted([*3 * list(range(11)), 0, 10])  # the first and the last alone
    for one, key in bench.keys(*views).items():
        np.testing.assert_array_equal(bench.store.get(key), expected(one.view, splits[one.split]))


def test_memory_does_not_grow_with_the_number_of_streamed_images() -> None:
    """Four times the images cost more memory only by their logits."""
    model = TrainedModel("mean", "f" * 64, (32, 32, 3), 2, lambda images: images.mean(axis=(1, 2))[:, :2])

    def peak(count: int) -> int:
        part = split("test", count, images=Streamed(count, side=(32, 32, 3)))
        part.images.reads.clear()  # type: ignore[attr-defined]
        tracemalloc.start()
        try:
            forward([IDENTITY, HFLIP], part, model=model, batch_size=64, advance=lambda *_: None)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(64)
    small, large = peak(1_000), peak(4_000)
    # Two views of 3,000 more rows of two float32, and the indices that the fake source writes down.
    assert large - small < 3_000 * (2 * 2 * 4 + 64)
    assert large < 64 * 32 * 32 * 3 * 4 * 8


@pytest.fixture
def locked(bench: Bench) -> Iterator[Callable[[], None]]:
    """Another worker that holds identity's pass over test, until it is told to store it."""
    key = next(key for one, key in bench.keys(IDENTITY).items() if one.split == "test")
    held, finish = threading.Event(), threading.Event()

    def work() -> None:
        with bench.store.lock(key):
            held.set()
            finish.wait(30)
            bench.store.put(key, np.full((23, 3), 5, np.float32), note={})

    thread = threading.Thread(target=work)
    thread.start()
    assert held.wait(30)
    yield finish.set
    finish.set()
    thread.join()


def test_a_pass_that_another_process_runs_is_waited_for(bench: Bench, locked: Callable[[], None]) -> None:
    """The other passes go first; then this process waits, takes what was stored, and computes it not."""
    views = [IDENTITY, HFLIP]
    counts: list[int] = []
    thread = threading.Thread(target=lambda: counts.append(bench.run(*views)))
    thread.start()
    while len(list(bench.store.root.rglob("*.json"))) < 3:
        assert thread.is_alive()
        time.sleep(0.01)
    assert bench.model.examples == 10 + 10 + 23 + ALONE
    locked()
    thread.join(30)
    assert counts == [3]
    assert bench.model.examples == 10 + 10 + 23 + ALONE
    assert sum(count for count, _ in bench.told) == 2 * 33
    key = next(key for one, key in bench.keys(IDENTITY).items() if one.split == "test")
    assert (np.asarray(bench.store.get(key)) == 5).all()


def test_two_workers_share_the_passes(bench: Bench) -> None:
    """Together they run each pass once."""
    views = [chain(one, other) for one in (IDENTITY, HFLIP) for other in (IDENTITY, VFLIP)]
    workers = [replace(bench, model=Model(), told=[]) for _ in range(2)]
    counts: list[int] = []
    threads = [threading.Thread(target=lambda one=one: counts.append(one.run(*views))) for one in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 2 * len(views)
    assert sum(worker.model.examples for worker in workers) == len(views) * 33 + 2 * ALONE


def test_an_image_alone_is_the_same_to_a_model_that_treats_each_by_itself(bench: Bench) -> None:
    """Identity's side file says so, and no other view's does."""
    bench.run(IDENTITY, HFLIP)
    notes = {one: bench.store.note(key) for one, key in bench.keys(IDENTITY, HFLIP).items()}
    assert [note["alone_difference"] for one, note in notes.items() if one.view == IDENTITY] == [0.0, 0.0]
    assert not any("alone_difference" in note for one, note in notes.items() if one.view == HFLIP)


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 1.0), (1e-4, 1e-4)])
def test_a_model_that_looks_at_its_batch_is_seen(scale: float, expected: float) -> None:
    """Pixels 0, 100 and 200 minus the batch's mean are -100, 0 and 100, alone 0: off by all of the largest logit.

    Where logits are smaller than one the difference itself counts.
    """
    images = np.repeat([[0], [100], [200]], 4, axis=1).astype(np.uint8).reshape(3, 2, 2, 1)
    part = Split("test", ArrayImages(images), np.zeros(3, np.int64), ("a", "b"), "0" * 64)

    def predict(batch: np.ndarray) -> np.ndarray:
        centred = (batch - batch.mean(axis=0))[:, :, 0, 0]
        return (centred * scale / 100 ** (scale < 1)).astype(np.float32)

    model = TrainedModel("mixing", "f" * 64, (2, 2, 1), 2, predict)
    (logits,) = forward([IDENTITY], part, model=model, batch_size=256, advance=lambda *_: None)
    assert alone_difference(part, logits, model=model) == pytest.approx(expected)
    one = replace(part, images=ArrayImages(images[:1]), labels=part.labels[:1], ids=part.ids[:1])
    assert alone_difference(one, np.zeros((1, 2), np.float32), model=model) == 0


def test_batch_sizes_by_input_size() -> None:
    """256, and 64 from 96 pixels on."""
    assert batch_size_for((32, 32, 3)) == 256
    assert batch_size_for((95, 95, 3)) == 256
    assert batch_size_for((96, 32, 3)) == 64
