"""How a command ends that cannot do what it was asked."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

DONE = 0
FAILED = 1
WRONG_USAGE = 2
EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong usage."
STOPPED = "stopped before the end"
NAME = "viam-billing: "  # what messages begin with


class CommandError(Exception):
    """Why a command ends, for people, and its exit code."""

    def __init__(self, message: str, code: int = FAILED, *, prefix: str = NAME) -> None:
        super().__init__(prefix + message)
        self.code = code


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    say(f"{NAME}{message}")


def say(line: str) -> None:
    """Write a line to standard error, after all that was logged before, which a thread writes."""
    if "logging" in sys.modules:
        for handler in sys.modules["logging"].getLogger().handlers:
            handler.flush()
    with suppress(OSError):  # nobody can be told, which is no reason to do less
        print(line, file=sys.stderr, flush=True)


def discard() -> None:
    """Have what is printed, also what was before and nobody has taken, go nowhere.

    Else Python itself would write it, or complain once more, when it ends.
    """
    with suppress(io.UnsupportedOperation):  # standard output is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
