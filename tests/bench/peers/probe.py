"""Asks a server for its health every 5 ms, in a process of its own, and prints the times.

Takes a port, and for how many seconds. Requests that fall into a pause are left out: a pause counts
once, however long it is. How late the probe itself wakes is told apart.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Final

from bench.client import Client, pause

EVERY: Final = 0.005


def main() -> None:
    """Ask for a while."""
    client = Client(int(sys.argv[1]))
    client.get("/-/healthy")
    answers, own = [], []
    due = time.perf_counter()
    end = due + float(sys.argv[2])
    while due < end:
        pause(due - time.perf_counter())
        woke = time.perf_counter()
        own.append(woke - due)
        answers.append(client.get("/-/healthy").seconds)
        missed = (time.perf_counter() - due) // EVERY
        due += EVERY * (1 + missed)
    json.dump({"answers": answers, "own": own}, sys.stdout)


if __name__ == "__main__":
    main()
