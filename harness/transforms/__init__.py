"""Deterministic image operations: frozen dataclasses that map a batch of images to a batch of images."""
