"""Whether the installation is well: versions, TensorFlow, tracker, store, disk; each check says what would do."""
