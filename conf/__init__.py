"""The packaged configuration; Python only so that it can be found inside the wheel."""
