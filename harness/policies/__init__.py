"""Policies: which views, and how their logits become one prediction."""
