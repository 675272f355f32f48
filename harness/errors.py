"""Every error that a user can meet, on one page.

HarnessError
  ConfigError        the configuration or the command line is wrong          exit code 2
  DataError          the data set is missing, damaged or of the wrong shape  exit code 2
  ModelError         the checkpoint cannot be used as it is                  exit code 2
  StoreError         the store cannot be read or written                     exit code 2
  TrainingError      training broke off (a loss that is not finite)          exit code 3
  TrackingError      the tracking server did not answer or refused           exit code 4

A message is one line: what was expected, what came, and what would do.
"""

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """Base of all errors that are shown to the user as one line, without a traceback."""

    exit_code = 2


class ConfigError(HarnessError):
    """The configuration or the command line is wrong."""


class DataError(HarnessError):
    """The data set is missing, damaged or of the wrong shape."""


class ModelError(HarnessError):
    """The checkpoint cannot be used as it is."""


class StoreError(HarnessError):
    """The store cannot be read or written."""


class TrainingError(HarnessError):
    """Training broke off."""

    exit_code = 3


class TrackingError(HarnessError):
    """The tracking server did not answer or refused; results on disk are complete."""

    exit_code = 4


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """One line that names the nearest known names first, then all of them when they are few."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else ""
    listing = f"known: {', '.join(names) or 'none'}" if len(names) <= 24 else f"`harness list` shows all {len(names)}"
    return f"unknown {what} {name!r}: " + "; ".join(part for part in (hint, listing) if part)
