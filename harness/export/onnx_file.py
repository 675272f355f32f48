"""The format `onnx`: one `.onnx` file for ONNX Runtime; the only importer of tf2onnx, onnx and onnxruntime."""

import importlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.backend import frozen, tf
from harness.errors import ConfigError, ModelError
from harness.export.deployable import network_function, traced
from harness.export.job import ExportJob, ShippedPolicy

OPSET = 18
ELSEWHERE = "use the format savedmodel or mlflow"
USAGE = """\
```python
import onnxruntime
session = onnxruntime.InferenceSession("{name}", providers=["CPUExecutionProvider"])
(probabilities,) = session.run(["probabilities"], {{"images": images}})                          # images: uint8
metadata = session.get_modelmeta().custom_metadata_map                                          # class_names and more
```

This page and the metadata are among the file's `metadata_props`, the page as `readme`."""


def require() -> None:
    """Refuses early where what writes and checks such files is not installed.

    Raises:
        ConfigError: with the command that installs it.
    """
    for name in ("onnx", "tf2onnx", "onnxruntime"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"format onnx needs {name}, which is not installed: pip install 'tta-harness[onnx]'"
            ) from error


def build(job: ExportJob, policy: ShippedPolicy) -> Any:
    """The policy as an ONNX model of raw images.

    Raises:
        ModelError: where it holds an operation that ONNX has not.
    """
    import tf2onnx  # type: ignore[import-untyped]

    # Weights that are handed in from outside a loop have no size that the converter knows.
    function = traced(job, policy, frozen(network_function(job)))
    signature = [tf.TensorSpec([None, *job.dataset.test.images.shape], tf.uint8, name="images")]

    def named(images: Any) -> dict[str, Any]:
        return {"probabilities": function(images)}

    whole = tf.function(named, input_signature=signature, autograph=False)
    logging.disable(logging.CRITICAL)  # the converter logs what is checked below, partly to the root logger
    try:
        model, _ = tf2onnx.convert.from_function(whole, input_signature=signature, opset=OPSET)
    except Exception as error:  # whatever it stumbles over
        raise ModelError(f"{policy.name} cannot be written as ONNX ({_first(error)}): {ELSEWHERE}") from error
    finally:
        logging.disable(logging.NOTSET)
    _check(model, policy)
    mend(model.graph)
    return model


def predict(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """An ONNX model as a function of raw images, run by ONNX Runtime on the CPU."""
    return _session(model.SerializeToString())


def write(model: Any, path: Path, *, metadata: Mapping[str, Any], readme: str) -> None:
    """Writes the file; every value of `metadata` becomes a property, what is no text as JSON."""
    properties = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    for key, value in {**properties, "readme": readme}.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The function of raw images that a written file is."""
    return _session(str(path))


def _session(model: bytes | str) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(["probabilities"], {"images": images})[0])


def _graphs(graph: Any) -> Iterator[tuple[Any, Any]]:
    """Every node of a graph and of the graphs inside its nodes, with those inside it: (node, graphs)."""
    for node in graph.node:
        inner = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
        yield node, inner
        for one in inner:
            yield from _graphs(one)


def _check(model: Any, policy: ShippedPolicy) -> None:
    from onnx import defs

    missing = sorted({node.op_type for node, _ in _graphs(model.graph) if not defs.has(node.op_type, node.domain)})
    if missing:
        raise ModelError(
            f"{policy.name} cannot be written as ONNX, which has no operation {', '.join(missing)}: {ELSEWHERE}"
        )


def mend(graph: Any) -> None:
    """Says of a loop that its counter and its condition are single values: the runtime wants to be told."""
    from onnx import TensorShapeProto

    for node, inner in _graphs(graph):
        if node.op_type == "Loop":
            for value in inner[0].input[:2]:
                value.type.tensor_type.shape.CopyFrom(TensorShapeProto())
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "n"


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
