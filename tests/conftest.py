"""What all tests share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

# No test may fail because the machine is busy, nor by chance: what `make test` tries repeats
# from run to run. `make test-full` tries something else each time.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("repeatable")

# Nor may one pass because the environment happens to be activated: `make test` needs none.
_commands = Path(sys.executable).parent
os.environ["PATH"] = os.pathsep.join(
    folder for folder in os.get_exec_path() if Path(folder) != _commands
)


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


@pytest.fixture(scope="session", autouse=True)
def grpc_stays_up() -> Iterator[None]:
    """Keep gRPC's own thread: between two tests it would be ended, and joined, in some callback."""
    grpc.aio.init_grpc_aio()
    yield
    grpc.aio.shutdown_grpc_aio()


@pytest.fixture(autouse=True)
def no_blocking_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which the exporter blocks the event loop; a command holds up only itself."""
    if request.path.name.startswith("test_tool_"):
        yield
        return
    with blockbuster_ctx("exporter"):
        yield
