"""Our exporter on an event loop that notes how late it comes to what is due.

Takes the exporter's own arguments. On SIGUSR1 it prints in one line how late the loop was since the
signal before, in seconds: once every 5 ms, or once for a pause that is longer.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from selectors import BaseSelector
from types import FrameType
from typing import Final

from exporter import cli

EVERY: Final = 0.005


class WatchedLoop(asyncio.SelectorEventLoop):
    """Has something due every few milliseconds."""

    def __init__(self, selector: BaseSelector) -> None:
        super().__init__(selector)
        self._late: list[float] = []
        self._told = 0
        self._asked = False
        # Not a handler of the loop: the exporter has signals wake it in a way of its own.
        signal.signal(signal.SIGUSR1, self._ask)
        self._watch()

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def _watch(self) -> None:
        due = self.time() + EVERY
        self.call_at(due, self._note, due)

    def _note(self, due: float) -> None:
        self._late.append(self.time() - due)
        if self._asked:
            self._asked = False
            self._tell()
        self._watch()

    def _tell(self) -> None:
        late, self._late = self._late, []
        self._told += 1
        print(f"late {self._told}: {json.dumps(late)}", flush=True)


if __name__ == "__main__":
    # The exporter makes its loop by this name.
    vars(asyncio)["SelectorEventLoop"] = WatchedLoop
    sys.exit(cli.main())
