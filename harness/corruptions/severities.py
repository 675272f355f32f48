"""The published parameters of every corruption, severities 1 to 5 from left to right.

From the code that made the official sets, github.com/hendrycks/robustness: `make_cifar_c.py` (CIFAR-10-C, 32×32) and
`make_imagenet_c.py` (ImageNet-C, 224×224). Noise is in units of the full range [0, 255], lengths in pixels; those of
the elastic transform are fractions of the image's shorter side.
"""

from collections.abc import Mapping, Sequence

Levels = tuple[Mapping[str, float], ...]


def levels(names: str, *rows: float | Sequence[float]) -> Levels:
    """One mapping from parameter name to value for each severity."""
    values = [row if isinstance(row, Sequence) else (row,) for row in rows]
    return tuple(dict(zip(names.split(), row, strict=True)) for row in values)


SNOW = "mean spread zoom threshold radius sigma keep"

CIFAR_C: dict[str, Levels] = {
    "gaussian_noise": levels("std", 0.04, 0.06, 0.08, 0.09, 0.10),
    "shot_noise": levels("photons", 500, 250, 100, 75, 50),
    "impulse_noise": levels("share", 0.01, 0.02, 0.03, 0.05, 0.07),
    "defocus_blur": levels("radius alias", (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    "glass_blur": levels("sigma reach rounds", (0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    "motion_blur": levels("radius sigma", (6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    "zoom_blur": levels("stop step", (1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    "snow": levels(
        SNOW,
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "frost": levels("image ice", (1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    "fog": levels("thickness decay", (0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
    "brightness": levels("shift", 0.05, 0.1, 0.15, 0.2, 0.3),
    "contrast": levels("factor", 0.75, 0.5, 0.4, 0.3, 0.15),
    "elastic_transform": levels(
        "strength sigma corner",
        (0, 0, 0.08),
        (0.05, 0.2, 0.07),
        (0.08, 0.06, 0.06),
        (0.1, 0.04, 0.05),
        (0.1, 0.03, 0.03),
    ),
    "pixelate": levels("scale", 0.95, 0.9, 0.85, 0.75, 0.65),
    "jpeg_compression": levels("quality", 80, 65, 58, 50, 40),
}

S = 244 / 224  # the published code takes a side of 244 pixels for its images of 224

IMAGENET_C: dict[str, Levels] = {
    "gaussian_noise": levels("std", 0.08, 0.12, 0.18, 0.26, 0.38),
    "shot_noise": levels("photons", 60, 25, 12, 5, 3),
    "impulse_noise": levels("share", 0.03, 0.06, 0.09, 0.17, 0.27),
    "defocus_blur": levels("radius alias", (3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    "glass_blur": levels("sigma reach rounds", (0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
    "motion_blur": levels("radius sigma", (10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
    "zoom_blur": levels("stop step", (1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
    "snow": levels(
        SNOW,
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": levels("image ice", (1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    "fog": levels("thickness decay", (1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
    "brightness": levels("shift", 0.1, 0.2, 0.3, 0.4, 0.5),
    "contrast": levels("factor", 0.4, 0.3, 0.2, 0.1, 0.05),
    "elastic_transform": levels(
        "strength sigma corner",
        (2 * S, 0.7 * S, 0.1 * S),
        (2 * S, 0.08 * S, 0.2 * S),
        (0.05 * S, 0.01 * S, 0.02 * S),
        (0.07 * S, 0.01 * S, 0.02 * S),
        (0.12 * S, 0.01 * S, 0.02 * S),
    ),
    "pixelate": levels("scale", 0.6, 0.5, 0.4, 0.3, 0.25),
    "jpeg_compression": levels("quality", 25, 18, 15, 10, 7),
}
