"""The one door to Keras and TensorFlow: the environment is set, and start-up noise dropped, before they load.

Every module that needs them writes `from harness.backend import keras, tf`. Importing this module costs the
import of TensorFlow (seconds), so it is imported only by modules that are themselves imported when first needed.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from harness.errors import ModelError

__all__ = ["frozen", "keras", "prepare", "tf", "without_noise"]

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# TensorFlow's C++ start-up writes these to file descriptor 2 whatever TF_CPP_MIN_LOG_LEVEL says.
_NOISE = (
    "absl::InitializeLog",
    "oneDNN custom operations",
    "cpu_feature_guard",
    "To enable the following instructions",
    "oneDNN supports DT_UINT8",  # images come in as uint8 and are cast at once
)


@contextmanager
def without_noise() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on every line that is not known noise.

    For the start of TensorFlow, and for the first call of a function of raw images.
    """
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all, e.g. under a daemon: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            held.seek(0)
            kept = [line for line in held if not any(noise in line.decode(errors="replace") for noise in _NOISE)]
            if kept:
                os.write(2, b"".join(kept))


with without_noise():
    try:
        import keras
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise ModelError(
            f"this needs Keras with TensorFlow, and {error.name!r} is not installed: "
            f"pip install 'tta-harness[cpu]' or 'tta-harness[gpu]'"
        ) from error
    if keras.config.backend() != "tensorflow":
        raise ModelError(
            f"expected Keras on TensorFlow, got KERAS_BACKEND={keras.config.backend()}: "
            f"unset it, or set KERAS_BACKEND=tensorflow"
        )
    # The user's keras.json may say otherwise, and would then change every result unseen.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    # It warns of functions traced in a loop, which is what several models in one process look like.
    tf.get_logger().setLevel("ERROR")
    # Store keys say float32: on a GPU, TensorFlow would round the factors of every product to 10 bits by itself.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.constant(0)  # the first operation looks at the devices and prints about them


def frozen(function: Any) -> Any:
    """A traced function of one tensor with its variables as constants inside, for those who cannot follow variables."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    found = convert_variables_to_constants_v2(function.get_concrete_function())
    return lambda tensor: found(tensor)[0]


def prepare(*, deterministic: bool = True) -> None:
    """Make TensorFlow's operations repeat bit for bit from here on, for this process; may be called again.

    Without `deterministic` nothing changes: TensorFlow has no way back once determinism is on.
    """
    if deterministic:
        tf.config.experimental.enable_op_determinism()
