"""A policy as a traced TensorFlow function: what the SavedModel format holds, ready to be called or timed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backend import tf
from harness.export.job import ExportJob, ShippedPolicy
from harness.graph.policies import Network, policy_function
from harness.models.predictor import Output


@dataclass(frozen=True, eq=False)
class Deployable:
    """A policy with views, preprocessing, network, aggregation and temperature in one graph.

    Attributes:
        policy: what it is.
        function: a traced function of images `[n, h, w, channels]` uint8 to probabilities `[n, C]` float32; an adaptive
            policy skips the passes that no image of the batch needs.
        image_shape: `(h, w, channels)`, at the data set's load size.
        class_names: C names.
        owner: what holds the network's variables.
    """

    policy: ShippedPolicy
    function: Any
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    owner: Any

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images `[n, h, w, channels]` uint8 to calibrated probabilities `[n, C]` float32."""
        return np.asarray(self.function(tf.constant(images, tf.uint8)))


def deployable(job: ExportJob, policy_name: str) -> Deployable:
    """One policy of an opened job, compiled; nothing is predicted yet.

    Raises:
        ConfigError: where the job has no such policy.
        ModelError: where a view or its aggregation has no form in a graph.
    """
    policy = job.policy(policy_name)
    function = traced(job, policy, network_function(job))
    return Deployable(policy, function, job.dataset.test.images.shape, job.dataset.test.class_names, job.network.owner)


def network_function(job: ExportJob) -> Any:
    """The job's network as a traced function of its own: its body is in a graph once, however often it is called."""
    inputs = [tf.TensorSpec([None, *job.info.input_shape], tf.float32)]
    return tf.function(job.network.call, input_signature=inputs, autograph=False)


def traced(job: ExportJob, policy: ShippedPolicy, call: Any) -> Any:
    """The policy as a traced function of raw images, with the job's network called by `call`."""
    shape = job.dataset.test.images.shape
    run = policy_function(
        policy.fitted, policy.views, network_of(job, call), image_shape=shape, temperature=policy.temperature
    )
    signature = [tf.TensorSpec([None, *shape], tf.uint8, name="images")]
    function = tf.function(run, input_signature=signature, autograph=False)
    function.get_concrete_function()  # traced now, so that what cannot be is said now
    return function


def network_of(job: ExportJob, call: Any) -> Network:
    """The job's network, called by `call`, with its preprocessing and kind of output."""
    info = job.info
    return Network(call, info.input_shape, info.preprocessing, Output(info.output, info.units))
