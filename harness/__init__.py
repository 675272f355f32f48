"""Test-time augmentation benchmark harness: policies ask for views, each view runs once, the rest is arithmetic."""

__version__ = "0.1.0"
