"""Parameters for the aggregations that want some."""

from typing import Any

PARAMETERS: dict[str, dict[str, Any]] = {
    "gps": {"budget": 3},
    "best_subset": {"size": 2},
    "power_mean_probs": {"power": 2},
    "trimmed_mean_probs": {"fraction": 0.2},
    "anchor_probs": {"beta": 0.25},
    "anchor_logits": {"beta": 0.25},
    "entropy_softmax_probs": {"t": 0.5},
    "selective": {"share": 0.3, "aggregation": "vote", "uncertainty": "margin"},
    "early_exit": {"confidence": 0.7},
}
