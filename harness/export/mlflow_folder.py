"""The format `mlflow`: a folder that MLflow serves and loads, with a SavedModel inside."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.export import card, saved_model
from harness.export.deployable import Deployable
from harness.tracking import policy_model

USAGE = """\
Serve it, and send it an image:

```
mlflow models serve -m {model} --env-manager local -p 5001
curl -s http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' -d @{files}serving_input_example.json
```

A request is `{{"inputs": images}}` with numbers 0..255, the answer `{{"predictions": probabilities}}`. In Python:

```python
import mlflow
probabilities = mlflow.pyfunc.load_model("{model}").predict(images)         # images: uint8
```

`metadata.json` has the class names; `requirements.txt` what has to be installed."""


def usage(model: str, *, files: str = "") -> str:
    """How a model is served and loaded by MLflow's name for it; its files lie below `files`."""
    return USAGE.format(model=model, files=files)


def write(model: Deployable, folder: Path, *, about: Mapping[str, Any], page: str, example: np.ndarray) -> None:
    """Writes the folder; `example [1, h, w, channels]` uint8 becomes the input example."""
    folder.mkdir()
    saved_model.write(model, folder / policy_model.SAVED_MODEL)
    policy_model.package_policy(folder, about=about, example=example)
    (folder / card.METADATA).write_text(card.to_json(about), encoding="utf-8")
    (folder / card.README).write_text(page, encoding="utf-8")


def load(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The function of raw images that a written folder is, as MLflow loads it."""
    return policy_model.load(folder)
