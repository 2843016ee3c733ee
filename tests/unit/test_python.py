"""The Python that runs this."""

from __future__ import annotations

import sys

from support.packages import PYTHONS


def test_it_is_one_that_the_package_says_it_runs_on() -> None:
    """A Debian that brings a newer one has the list grow, by a Python that was tested."""
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in PYTHONS
