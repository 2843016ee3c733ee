"""How a command ends that cannot do what it was asked."""

from __future__ import annotations

import sys
from typing import Final

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
EXIT_CODES: Final = "Exit codes: 0 done, 1 failed, 2 wrong usage."
STOPPED: Final = "stopped before the end"
NAME: Final = "viam-billing: "  # what messages begin with


class CommandError(Exception):
    """Why a command ends, for people, and its exit code."""

    def __init__(self, message: str, code: int = FAILED, *, prefix: str = NAME) -> None:
        super().__init__(prefix + message)
        self.code = code


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    print(f"{NAME}{message}", file=sys.stderr, flush=True)
