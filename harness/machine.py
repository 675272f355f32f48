"""What machine this is, in a few words: a measured time means nothing without it."""

import os
import platform
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")


def machine() -> str:
    """The processor, its cores and the operating system, e.g. `AMD EPYC, 2 cores, Linux-x86_64`."""
    cores = os.cpu_count() or 1
    name = processor() or "unknown processor"
    return f"{name}, {cores} core{'s' if cores > 1 else ''}, {platform.system()}-{platform.machine()}"


def processor() -> str:
    """The processor's name, "" where nothing tells it. The kernel first: Python mostly knows the architecture only."""
    try:
        lines = CPU_FACTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor()
