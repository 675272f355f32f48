"""Names of data sets and what loads them; entry points of group `harness.datasets` add other people's."""

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from harness.datasets.cifar import load_cifar10, load_cifar100
from harness.datasets.digits import load_digits
from harness.datasets.embedded import load_fashion_mini
from harness.datasets.idx import load_fashion_mnist, load_mnist
from harness.datasets.image_folder import load_image_folder
from harness.datasets.npz import load_npz
from harness.datasets.raw import RawDataset
from harness.errors import ConfigError, unknown_name

Loader = Callable[..., RawDataset]

ENTRY_POINT_GROUP = "harness.datasets"
LOADERS: dict[str, Loader] = {
    "fashion_mini": load_fashion_mini,
    "digits": load_digits,
    "mnist": load_mnist,
    "fashion_mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "image_folder": load_image_folder,
    "npz": load_npz,
}


def dataset_kinds() -> tuple[str, ...]:
    """All kinds that `load_raw` knows: ours in their order, then those of installed packages, sorted."""
    others = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)} - set(LOADERS)
    return (*LOADERS, *sorted(others))


def load_raw(kind: str, options: Mapping[str, Any]) -> RawDataset:
    """The data set of a kind, loaded with plain keyword options.

    Raises:
        ConfigError: for an unknown kind or option, or a package's loader that cannot be imported.
        DataError: where the data are missing, damaged or of the wrong shape.
    """
    loader = LOADERS.get(kind) or _installed(kind)
    _check_options(kind, loader, options)
    raw = loader(**options)
    if not isinstance(raw, RawDataset):
        raise ConfigError(f"data set {kind}: expected its loader to return a RawDataset, got {type(raw).__name__}")
    return raw


def _check_options(kind: str, loader: Loader, options: Mapping[str, Any]) -> None:
    try:
        signature = inspect.signature(loader)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"data set {kind}: expected its loader to be a function, got {loader!r}") from error
    try:
        signature.bind(**options)
    except TypeError as error:
        known = ", ".join(signature.parameters) or "none"
        raise ConfigError(f"data set {kind}: {error}; its options: {known}") from error


def _installed(kind: str) -> Loader:
    points = entry_points(group=ENTRY_POINT_GROUP, name=kind)
    if not points:
        raise ConfigError(unknown_name("data set", kind, dataset_kinds()))
    point = next(iter(points))
    try:
        loader: Loader = point.load()
    except Exception as error:  # other people's module may raise anything while it is imported
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"data set {kind}: {point.value} cannot be loaded ({reason})") from error
    return loader
