"""A view as a function of tensors: its transforms' steps one after the other, ending at the model's input size."""

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.errors import ModelError
from harness.graph import colour, filters, geometric, tonal
from harness.graph.base import Builder, Shape, Step
from harness.transforms.base import Transform
from harness.transforms.random import is_random
from harness.views import View

BUILDERS: dict[type[Transform], Builder] = {
    **geometric.BUILDERS,
    **tonal.BUILDERS,
    **colour.BUILDERS,
    **filters.BUILDERS,
}


def graph_view(view: View, *, image_shape: Shape, size: tuple[int, int]) -> Callable[[Any], Any]:
    """The view as a function of tensors: images `[n, h, w, channels]` float32 in [0, 255] to `[n, H, W, channels]`.

    It gives the pixels of `view(images, indices, size=size)`: the same bits where a transform rearranges pixels, adds
    or works on whole grey levels, within 1e-3 grey levels elsewhere, and within 2 for JPEG, whose library may be
    another one. A step in the chain that rounds or compares passes such a difference on as a whole level. The
    function holds ordinary TensorFlow operations only, keeps the batch dimension free, and no image of the result
    depends on the others of its batch. `image_shape` is (h, w, channels), `size` is (H, W).

    Raises:
        ModelError: for a random transform, or one of another package, which has no form in TensorFlow.
        DataError: where the images are smaller than `size`, or a transform does not fit them.
    """
    builders = [_builder(transform, view) for transform in view.transforms]
    view(np.zeros((1, *image_shape), np.uint8), geometric.FIRST, size=size)  # what does not fit is refused here
    steps, shape = [], image_shape
    for transform, build in zip(view.transforms, builders, strict=True):
        steps.append(build(transform, shape))
        shape = transform(np.zeros((1, *shape), np.float32), geometric.FIRST).shape[1:]
    steps += _ending(view, shape, size)

    def run(images: Any) -> Any:
        for step in steps:
            images = step(images)
        return images

    return run


def _builder(transform: Transform, view: View) -> Builder:
    if is_random(transform):
        raise ModelError(
            f"view {view.name} cannot be put in a graph: {transform.kind} draws for each example by its place in the "
            f"data set, which a model does not know; take a policy whose views are deterministic"
        )
    if type(transform) not in BUILDERS:
        raise ModelError(
            f"view {view.name} cannot be put in a graph: transform {transform.kind} has no form in TensorFlow; "
            f"take a policy of views made from {', '.join(cls.kind for cls in BUILDERS)}"
        )
    return BUILDERS[type(transform)]


def _ending(view: View, shape: Shape, size: tuple[int, int]) -> list[Step]:
    """What follows a chain that gives images of `shape`: the resize of a window, else the centre."""
    if shape[:2] == size:
        return []
    if any(transform.resizes for transform in view.transforms):
        return [geometric.resize(shape, size)]
    return [geometric.window((shape[0] - size[0]) // 2, (shape[1] - size[1]) // 2, size)]
