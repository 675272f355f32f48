"""Images that were rescued and harmed: the right ones, with what each view says, small, and readable again."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness import gallery
from harness.errors import DataError
from harness.evaluation import Evaluation, Settings, evaluate
from harness.firewall import Examples
from harness.hardest import hardest_images, logged_table
from harness.policies.policy import IDENTITY_POLICY, Policy
from harness.transforms.flips import HorizontalFlip
from harness.transforms.geometric import Shift
from harness.types import ArrayImages, Split
from harness.views import IDENTITY, View

FLIP = View((HorizontalFlip(),))
NAMES = ("cat", "dog")


def split(name: str, count: int, size: int = 4, channels: int = 1) -> Split:
    """Images whose brightness grows to the right, with labels 0, 1, 0, 1."""
    ramp = np.broadcast_to(np.arange(size)[:, None] * (200 // size), (count, size, size, channels))
    return Split(name, ArrayImages(np.ascontiguousarray(ramp, np.uint8)), np.arange(count) % 2, NAMES, "0" * 64)


def logits(margins: list[float]) -> np.ndarray:
    """Two classes; a margin above zero is for the label 0, 1, 0, 1."""
    sign = np.where(np.arange(len(margins)) % 2, -1, 1)
    return np.stack([np.array(margins) * sign / 2, -np.array(margins) * sign / 2], axis=1).astype(np.float32)


PLAIN = logits([-1.0, 2.0, 1.0, -0.5, 3.0, -4.0])
MIRRORED = logits([3.0, 2.0, -3.0, 2.5, 3.0, -4.0])
"""Their mean rescues images 0 (by 2) and 3 (by 2), harms image 2; all are wrong on image 5."""


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Identity and a flip on six images."""
    found = {("validation", IDENTITY): PLAIN, ("validation", FLIP): MIRRORED,
             ("test", IDENTITY): PLAIN, ("test", FLIP): MIRRORED}  # fmt: skip
    test, validation = split("test", 6), split("validation", 6)
    policies = [IDENTITY_POLICY, Policy("hflip", (IDENTITY, FLIP))]
    examples = {one.name: Examples(one.ids, one.labels) for one in (test, validation)}
    settings = Settings(resamples=20)
    return evaluate(policies, lambda name, view: found[name, view], examples, settings=settings)


def make(evaluation: Evaluation, test: Split | None = None) -> tuple[gallery.Gallery, dict[str, np.ndarray]]:
    """The gallery of the flip."""
    test = test or split("test", 6)
    size = test.images.shape[:2]
    both = {IDENTITY: PLAIN, FLIP: MIRRORED}
    return gallery.make_gallery(evaluation.identity, evaluation.result("hflip"), test, both, size=size)


def test_the_images_are_those_that_changed_sides(evaluation: Evaluation) -> None:
    """Rescued: identity wrong and the policy right, the largest gain in NLL first; harmed: the reverse."""
    found, _ = make(evaluation)
    assert [(one.kind, one.example) for one in found.exhibits] == [
        ("rescued", "test/0"), ("rescued", "test/3"), ("harmed", "test/2"),
    ]  # fmt: skip
    assert (found.policy, found.rescued, found.harmed, found.views_left_out) == ("hflip", 2, 1, 0)


def test_each_view_says_what_the_model_says_to_it(evaluation: Evaluation) -> None:
    """A margin of -1 for the cat is the dog with probability 1 / (1 + exp(-1)); the policy is the mean of both."""
    first = make(evaluation)[0].exhibits[0]
    plain, mirrored = 1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(-3.0))
    assert (first.label, first.identity.predicted, first.policy.predicted) == ("cat", "dog", "cat")
    assert first.identity.confidence == pytest.approx(plain)
    assert first.policy.confidence == pytest.approx((1 - plain + mirrored) / 2)
    assert [(one.view, one.said.predicted) for one in first.views] == [("identity", "dog"), ("horizontal_flip", "cat")]
    assert [one.said.confidence for one in first.views] == pytest.approx([plain, mirrored])


