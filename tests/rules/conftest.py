"""What all of these tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def _each_stack(stack: str) -> None:
    """Run every test with each promtool, amtool and Alertmanager."""
