"""What systemd is told, and when the watchdog is left without a word."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from exporter.process.notify import SEND_WITHIN, ProgressMonitor, ServiceManager, from_systemd
from support.clock import StandingClock
from support.virtual import run

PID = 7


class Manager:
    """Listens as systemd does, at a path or at a name that is in no folder."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def heard(self) -> list[str]:
        """Return the messages since the last call."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """Return a manager of each kind."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@{uuid.uuid4().hex}"
    with closing(Manager(address)) as listening:
        yield listening


def test_lines_arrive_as_one_message(manager: Manager) -> None:
    """So that systemd takes them together."""
    run(ServiceManager(manager.address).tell("READY=1", "STATUS=organizations polled: 2"))
    assert manager.heard() == ["READY=1\nSTATUS=organizations polled: 2"]


def test_without_systemd_nothing_is_sent_nor_warned_of() -> None:
    """Most are started by something else."""
    with structlog.testing.capture_logs() as entries:
        run(ServiceManager().tell("READY=1"))
        run(ServiceManager().keep_alive(lambda: True))
    assert entries == []


@pytest.mark.parametrize("address", ["/nowhere/notify", "vsock:2:1234", "/" + "long" * 50])
def test_a_manager_that_cannot_be_reached_is_one_warning(address: str) -> None:
    """And nothing else fails."""
    manager = ServiceManager(address)
    with structlog.testing.capture_logs() as entries:
        run(manager.tell("READY=1"))
        run(manager.tell("WATCHDOG=1"))
    assert [entry["log_level"] for entry in entries] == ["warning"]


def test_a_manager_that_does_not_read_holds_nobody_up_for_long(tmp_path: Path) -> None:
    """Its queue is full then. What does not fit within the time is dropped, with a warning."""

    async def scenario(manager: ServiceManager) -> None:
        loop = asyncio.get_running_loop()
        with structlog.testing.capture_logs() as entries:
            while not entries:
                began = loop.time()
                await manager.tell("WATCHDOG=1")
            assert loop.time() - began == SEND_WITHIN
        assert "TimeoutError" in entries[0]["reason"]

    with closing(Manager(str(tmp_path / "notify"))) as listening:
        run(scenario(ServiceManager(listening.address)))
        assert set(listening.heard()) == {"WATCHDOG=1"}


def test_the_watchdog_hears_twice_within_its_time_and_only_while_it_gets_on(
    tmp_path: Path,
) -> None:
    """What has stopped is logged, in case the next start brings nothing better."""

    async def scenario(listening: Manager) -> None:
        progressing = True
        manager = ServiceManager(listening.address, watchdog=60.0)
        pinging = asyncio.create_task(manager.keep_alive(lambda: progressing))
        await asyncio.sleep(119)
        assert listening.heard() == ["WATCHDOG=1"] * 4
        progressing = False
        with structlog.testing.capture_logs() as entries:
            await asyncio.sleep(60)
        assert listening.heard() == []
        assert [entry["log_level"] for entry in entries] == ["error"]
        progressing = True
        await asyncio.sleep(60)
        assert listening.heard() == ["WATCHDOG=1"] * 2
        pinging.cancel()

    with closing(Manager(str(tmp_path / "notify"))) as listening:
        run(scenario(listening))


@pytest.mark.parametrize(
    ("variables", "watchdog"),
    [
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(PID)}, 60.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_the_one_for_this_process(
    variables: dict[str, str], watchdog: float | None
) -> None:
    """The variables are gone from the environment then, so that no child speaks in our name."""
    environ = {"NOTIFY_SOCKET": "/run/notify", "PATH": "/bin", **variables}
    assert from_systemd(environ, PID).watchdog == watchdog
    assert environ == {"PATH": "/bin"}


def test_what_waits_and_changes_nothing_has_stopped() -> None:
    """After the time that it may take; with nothing to do, nothing has to happen."""
    clock = StandingClock()
    monitor = ProgressMonitor(clock)

    def alive_after(seconds: float, progress: int, *, waiting: bool) -> bool:
        clock.now += seconds
        return monitor.is_alive(progress, waiting=waiting, timeout=100)

    assert alive_after(0, 0, waiting=True)
    assert alive_after(100, 0, waiting=True)
    assert not alive_after(1, 0, waiting=True)
    assert alive_after(1, 1, waiting=True)
    assert alive_after(1000, 1, waiting=False)
    assert alive_after(100, 1, waiting=True)
    assert not alive_after(1, 1, waiting=True)
