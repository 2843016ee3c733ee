"""Which installation the commands come from that tests start: that of `pytest --installed=FOLDER`.

By default it is the environment that runs the tests, where the package is the checkout itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

# From pytest's option to whatever a test imports or starts.
VARIABLE: Final = "TESTS_INSTALLED"


def folder() -> Path:
    """Return the virtual environment."""
    return Path(os.environ.get(VARIABLE, sys.prefix))


def command(name: str) -> str:
    """Return a program of the environment."""
    return str(folder() / "bin" / name)
