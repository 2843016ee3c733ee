"""Which version this is, from the one place that says so: the installed distribution."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, resources
from typing import Final

DISTRIBUTION: Final = "viam-billing-exporter"
UNKNOWN: Final = "unknown"  # as the metric's label says it


@dataclass(frozen=True, slots=True)
class Version:
    """A release number and the revision of the source it was built from."""

    number: str
    revision: str

    def of(self, program: str) -> str:
        """Return the line that a program's `--version` prints."""
        known = f" (revision {self.revision})" if self.revision != UNKNOWN else ""
        return f"{program} {self.number}{known}"

    def __str__(self) -> str:
        return self.of(DISTRIBUTION)


def version() -> Version:
    """Return the version of the installed distribution.

    The revision is written into the package when it is built (hatch_build.py); a checkout
    that is run in place has none.
    """
    file = resources.files("exporter").joinpath("REVISION")
    revision = file.read_text(encoding="ascii").strip() if file.is_file() else UNKNOWN
    return Version(metadata.version(DISTRIBUTION), revision)
