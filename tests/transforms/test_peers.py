"""What other projects' code gives on one image, view by view: the sets of peers are expressible, and mean the same."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.transforms.registry import make_transform
from harness.transforms.resample import resize

with np.load(Path(__file__).parent / "golden" / "peers.npz") as stored:
    GOLDEN = dict(stored)
IMAGES = GOLDEN.pop("images")
H, W = IMAGES.shape[1:3]
NEAREST = {"interpolation": "nearest", "fill": "constant"}
FIXED = {
    "hflip": "horizontal_flip", "vflip": "vertical_flip", "FlipLR": "horizontal_flip", "FlipUD": "vertical_flip",
    "Invert": "invert", "invert": "invert", "AutoContrast": "autocontrast", "Equalize": "equalize",
    "grayscale": "grayscale",
}  # fmt: skip
NUMBERED: dict[str, tuple[str, Any]] = {
    "rotate90": ("rotate90", lambda v: {"turns": int(v) // 90}),
    "add": ("add", lambda v: {"value": v}),
    "multiply": ("brightness", lambda v: {"factor": v}),
    "scale": ("zoom", lambda v: {"factor": v}),
    "hue": ("hue", lambda v: {"degrees": v}),
    "contrast": ("contrast", lambda v: {"factor": v, "per_channel": True}),
    "posterize": ("posterize", lambda v: {"bits": int(v)}),
    "solarize": ("solarize", lambda v: {"threshold": v}),
    "autocontrast": ("autocontrast", lambda v: {"cutoff": v}),
    "jpeg": ("jpeg", lambda v: {"quality": int(v)}),
    "Posterize": ("posterize", lambda v: {"bits": int(v)}),
    "Rotate": ("rotate", lambda v: {"degrees": v, **NEAREST}),
    "Solarize": ("solarize", lambda v: {"threshold": 255 * v}),
    "Contrast": ("contrast", lambda v: {"factor": v}),
    "Saturation": ("saturation", lambda v: {"factor": v}),
    "Brightness": ("brightness", lambda v: {"factor": v}),
    "Sharpness": ("sharpness", lambda v: {"factor": v}),
    "ShearX": ("shear", lambda v: {**leaning(v), "axis": "x"}),
    "ShearY": ("shear", lambda v: {**leaning(v), "axis": "y"}),
    "TranslateX": ("shift", lambda v: {"dx": v, **NEAREST}),
    "TranslateY": ("shift", lambda v: {"dy": v, **NEAREST}),
}
# Sums in other orders and fixtures in steps of 1/64; luma weights in four digits; and what Pillow's integers or
# OpenCV's coarse HSV (hue in steps of two degrees, saturation in 256 steps) round.
TOLERANCES = {
    "discard/Contrast": 0.03,
    "discard/Saturation": 0.04,
    "discard/AutoContrast": 1.01,
    "albumentations/autocontrast": 1.01,
    "albumentations/grayscale": 0.501,
    "albumentations/hue": 3.5,
    "opencv/jpeg": 2.0,
}


def leaning(level: float) -> dict[str, Any]:
    """A shear level as AutoAugment has it: a tangent, about the top left corner."""
    return {"degrees": math.degrees(math.atan(level)), "anchor": "top_left", **NEAREST}


def ours(name: str) -> tuple[str, dict[str, Any]]:
    """Our kind and parameters for a peer's `name=level`."""
    name, _, level = name.partition("=")
    if name in FIXED:
        return FIXED[name], {}
    if name == "crop":
        return "crop", {"position": level, "fraction": 0.5}
    if name == "CropBilinear":
        return "crop", {"position": "bottom_right", "fraction": (H - float(level)) / H}
    if name == "Cutout":
        size, row, column = map(int, level.split(","))
        return "cutout", {"size": size, "x": column / W, "y": row / H}
    if name in ("top_left", "bottom_right"):
        sign = 1 if name == "top_left" else -1
        return "shift", {"dx": sign, "dy": sign, "fill": "mirror"}
    kind, params = NUMBERED[name]
    return kind, params(float(level))


@pytest.mark.parametrize("key", sorted(set(GOLDEN) - {"discard/CropBilinear=1", "discard/CropBilinear=10"}))
def test_agrees_with_the_code_of_a_peer(key: str) -> None:
    """Every stored view within 0.02 grey levels, or as `TOLERANCES` has it; what leaves [0, 255] there is clipped."""
    result = make_transform(*ours(key.partition("/")[2]))(IMAGES.astype(np.float32), np.arange(len(IMAGES)))
    expected = np.clip(GOLDEN[key].astype(np.float64), 0, 255)
    assert result.shape == expected.shape
    assert np.abs(result - expected).max() <= TOLERANCES.get(key.partition("=")[0], 0.02)


@pytest.mark.parametrize("level", [1, 10])
def test_corner_crops_of_a_given_size_are_fractions(level: int) -> None:
    """discard-in-subsampling cuts the first pixels off both sides of a square image and resizes the rest."""
    kind, params = ours(f"CropBilinear={level}")
    square = np.random.default_rng(0).uniform(0, 255, (1, H, H, 3)).astype(np.float32)
    assert np.array_equal(make_transform(kind, params)(square, np.arange(1)), square[:, level:, level:])
    resized = resize(IMAGES[:, level:, level:].astype(np.float32), (H, W))
    assert np.abs(resized - GOLDEN[f"discard/CropBilinear={level}"]).max() <= 0.02


def test_all_operations_of_the_expanded_pool_have_a_name() -> None:
    """Of its 21 operations, 18 have fixtures above; the identity needs none, its blur and smoothing have a defect.

    They mix the three colours. What they stand for are Pillow's `BLUR` and `SMOOTH`: `pil_blur`, `sharpness` with
    factor 0.
    """
    pool = {key.partition("/")[2].partition("=")[0] for key in GOLDEN if key.startswith("discard/")}
    assert len(pool) == 18
    make_transform("pil_blur", {})
    make_transform("sharpness", {"factor": 0})
