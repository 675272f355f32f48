"""What every corruption promises: names, types, and pixels that depend on kind, severity, seed and index alone."""

import numpy as np
import pytest

from harness.corruptions.registry import CORRUPTIONS, SEVERITIES, make_corruption
from harness.corruptions.severities import CIFAR_C, IMAGENET_C
from harness.errors import ConfigError, DataError

RANDOM = tuple(
    "gaussian_noise shot_noise impulse_noise glass_blur motion_blur snow frost fog elastic_transform".split()  # noqa: SIM905
)
IMAGES = np.random.default_rng(2).integers(0, 256, (64, 20, 24, 3)).astype(np.uint8)
kinds = pytest.mark.parametrize("kind", CORRUPTIONS)


def test_names_are_the_published_ones_in_order() -> None:
    """Fifteen names in four families, five severities, both tables whole."""
    assert (
        *("gaussian_noise", "shot_noise", "impulse_noise"),
        *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
        *("snow", "frost", "fog", "brightness"),
        *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    ) == CORRUPTIONS
    assert tuple(CIFAR_C) == tuple(IMAGENET_C) == CORRUPTIONS
    assert {len(levels) for table in (CIFAR_C, IMAGENET_C) for levels in table.values()} == {len(SEVERITIES)}


@kinds
def test_pixels_do_not_depend_on_the_batch(kind: str) -> None:
    """Alone, in another order, or among 64: the same bits."""
    corruption, indices = make_corruption(kind, 4), np.arange(100, 164)
    together = corruption(IMAGES, indices, seed=3)
    order = np.random.default_rng(0).permutation(64)
    assert np.array_equal(corruption(IMAGES[order], indices[order], seed=3), together[order])
    for place in (0, 17, 63):
        alone = corruption(IMAGES[place : place + 1], indices[place : place + 1], seed=3)
        assert np.array_equal(alone[0], together[place])


@pytest.mark.parametrize("kind", RANDOM)
def test_random_parts_depend_on_seed_and_index(kind: str) -> None:
    """Another seed or another index gives other pixels; the same ones give the same."""
    corruption, same = make_corruption(kind, 5), np.repeat(IMAGES[:1], 2, axis=0)
    found = corruption(same, np.array([0, 1]), seed=0)
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found, corruption(same, np.array([0, 1]), seed=1))
    assert np.array_equal(found, corruption(same, np.array([0, 1]), seed=0))


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind not in RANDOM])
def test_other_corruptions_have_no_random_part(kind: str) -> None:
    """Seed and index change nothing."""
    corruption = make_corruption(kind, 5)
    assert np.array_equal(corruption(IMAGES[:2], np.arange(2), seed=0), corruption(IMAGES[:2], np.arange(5, 7), seed=9))


@kinds
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (9, 31, 3), (66, 70, 1), (70, 66, 3)], ids=str)
def test_every_size_and_colour_comes_back_as_it_went_in(kind: str, shape: tuple[int, int, int]) -> None:
    """Uint8 of the same shape, changed, and the input left alone."""
    images = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.uint8)
    before = images.copy()
    found = make_corruption(kind, 5)(images, np.arange(2))
    assert found.dtype == np.uint8 and found.shape == images.shape
    assert np.array_equal(images, before) and not np.array_equal(found, images)


@kinds
def test_no_images_are_no_images(kind: str) -> None:
    """An empty batch comes back empty."""
    assert make_corruption(kind, 1)(IMAGES[:0], np.arange(0)).shape == (0, 20, 24, 3)


@pytest.mark.parametrize(("side", "table"), [(64, CIFAR_C), (65, IMAGENET_C)])
def test_parameters_go_by_the_longer_side(side: int, table: dict[str, tuple[dict[str, float], ...]]) -> None:
    """Up to 64 pixels CIFAR-10-C's, above ImageNet-C's."""
    assert make_corruption("fog", 2).parameters((20, side)) == table["fog"][1]


def test_wrong_names_and_severities_are_refused() -> None:
    """The message names what is near, or what may be given."""
    with pytest.raises(ConfigError, match="unknown corruption 'gausian_noise': did you mean gaussian_noise"):
        make_corruption("gausian_noise", 1)
    with pytest.raises(ConfigError, match="must be one of 1, 2, 3, 4, 5, got 6"):
        make_corruption("fog", 6)


@pytest.mark.parametrize("images", [np.zeros((1, 8, 8, 3), np.float32), np.zeros((1, 8, 8, 4), np.uint8)])
def test_other_images_are_refused(images: np.ndarray) -> None:
    """Floats and four channels are no images here."""
    with pytest.raises(DataError, match="expects images"):
        make_corruption("fog", 1)(images, np.arange(1))
