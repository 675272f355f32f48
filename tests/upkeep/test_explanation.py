"""Why a thing is missed: the nearest one, and the fields that differ, as the configuration calls them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.models.specs import TrainingRequest, TrainingSpec, training_asked
from harness.store import LogitKey, LogitStore
from harness.types import ArrayImages, Split
from harness.upkeep.explanation import missing_checkpoint, missing_logits, missing_model
from harness.upkeep.inventory import CHECKPOINT, MODEL, Item, items

REQUEST = TrainingRequest("small_cnn", (8, 8, 1), 3, TrainingSpec(epochs=2), {"width": 16})
ASKED = training_asked(REQUEST, train_digest="1" * 64)


def stored(name: str, told: dict[str, Any]) -> Item:
    """A model in the store, as its side file tells of it."""
    plain = json.loads(json.dumps(told))
    return Item(MODEL, Path(name), (), name, "d" * 64, 0, 0.0, told=plain)


def said(miss: Any) -> list[str]:
    """The changes in words."""
    return [str(change) for change in miss.changes]


def test_the_nearest_model_and_what_differs() -> None:
    """Of two, the one with fewer differing fields; each field is called as an override is, stored before asked."""
    far = replace(REQUEST, model="tutorial_cnn", seed=4)
    near = replace(REQUEST, training=TrainingSpec(epochs=3), model_options={"width": 32})
    found = [
        stored("far", {"asked": training_asked(far, train_digest="2" * 64)}),
        stored("near", {"asked": training_asked(near, train_digest="1" * 64)}),
    ]
    miss = missing_model(ASKED, found)
    assert miss.nearest == "near"
    assert sorted(said(miss)) == ["model.arguments.width 32 → 16", "training.epochs 3 → 2"]


def test_other_images_and_augmentation() -> None:
    """A digest is said in short, with what may have changed it; an option that one side lacks is absent there."""
    other = replace(REQUEST, augmentation="flip")
    miss = missing_model(ASKED, [stored("one", {"asked": training_asked(other, train_digest="2" * 64)})])
    lines = said(miss)
    assert "augmentation.kind flip → none" in lines
    assert "augmentation.arguments.horizontal True → (absent)" in lines
    (images,) = [line for line in lines if line.startswith("train images: others, digest 22222222 → 11111111")]
    assert "dataset.seed" in images


def test_a_model_of_an_older_version_is_compared_as_far_as_it_tells() -> None:
    """It holds its request, not its images: these are unknown, and said to be."""
    old = replace(REQUEST, seed=7)
    miss = missing_model(ASKED, [stored("old", {"request": ASKED["request"] | {"seed": old.seed}})])
    assert said(miss) == ["seed 7 → 0", "train images: unknown: stored by an older version"]


def test_nothing_to_compare_with() -> None:
    """An empty store, or one whose side files tell nothing, has no nearest model."""
    assert missing_model(ASKED, []).nearest is None
    assert missing_model(ASKED, [stored("odd", {"asked": 3}), stored("empty", {})]).nearest is None


def test_a_checkpoint(tmp_path: Path) -> None:
    """What was found out with other settings is the nearest; of another checkpoint's name it is not."""
    side = tmp_path / "net-12345678" / "a.json"
    side.parent.mkdir()
    side.write_text(json.dumps({"specification": {"output": "auto", "validation": "1" * 64, "image_shape": [8, 8, 1]}}))
    item = Item(CHECKPOINT, side.parent, (side,), "net", "", 0, 0.0)
    asked = {"output": "logits", "validation": "1" * 64, "image_shape": (8, 8, 1)}
    assert said(missing_checkpoint(asked, [item], name="net")) == ["model.output auto → logits"]
    assert missing_checkpoint(asked, [item], name="other").nearest is None


def split(name: str, count: int, digest: str) -> Split:
    """A split of which only its name, digest and number of images matter."""
    images = ArrayImages(np.zeros((count, 2, 2, 1), np.uint8))
    return Split(name, images, np.zeros(count, np.int64), ("a",), digest * 64)


def key(split: Split, view: Any, *, model: str = "a", engine: str = "exact-float32") -> LogitKey:
    """A key of these images under a view's spec."""
    return LogitKey(model * 64, split.digest, json.dumps(view), "+".join(one["kind"] for one in view), engine)


TEST, VALIDATION = split("test", 5, "5"), split("validation", 4, "4")
ROTATE = [{"kind": "rotate", "degrees": 10.0, "fill": 0}]


def why(root: Path, wanted: LogitKey, of: Split) -> list[str]:
    """The changes of a miss in words."""
    return said(missing_logits(wanted, of, items(root)))


def test_logits_that_differ_in_one_thing(tmp_path: Path) -> None:
    """A parameter of a view, the chain, the engine, the model and the images are each said alone."""
    store = LogitStore(tmp_path)
    for one in (TEST, VALIDATION):
        for view in (ROTATE, [{"kind": "rotate", "degrees": -10.0, "fill": 0}], [{"kind": "hflip"}]):
            note = {"split_name": one.name, "model_name": "net"}
            store.put(key(one, view), np.zeros((len(one), 3), np.float32), note=note)
    near = missing_logits(key(TEST, [{"kind": "rotate", "degrees": 15.0, "fill": 0}]), TEST, items(tmp_path))
    assert said(near) == ["view: rotate degrees 10 → 15"]
    assert near.nearest == "rotate of test by net"
    (chain,) = why(tmp_path, key(TEST, [*ROTATE, {"kind": "hflip"}]), TEST)
    assert chain in ("view rotate → rotate+hflip", "view hflip → rotate+hflip")
    assert why(tmp_path, key(TEST, ROTATE, engine="fast-float32"), TEST) == ["engine exact-float32 → fast-float32"]
    assert why(tmp_path, key(TEST, ROTATE, model="b"), TEST) == ["model aaaaaaaa → bbbbbbbb"]
    fewer = split("test", 3, "6")
    assert why(tmp_path, key(fewer, ROTATE), fewer) == ["split images (dataset.limit_test?) 5 → 3"]
    (other,) = why(tmp_path, key(split("test", 5, "7"), ROTATE), split("test", 5, "7"))
    assert other.startswith("split images: others, digest 55555555 → 77777777")


def test_an_older_version_of_the_code_is_said(tmp_path: Path, monkeypatch: Any) -> None:
    """After a change of our code that changes logits, that is the field which differs."""
    LogitStore(tmp_path).put(key(TEST, ROTATE), np.zeros((5, 3), np.float32), note={})
    monkeypatch.setattr("harness.store.INFERENCE_VERSION", 99)
    assert why(tmp_path, key(TEST, ROTATE), TEST) == ["version of the inference code 1 → 99"]


def test_an_empty_store_has_no_nearest_logits(tmp_path: Path) -> None:
    """No candidates, no changes."""
    miss = missing_logits(key(TEST, ROTATE), TEST, items(tmp_path))
    assert (miss.nearest, miss.changes) == (None, ())
