"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one flag that rewrites expected output."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the program says to the golden files, to be reviewed as a diff",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Tell whether expected output is to be rewritten rather than compared."""
    return bool(request.config.getoption("--update-golden"))