def test_the_picture_shows_the_views_side_by_side(evaluation: Evaluation, tmp_path: Path) -> None:
    """The second half is the mirror image of the first, pixel by pixel, also after the way to disk."""
    found, pictures = make(evaluation)
    strip = pictures["rescued-1.png"]
    assert strip.shape == (4, 8, 1)
    assert np.array_equal(strip[:, :4], strip[:, :3:-1])
    gallery.write_gallery(tmp_path, found, pictures)
    parts = [np.asarray(Image.open(io.BytesIO(one))) for one in gallery.tiles(tmp_path, found.exhibits[0])]
    assert [np.array_equal(one, half) for one, half in zip(parts, np.split(strip[..., 0], 2, axis=1), strict=True)] == [
        True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "RGB")])
def test_large_images_become_thumbnails(evaluation: Evaluation, tmp_path: Path, channels: int, mode: str) -> None:
    """No side of a view is longer than 96 pixels, whatever the number of channels."""
    found, pictures = make(evaluation, split("test", 6, size=200, channels=channels))
    gallery.write_gallery(tmp_path, found, pictures)
    tile = Image.open(io.BytesIO(gallery.tiles(tmp_path, found.exhibits[0])[0]))
    assert (tile.size, tile.mode) == ((96, 96), mode)


def test_a_gallery_comes_back_equal(evaluation: Evaluation, tmp_path: Path) -> None:
    """What is written is read again; a folder without one has none; a damaged one is said."""
    assert gallery.read_gallery(tmp_path) is None
    found, pictures = make(evaluation)
    gallery.write_gallery(tmp_path, found, pictures)
    assert gallery.read_gallery(tmp_path) == found
    (tmp_path / "gallery" / "rescued-1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"rescued-1\.png cannot be read"):
        gallery.tiles(tmp_path, found.exhibits[0])
    (tmp_path / "gallery" / "gallery.json").write_text("{}")
    with pytest.raises(DataError, match=r"gallery\.json is damaged"):
        gallery.read_gallery(tmp_path)


def test_few_images_and_few_views_are_shown() -> None:
    """At most six of a kind and eight views; the rest is counted."""
    count, views = 20, [IDENTITY, *(View((Shift(dx=1 + place),)) for place in range(9))]
    right, wrong = logits([1.0] * count), logits([-1.0] * count)
    found = {("validation", view): right for view in views} | {("test", view): right for view in views}
    found["test", IDENTITY] = wrong
    test, validation = split("test", count, size=32), split("validation", count, size=32)
    examples = {one.name: Examples(one.ids, one.labels) for one in (test, validation)}
    policies = [IDENTITY_POLICY, Policy("shifts", tuple(views))]
    done = evaluate(policies, lambda name, view: found[name, view], examples, settings=Settings(resamples=20))
    of_test = {view: found["test", view] for view in views}
    made, pictures = gallery.make_gallery(done.identity, done.result("shifts"), test, of_test, size=(32, 32))
    assert (len(made.exhibits), made.rescued, made.harmed, made.views_left_out) == (6, 20, 0, 2)
    assert {picture.shape for picture in pictures.values()} == {(32, 8 * 32, 1)}


def test_the_hardest_images_come_first(evaluation: Evaluation) -> None:
    """By the number of policies that are wrong, then by the policy's calibrated NLL; nobody's mistake is no row."""
    table = hardest_images(evaluation, "hflip", split("test", 6))
    rows: list[dict[str, Any]] = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["example"], row["policies_wrong"]) for row in rows] == [
        ("test/5", 2), ("test/2", 1), ("test/0", 1), ("test/3", 1),
    ]  # fmt: skip
    assert (rows[0]["label"], rows[0]["identity"], rows[0]["chosen"]) == ("dog", "cat", "cat")
    losses = dict(zip(split("test", 6).ids, evaluation.result("hflip").nll_calibrated, strict=True))
    assert [row["nll_calibrated"] for row in rows] == pytest.approx([losses[row["example"]] for row in rows], abs=1e-6)
    assert rows[0]["identity_confidence"] == pytest.approx(1 / (1 + np.exp(-4.0)), abs=1e-6)


def test_a_logged_table_is_strict_json(evaluation: Evaluation) -> None:
    """Columns and rows as MLflow takes them, a number that is not finite as null."""
    table = hardest_images(evaluation, "hflip", split("test", 6))
    broken = type(table)(table.name, table.columns, ((*table.rows[0][:-1], float("inf")),))
    found = json.loads(logged_table(broken), parse_constant=lambda name: pytest.fail(name))
    assert found["columns"][0] == "example"
    assert found["data"][0][-1] is None
