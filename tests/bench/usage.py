"""What a process uses, as the kernel counts it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Switches:
    """Counts how often a process's threads were put to sleep: each wake-up ends in one."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen = _switches(pid)
        self.count = 0

    def look(self) -> None:
        """Count what came since the last look. What a thread did in its last moments is lost."""
        now = _switches(self._pid)
        self.count += sum(count - self._seen.get(thread, 0) for thread, count in now.items())
        self._seen = now


def _switches(pid: int) -> Mapping[str, int]:
    """Return the context switches of each thread, by its id."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            counts = re.findall(r"ctxt_switches:\s+(\d+)", (thread / "status").read_text())
            found[thread.name] = sum(map(int, counts))
    return found


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
