"""What a check comes to."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Check:
    """One line of `harness doctor`.

    Attributes:
        name: what was looked at. status: `problem` where a job would fail.
        text: what was found. remedy: what would do; empty where nothing needs to be done.
    """

    name: str
    status: Status
    text: str
    remedy: str = ""
