"""The format `savedmodel`: a folder that TensorFlow and TensorFlow Serving load."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.backend import keras, tf
from harness.export.deployable import Deployable

USAGE = """\
```python
import tensorflow as tf
model = tf.saved_model.load("{name}")
probabilities = model(images)                 # images: uint8, numbers or a tensor
class_names = model.class_names().numpy()     # bytes
```

The signature `serving_default` takes `images` and gives `probabilities`, as TensorFlow Serving wants it."""


def write(model: Deployable, folder: Path) -> None:
    """Writes the SavedModel into `folder`, which is made."""
    module = tf.Module()
    # What the function reads has to be found from the module; a whole Keras model would be written twice over.
    is_keras = isinstance(model.owner, keras.Model)
    module.network = [one.value for one in model.owner.variables] if is_keras else model.owner
    names = tf.constant(model.class_names)
    images = tf.TensorSpec([None, *model.image_shape], tf.uint8, name="images")

    def serve(images: object) -> dict[str, object]:
        return {"probabilities": model.function(images)}

    module.__call__ = model.function
    module.class_names = tf.function(lambda: names, input_signature=[], autograph=False)
    served = tf.function(serve, input_signature=[images], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": served})


def load(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The function of raw images that a written SavedModel is."""
    module = tf.saved_model.load(str(folder))
    return lambda images: np.asarray(module(tf.constant(images, tf.uint8)))
