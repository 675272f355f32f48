"""Other people's packages add transforms, data sets, aggregations and models by name, without a change here."""

from pathlib import Path
from typing import Any

import numpy as np

CODE = """
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.datasets.npz import load_npz
from harness.transforms.base import Transform


@dataclass(frozen=True)
class Invert(Transform):
    kind: ClassVar[str] = "negative"
    strength: float = 1.0

    def __call__(self, images, indices):
        return np.float32(self.strength) * (np.float32(255) - images)


def inverted_mean(logits):
    from harness.policies.fixed import MeanProbs

    return MeanProbs()(logits)


def load(*, file):
    return load_npz(file)


def build(input_shape, num_classes, *, units=4):
    from harness.backend import keras

    return keras.Sequential([
        keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Rescaling(1 / 255),
        keras.layers.Dense(units, activation="relu"), keras.layers.Dense(num_classes, activation="softmax"),
    ])
"""
POINTS = """
[harness.transforms]
negative = theirs:Invert
broken = theirs:nothing
[harness.aggregations]
inverted_mean = theirs:inverted_mean
[harness.datasets]
theirs = theirs:load
[harness.models]
their_net = theirs:build
"""
POLICY = "inverted:\n  views: [identity, {kind: negative, strength: 1}]\n  aggregation: inverted_mean\n"


def test_a_foreign_package_by_name(process: Any, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    """One package brings all four; a policy in YAML and overrides use them; `list` shows the transform.

    What a package gets wrong is one line.
    """
    package, work = tmp_path / "package", tmp_path / "work"
    info = package / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (package / "theirs.py").write_text(CODE)
    (work / "conf" / "tta").mkdir(parents=True)
    (work / "conf" / "dataset").mkdir(parents=True)
    (work / "conf" / "tta" / "inverted.yaml").write_text(POLICY)
    (work / "conf" / "dataset" / "theirs.yaml").write_text("kind: theirs\narguments: {file: tiny.npz}\n")
    np.savez(work / "tiny.npz", **arrays)
    line = ["dataset=theirs", "model.kind=their_net", "+model.arguments.units=3", "training.epochs=1", "tta=inverted"]
    done = process("run", *line, "tracking=none", folder=work, PYTHONPATH=str(package))
    assert done.returncode == 0, done.stderr
    assert "models trained: 1, forward passes run: 4" in done.stdout
    assert "inverted" in done.stdout
    wrong = process("plan", *line, "+tta.x.views=[broken]", "tracking=none", folder=work, PYTHONPATH=str(package))
    assert (wrong.returncode, len(wrong.stderr.splitlines()), "broken" in wrong.stderr) == (2, 1, True)
