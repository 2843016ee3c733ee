"""What all tests share."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc.aio
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

from support import installed, stacks
from support.workers import Scheduling

# No test may fail because the machine is busy, nor by chance: what `make test` tries repeats
# from run to run. `make test-full` tries something else each time.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("repeatable")

# promtool, Prometheus and Helm spend a sixth less time when they collect garbage less often.
os.environ.setdefault("GOGC", "400")

# Nor may one pass because the environment happens to be activated: `make test` needs none.
_commands = Path(sys.executable).parent
os.environ["PATH"] = os.pathsep.join(
    folder for folder in os.get_exec_path() if Path(folder) != _commands
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the flag that rewrites expected output, and the one for what is tested."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what the program says to the golden files, to be reviewed as a diff",
    )
    parser.addoption(
        "--installed",
        metavar="FOLDER",
        type=Path,
        default=Path(sys.prefix),
        help="virtual environment whose commands are started (default: the one of the tests)",
    )
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # whoever started it has said where the commands are
    # Not later: the next conftest may import what names the commands.
    config = pluginmanager.get_plugin("pytestconfig")
    assert isinstance(config, pytest.Config)
    given = parser.parse_known_args(config.invocation_params.args).installed
    os.environ[installed.VARIABLE] = str(given.resolve())


def pytest_configure(config: pytest.Config) -> None:
    """Refuse what would test something else than is asked for."""
    if config.getoption("--installed").resolve() != installed.folder():
        raise pytest.UsageError("--installed: is read from the command line only")
    if not Path(installed.command("viam-billing-exporter")).exists():
        raise pytest.UsageError(f"--installed: no viam-billing-exporter in {installed.folder()}")


def pytest_report_header() -> str:
    """Say what is tested."""
    return f"installed: {installed.folder()}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    """Share out files in our own way."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Tell whether expected output is to be rewritten rather than compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="module", params=stacks.STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have the programs of each Prometheus and Alertmanager on the PATH; returns its name."""
    name: str = request.param
    with stacks.on_the_path(name):
        yield name


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Work in an empty folder: what is started must not find the checkout by accident."""
    with contextlib.chdir(tmp_path_factory.mktemp("elsewhere")):
        yield


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
