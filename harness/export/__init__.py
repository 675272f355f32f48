"""A policy of a finished job as one model that is used without the harness."""
