"""What a Keras model's graph says: how it ends, whether it rescales pixels itself, and which layers feed which."""

from typing import Any

from harness.backend import keras

# What stands at the end of a model but decides nothing about the kind of its output.
_PASSING = ("Dropout", "Flatten", "GlobalAveragePooling2D", "Identity", "Reshape")
_ACTIVATIONS = {
    "LogSoftmax": "log_softmax",
    "ReLU": "relu",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
}
_ARITHMETIC = ("Add", "Divide", "Multiply", "Subtract", "TrueDivide")


def graph(model: Any) -> Any:
    """The functional graph of a functional or sequential model."""
    return getattr(model, "_functional", None) or model


def nodes(model: Any) -> set[Any]:
    """The calls of layers that the model is made of.

    A layer may have others: a Sequential calls its layers anew whenever one is added, and another model may share them.
    """
    return {node for level in graph(model)._nodes_by_depth.values() for node in level}


def ending(model: Any) -> str:
    """The activation that a model's output comes from (`softmax`, `linear`, `relu`, ...), or `unknown`."""
    return _ending(model.outputs[0])


def _ending(tensor: Any) -> str:
    history = tensor._keras_history
    operation, kind = history.operation, type(history.operation).__name__
    if hasattr(graph(operation), "_nodes_by_depth"):
        return _ending(graph(operation).outputs[history.tensor_index])
    if kind in _ACTIVATIONS:
        return _ACTIVATIONS[kind]
    activation = getattr(operation, "activation", None)
    idle = kind == "Activation" and activation is keras.activations.linear
    if activation is not None and not idle:
        return str(getattr(activation, "__name__", "unknown"))
    inputs = operation._inbound_nodes[history.node_index].input_tensors
    return _ending(inputs[0]) if (idle or kind in _PASSING) and len(inputs) == 1 else "unknown"


def rescales(model: Any) -> bool:
    """True where a Rescaling or Normalization layer, or arithmetic, stands before the first layer with a kernel."""
    return _rescales(model) is True


def _rescales(model: Any) -> bool | None:
    """None where neither a rescaling nor a kernel is met."""
    for operation in graph(model).operations:
        kind = type(operation).__name__
        if isinstance(operation, keras.layers.Rescaling | keras.layers.Normalization):
            return True
        if kind in _ARITHMETIC and not isinstance(operation, keras.layers.Layer):
            return True
        if getattr(operation, "kernel", None) is not None or getattr(operation, "depthwise_kernel", None) is not None:
            return False
        inner = _rescales(operation) if hasattr(graph(operation), "operations") else None
        if inner is not None:
            return inner
    return None
