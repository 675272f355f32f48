"""A model that somebody has trained: what it takes and gives is found out once, and written down.

Both are known from a side file afterwards, so that a later job need not load TensorFlow for them.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.files import make_folder, path_digest, write_bytes
from harness.fingerprint import canonical, fingerprint
from harness.inference import batch_size_for
from harness.model_source import ModelInfo, logit_digest, sample
from harness.models.detection import choose_preprocessing, try_out
from harness.models.preprocessing import PREPROCESSING, Preprocessing, candidates, make_preprocessing
from harness.models.specs import TrainingProgress
from harness.types import Dataset, Split

DETECTION_VERSION = 2  # raise by hand when what is found out about a checkpoint changes


def input_size(path: Path, *, trust: bool, root: Path) -> tuple[int, int] | None:
    """Height and width that a checkpoint takes, None where it is open to any; looked up once for its bytes."""
    side = root / "checkpoints" / f"{path.stem}-{path_digest(path)[:16]}" / "input_size.json"
    try:
        size = json.loads(side.read_bytes())["size"]
    except (OSError, ValueError, TypeError, KeyError):
        checkpoint = importlib.import_module("harness.models.checkpoint")
        height, width, _ = checkpoint.load_network(path, trust=trust).input_shape
        size = [height, width] if height and width else None
        make_folder(side.parent)
        text = json.dumps({"size": size})
        write_bytes(side, text.encode())
    return None if size is None else (int(size[0]), int(size[1]))


@dataclass(frozen=True)
class CheckpointSource:
    """A model that somebody has trained.

    Attributes:
        path: the local file or folder.
        label: how the user named it.
        digest: of the file's bytes.
    """

    path: Path
    label: str
    digest: str
    trust: bool
    preprocessing: str | Mapping[str, Any]
    output: str
    dataset: Dataset
    center_crop: bool
    root: Path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def specification(self) -> dict[str, Any]:
        """The file's digest, the settings, and the validation images that detection looks at, as plain data."""
        return {
            "version": DETECTION_VERSION,
            "file": self.digest,
            "preprocessing": self.preprocessing,
            "output": self.output,
            "validation": self.dataset.validation.digest,
            "image_shape": self.dataset.test.images.shape,
            "center_crop": self.center_crop,
        }

    @property
    def asked(self) -> str:
        """Fingerprint of the specification."""
        return fingerprint(self.specification)

    @property
    def _side(self) -> Path:
        return self.root / "checkpoints" / f"{self.name}-{self.digest[:8]}" / f"{self.asked[:16]}.json"

    def cached(self) -> ModelInfo | None:
        """What was found out about this file with these settings and images."""
        try:
            data = json.loads(self._side.read_bytes())
            if data.pop("asked") != self.asked:
                return None
            data.pop("specification", None)
            fields = {key: tuple(data[key]) for key in ("input_shape", "notes", "warnings")}
            pixels = data["preprocessing"]
            pixels = Preprocessing(**{**pixels, "mean": tuple(pixels["mean"]), "std": tuple(pixels["std"])})
            return ModelInfo(**{**data, **fields, "preprocessing": pixels, "path": self.path})
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # missing or damaged: it is found out again

    def obtain(self, progress: TrainingProgress) -> ModelInfo:  # noqa: ARG002
        """Loads the checkpoint, finds out what it takes and gives, and writes that down.

        Raises:
            ModelError: where it cannot be loaded, does not fit the data set, or its output is not recognised.
        """
        info = self._look()
        data = {**asdict(info), "asked": self.asked, "specification": self.specification}
        del data["path"]
        make_folder(self._side.parent)
        text = json.dumps(canonical(data), indent=1)
        write_bytes(self._side, text.encode())
        return info

    def _look(self) -> ModelInfo:
        checkpoint = importlib.import_module("harness.models.checkpoint")
        network = checkpoint.load_network(self.path, trust=self.trust)
        shape = checkpoint.resolve_input_shape(
            network, self.dataset.test.images.shape, name=self.path.name, center_crop=self.center_crop
        )
        checkpoint.check_classes(network.units, self.dataset.num_classes, name=self.path.name)
        wanted = None if self.preprocessing == "auto" else make_preprocessing(self.preprocessing)
        values, labels = try_preprocessings(network, self.dataset.validation, shape, also=wanted)
        output = checkpoint.detect_output(network, self.output, np.concatenate(list(values.values())))
        to_logits = importlib.import_module("harness.models.predictor").to_logits
        trials = {name: try_out(to_logits(one, output), labels) for name, one in values.items()}
        if wanted is None and network.rescales:
            wanted = PREPROCESSING["none"]
        chosen, notes, warnings = choose_preprocessing(wanted, trials, rescales=network.rescales)
        seen = "its outputs look so" if network.ending == "unknown" else f"its last layer is {network.ending}"
        how = "set by model.output" if self.output != "auto" else seen
        return ModelInfo(
            name=self.name,
            kind="checkpoint",
            digest=logit_digest(network.digest, chosen, output.kind),
            fingerprint=None,
            source=self.label,
            input_shape=shape,
            num_classes=self.dataset.num_classes,
            output=output.kind,
            units=output.units,
            preprocessing=chosen,
            path=self.path,
            notes=(*notes, f"model.output is {output.kind}: {how}"),
            warnings=warnings,
        )


def try_preprocessings(
    network: Any, validation: Split, shape: tuple[int, int, int], *, also: Preprocessing | None = None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What the network gives `[n, units]` float32 under each plausible preprocessing and `also`; the labels `[n]`."""
    images, labels = sample(validation, shape)
    size = batch_size_for(shape)
    values = {}
    for name, preprocessing in (candidates(shape[2]) | ({also.name: also} if also else {})).items():
        pixels = preprocessing(images)
        batches = [np.asarray(network.call(pixels[i : i + size])) for i in range(0, len(pixels), size)]
        values[name] = np.concatenate(batches).astype(np.float32)
    return values, labels
