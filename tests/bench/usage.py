"""What a process uses, as the kernel counts it."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wake_ups(stop: Callable[[], object]) -> int:
    """Return how often the threads of a child slept in its life: stops it, and awaits its end.

    Only then does the kernel tell of threads that have ended, and gRPC's live for moments.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_nvcsw
    stop()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_nvcsw - before


def peak_memory(pid: int) -> int:
    """Return the most bytes that were ever resident."""
    return _status(pid, "VmHWM")


def memory(pid: int) -> int:
    """Return the bytes that are resident now."""
    return _status(pid, "VmRSS")


def _status(pid: int, key: str) -> int:
    match = re.search(rf"{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match
    return int(match[1]) * 1024
