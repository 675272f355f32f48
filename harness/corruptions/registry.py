"""Names of the corruptions and what does them."""

from harness.corruptions.base import Corruption, Distort
from harness.corruptions.blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from harness.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate
from harness.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from harness.corruptions.severities import CIFAR_C, IMAGENET_C
from harness.corruptions.weather import brightness, fog, frost, snow
from harness.errors import ConfigError, unknown_name

DISTORTIONS: dict[str, Distort] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
}
CORRUPTIONS = tuple(DISTORTIONS)  # in the published order
SEVERITIES = (1, 2, 3, 4, 5)
VERSION = 1  # goes up when the same corruption, severity and seed would give other pixels


def make_corruption(name: str, severity: int) -> Corruption:
    """The corruption of a published name at a severity from 1 to 5.

    Raises:
        ConfigError: for an unknown name or severity.
    """
    if name not in DISTORTIONS:
        raise ConfigError(unknown_name("corruption", name, CORRUPTIONS))
    if severity not in SEVERITIES:
        raise ConfigError(f"severity of corruption {name} must be one of 1, 2, 3, 4, 5, got {severity!r}")
    return Corruption(
        kind=name,
        severity=severity,
        distort=DISTORTIONS[name],
        small=CIFAR_C[name][severity - 1],
        large=IMAGENET_C[name][severity - 1],
    )
