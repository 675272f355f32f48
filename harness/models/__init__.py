"""Models that we train, one file per family, and the files that keep them."""
