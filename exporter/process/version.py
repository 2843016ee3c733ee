"""Which version this is: what `--version` prints, so what is imported here loads quickly."""

from __future__ import annotations

import os

from exporter import __version__

DISTRIBUTION = "viam-billing-exporter"
UNKNOWN = "unknown"  # as the metric's label says it
REVISION = f"{os.path.dirname(os.path.dirname(__file__))}/REVISION"  # noqa: PTH120 - pathlib


class Version:
    """A release number and the revision of the source it was built from."""

    def __init__(self, number: str, revision: str = UNKNOWN) -> None:
        self.number = number
        self.revision = revision

    def of(self, program: str) -> str:
        """Return the line that a program's `--version` prints."""
        known = f" (revision {self.revision})" if self.revision != UNKNOWN else ""
        return f"{program} {self.number}{known}"

    def __str__(self) -> str:
        return self.of(DISTRIBUTION)


def version() -> Version:
    """Return the version of this package.

    The revision is written into the package when it is built (hatch_build.py); a checkout
    that is run in place has none.
    """
    try:
        with open(REVISION, encoding="utf-8") as file:  # noqa: PTH123 - likewise
            return Version(__version__, file.read().strip())
    except FileNotFoundError:
        return Version(__version__)
